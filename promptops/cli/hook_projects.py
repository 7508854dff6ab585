"""What a commit is about to do to the prompts of a repository, as its hooks see it: the index alone."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from promptops.config.settings import Settings, SettingsFile, find_settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.git.diff import changed_names, staged_names
from promptops.git.entries import split_names
from promptops.git.process import run_git

if TYPE_CHECKING:  # most commits touch no prompt and must not wait for more
    from promptops.git.repo import GitRepo
    from promptops.lint import Scope
    from promptops.versions.changed_prompts import ChangedPrompts


@dataclass(frozen=True, slots=True)
class RevisionRange:
    """What a commit changes: from ``old`` (None: from nothing) to the index, or to ``new``."""

    old: str | None
    new: str | None = None


_STAGED = RevisionRange("HEAD")  # which may have no commit yet


@dataclass(frozen=True, slots=True)
class HookProject:
    """One project that a commit touches, and the files of it that were named to the hook."""

    settings: Settings
    repo: "GitRepo"
    span: RevisionRange
    staged: Sequence[str] | None  # paths from the top of the repository, where ``span`` ends in the index
    named: Sequence[str] = ()

    @contextmanager
    def scope(self) -> Iterator["Scope"]:
        """Prompts that depend on what is staged, or on the files that were named."""
        from promptops.lint import staged_scope

        root, repo = self.settings.root, self.repo
        with staged_scope([], root, repo=repo, staged=self.staged) as staged:
            if not self.named:
                yield staged
                return
            with staged_scope(self.named, root, repo=repo) as asked:
                names = sorted({*staged.names, *asked.names})
            yield replace(staged, names=names)

    def changes(self) -> "ChangedPrompts":
        from promptops.versions.changed_prompts import find_changed_prompts
        from promptops.versions.snapshots import EMPTY, STAGED, SnapshotSource

        repo, first = self.repo, self.span == _STAGED and not self.repo.has_commits()
        old, new = (
            SnapshotSource(rev, repo.resolve_commit(rev)) if rev else None
            for rev in (None if first else self.span.old, self.span.new)
        )
        return find_changed_prompts(repo, old or EMPTY, new or STAGED)


def hook_environment(env: Mapping[str, str], top: Path) -> dict[str, str]:
    """What git tells its hooks, in a form that holds in any folder.

    Git starts them at the top of the work tree; in a linked one it names the git folder alone.
    """
    paths = {name: str(top / env[name]) for name in ("GIT_DIR", "GIT_INDEX_FILE") if env.get(name)}
    if "GIT_DIR" in paths and not env.get("GIT_WORK_TREE"):
        paths["GIT_WORK_TREE"] = str(top)
    return paths


def find_worktree_settings(start: Path, env: Mapping[str, str]) -> Settings:
    """Settings of the whole work tree; what they say of prompts is of no use."""
    settings = find_settings(start, env, file=SettingsFile())
    if settings.top is None:
        raise Invalid("a bare repository has no index", hint="hooks run where commits are made")
    return settings


def find_revision_range(top: Settings, env: Mapping[str, str], *, amending: bool = False) -> RevisionRange:
    """What is being committed; or, where pre-commit names two revisions, what lies between them."""
    if env.get("PRE_COMMIT_FROM_REF") and env.get("PRE_COMMIT_TO_REF"):
        return RevisionRange(env["PRE_COMMIT_FROM_REF"], env["PRE_COMMIT_TO_REF"])
    if not amending:
        return _STAGED
    old = "HEAD^"
    return RevisionRange(old if run_git(top, "rev-parse", "--quiet", "--verify", old, ok=(0, 1)) else None)


@contextmanager
def touched_projects(
    top: Settings, env: Mapping[str, str], span: RevisionRange, named: Sequence[Path] = ()
) -> Iterator[list[HookProject]]:
    """Projects that hold a path that changed, or a file that was named. Costs one git where none does."""
    whole = top.top or top.root
    files = [Path(os.path.relpath(name, whole)).as_posix() for name in named]
    changed = _changed_paths(top, span)
    folders = sorted({folder for path in [*changed, *files] for folder in _project_folders(path)})
    found = [(folder, settings) for folder in folders if (settings := _project_settings(whole / folder, env))]
    with ExitStack() as stack:
        yield [
            HookProject(
                settings,
                stack.enter_context(_git_repo(settings)),
                span,
                changed if span == _STAGED else None,
                [str(whole / path) for path in files if folder in _project_folders(path)],
            )
            for folder, settings in found
        ]


def _git_repo(settings: Settings) -> "GitRepo":
    from promptops.git.repo import GitRepo

    return GitRepo(settings)


def _changed_paths(top: Settings, span: RevisionRange) -> list[str]:
    if span == _STAGED:
        return staged_names(top)
    if span.old is None:
        return split_names(run_git(top, "ls-files", "-z"))
    return changed_names(top, *([span.old, span.new] if span.new else ["--cached", span.old]))


def _project_folders(path: str) -> Iterator[str]:
    """Folders of which a path would be a prompt's file or the settings."""
    folder = PurePosixPath(path).parent
    if path.endswith(SETTINGS_FILE):
        yield str(folder)
    yield from (str(each.parent) for each in (folder, *folder.parents) if each.name == "prompts")


def _project_settings(folder: Path, env: Mapping[str, str]) -> Settings | None:
    settings = find_settings(folder, env, file=SettingsFile())
    return settings if settings.root == folder.resolve() else None

"""Which paths differ between two trees, or a tree and the index or working tree, as git tells it."""

from collections.abc import Iterator

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.git.entries import split_names
from promptops.git.process import run_git

_SUBMODULE = "160000"
_NAMES = ("--name-only", "--no-renames", "--no-ext-diff", "-z")
_RAW = ("--raw", "-r", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """``path`` is from the top of the repository."""

    path: str
    is_submodule: bool = False


def diff_commits(settings: Settings, old: str, new: str) -> list[ChangedPath]:
    stdout = run_git(settings, "diff-tree", *_RAW, old, new, "--", settings.prompts_path)
    return list(_parse(stdout))


def diff_index(settings: Settings, old: str) -> list[ChangedPath]:
    stdout = run_git(settings, "diff-index", "--cached", *_RAW, old, "--", settings.prompts_path)
    return list(_parse(stdout))


def changed_names(settings: Settings, *ends: str) -> list[str]:
    """Paths that differ, from the top: of two revisions, or with ``--cached`` of one and the index."""
    return split_names(run_git(settings, "diff", *_NAMES, *ends, "--"))


def staged_names(settings: Settings) -> list[str]:
    """Paths that the index has otherwise than HEAD, deleted ones among them: all before the first commit."""
    return changed_names(settings, "--cached")


def diff_working_tree(settings: Settings, old: str) -> list[ChangedPath]:
    """Those that git would show as changed, and files that it does not track and does not ignore."""
    stdout = run_git(settings, "diff-index", *_RAW, old, "--", settings.prompts_path)
    new = run_git(settings, "ls-files", "--others", "--exclude-standard", "-z", "--", settings.prompts_path)
    return [*_parse(stdout), *(ChangedPath(path) for path in split_names(new) if not path.endswith("/"))]


def merge_base(settings: Settings, one: str, other: str) -> str:
    bases = run_git(settings, "merge-base", one, other, ok=(0, 1)).decode().split()
    if not bases:
        raise NotFound(
            f"{one[:12]} and {other[:12]} have no common ancestor here",
            hint="compare them with two dots; in a shallow clone, git fetch --unshallow first",
        )
    return bases[0]


def _parse(stdout: bytes) -> Iterator[ChangedPath]:
    tokens = iter(split_names(stdout))
    for facts in tokens:
        old_mode, new_mode = facts.lstrip(":").split(" ")[:2]
        yield ChangedPath(next(tokens), _SUBMODULE in (old_mode, new_mode))

"""Which prompts differ between two places, themselves or through a file they are made of."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from promptops.dataclass import dataclass
from promptops.git import diff as gitdiff
from promptops.git.diff import ChangedPath
from promptops.git.entries import TreeEntry
from promptops.git.repo import GitRepo
from promptops.versions.references import INDEX
from promptops.versions.snapshots import PromptSnapshot, SnapshotSource, load_snapshot
from promptops.versions.working_tree import filter_prompt_names

_TEXTS = (".yaml", ".yml", ".j2", ".md", ".txt")
_LINK, _SUBMODULE = "120000", "160000"
# Spellings of YAML and Jinja in which a path need not stand as it is.
_ESCAPE = re.compile(rb"\\[xuUN/0-7\n]")


@dataclass(frozen=True, slots=True)
class PromptChange:
    """The two sides of one prompt. ``through`` names changed files of which an unchanged one is made."""

    old: PromptSnapshot
    new: PromptSnapshot
    through: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.new.name

    @property
    def status(self) -> str:
        if not self.old.present:
            return "added"
        if not self.new.present:
            return "deleted"
        return "changed" if self.old.name == self.new.name else "renamed"

    @property
    def differs(self) -> bool:
        old, new = self.old, self.new
        if old.present != new.present:
            return True
        if old.prompt is not None and new.prompt is not None and old.prompt.digest != new.prompt.digest:
            return True
        if not (old.complete and new.complete):
            return any(
                _normalized_files(old)[path] != _normalized_files(new)[path]
                for path in {*old.files} & {*new.files}
            )
        return (
            old.name != new.name or old.cases != new.cases or _normalized_files(old) != _normalized_files(new)
        )


@dataclass(frozen=True, slots=True)
class ChangedPrompts:
    pairs: Sequence[PromptChange]
    notes: Sequence[str] = ()


def find_changed_prompts(
    repo: GitRepo, old: SnapshotSource, new: SnapshotSource, names: Iterable[str] = ()
) -> ChangedPrompts:
    """Prompts that differ, those named alone where any are. Costs what changed, however long the history."""
    changed = _changed_paths(repo, old, new)
    prefix = f"{repo.settings.prompts_path}/"
    paths = {one.path.removeprefix(prefix) for one in changed if not one.is_submodule}
    direct = filter_prompt_names(iter(paths))
    found = sorted(direct | filter_prompt_names(iter(_dependants(repo, old, paths))))
    sides = [(load_snapshot(name, old, repo), load_snapshot(name, new, repo)) for name in found]
    pairs = [
        PromptChange(*both, () if both[0].name in direct else _changed_dependencies(both, paths))
        for both in sides
    ]
    pairs = _with_renames([pair for pair in _without_parts(pairs) if pair.differs])
    wanted = set(names)
    pairs = [pair for pair in pairs if not wanted or wanted & {pair.old.name, pair.new.name}]
    notes = [
        f"{one.path} is a submodule: the prompts in it are not compared"
        for one in changed
        if one.is_submodule
    ]
    return ChangedPrompts(pairs, notes)


def _changed_paths(repo: GitRepo, old: SnapshotSource, new: SnapshotSource) -> list[ChangedPath]:
    settings = repo.settings
    new.read(repo)  # says so where there can be none
    if not old.rev:  # before the first commit
        rev = "" if new.rev == INDEX else str(new.rev)
        return [ChangedPath(entry.path) for entry in repo.list_files(rev, settings.prompts_path)]
    if new.rev is None:
        return gitdiff.diff_working_tree(settings, old.rev)
    if new.rev == INDEX:
        return gitdiff.diff_index(settings, old.rev)
    return gitdiff.diff_commits(settings, old.rev, new.rev)


def _dependants(repo: GitRepo, old: SnapshotSource, paths: set[str]) -> set[str]:
    """Unchanged texts that may be made of changed files, found by what they name.

    Between such a text and the first changed file everything is unchanged, so that the old side has it all.
    Texts that merely mention a name are found too; their digest tells them apart later.
    """
    if not old.rev or not paths:
        return set()
    prefix = f"{repo.settings.prompts_path}/"
    entries = [
        replace(entry, path=entry.path.removeprefix(prefix))
        for entry in repo.list_files(old.rev, repo.settings.prompts_path)
    ]
    links = {entry.path for entry in entries if entry.mode == _LINK}
    texts = _texts(repo, [entry for entry in entries if entry.path not in paths | links])
    found, fresh = set(links), paths | links
    while fresh:
        needles = _names_pattern(fresh)
        fresh = {path for path, data in texts.items() if path not in found and needles.search(data)}
        found |= fresh
    return found


def _texts(repo: GitRepo, entries: Iterable[TreeEntry]) -> dict[str, bytes]:
    return {
        entry.path: repo.read_blob(entry.oid)
        for entry in entries
        if entry.path.endswith(_TEXTS) and entry.mode != _SUBMODULE
    }


def _names_pattern(paths: Iterable[str]) -> re.Pattern[bytes]:
    """The names of files, or as much of them as a folded line cannot part; any escape may hide one."""
    names = {(posixpath.basename(path).split() or [""])[0] for path in paths}
    words = [re.escape(name.encode("utf-8", "surrogateescape")) for name in sorted(names)]
    return re.compile(b"|".join([*words, _ESCAPE.pattern]))


def _changed_dependencies(sides: tuple[PromptSnapshot, PromptSnapshot], paths: set[str]) -> tuple[str, ...]:
    cases = {side.prompt.cases for side in sides if side.prompt and side.prompt.cases}
    read = {path for side in sides for path in side.files} | cases
    return tuple(sorted(read & paths))


def _normalized_files(side: PromptSnapshot) -> dict[str, bytes]:
    return {path: data.replace(b"\r\n", b"\n") for path, data in side.files.items()}


def _without_parts(pairs: Sequence[PromptChange]) -> list[PromptChange]:
    """Leave out YAML files that are no prompts themselves but the schema or golden set of one."""
    sides = [side for pair in pairs for side in (pair.old, pair.new)]
    parts = {path for side in sides if side.prompt for path in (*side.prompt.closure[1:], side.prompt.cases)}
    return [
        pair
        for pair in pairs
        if pair.old.prompt or pair.new.prompt or not parts & {*pair.old.files, *pair.new.files}
    ]


def _with_renames(pairs: Sequence[PromptChange]) -> list[PromptChange]:
    """Join a deletion and the one addition of the same file or the same meaning."""
    gone = {pair.name: pair for pair in pairs if pair.status == "deleted"}
    come = {pair.name: pair for pair in pairs if pair.status == "added"}
    renamed: dict[str, PromptChange] = {}
    for pair in come.values():
        origins = [other for other in gone.values() if _same(other.old, pair.new)]
        targets = [other for other in come.values() if _same(other.new, pair.new)]
        if len(origins) == len(targets) == 1:
            renamed[pair.name] = PromptChange(origins[0].old, pair.new)
    moved = {pair.old.name for pair in renamed.values()}
    return [
        renamed.get(pair.name, pair)
        for pair in pairs
        if not (pair.status == "deleted" and pair.name in moved)
    ]


def _same(old: PromptSnapshot, new: PromptSnapshot) -> bool:
    if old.prompt is not None and new.prompt is not None:
        return old.prompt.digest == new.prompt.digest
    before, after = ([*side.files.values()][:1] for side in (old, new))
    return before == after != []

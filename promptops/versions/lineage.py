"""The versions of a prompt along a branch's first-parent line, oldest known to newest.

A version starts at a commit that changes what the prompt means, and so its digest. What has been read once is
kept in the registry's index; where that cannot be written, in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from promptops._version import __version__
from promptops.dataclass import dataclass
from promptops.errors import NotFound, PromptopsError
from promptops.git.log import Commit, first_parent_log, is_on_first_parent_line
from promptops.git.process import MissingObject
from promptops.git.repo import GitRepo
from promptops.prompt import FORMATS, Prompt, load_prompt
from promptops.prompt.closure import FileReader
from promptops.registry import (
    BranchKey,
    IndexedBranch,
    IndexedCommit,
    IndexedPrompt,
    IndexedVersion,
    PathChange,
    RegistryDatabase,
    VersionStart,
    delete_indexed_branch,
    extend_indexed_branch,
    find_indexed_branch,
    find_indexed_prompt,
    open_in_memory_index,
    read_indexed_versions,
    read_path_changes,
    save_indexed_prompt,
)
from promptops.versions.recorded_format import with_released_format

ANY_FILE = "*"  # among the files that a prompt follows: a link was followed, so any file may be its target
_DELETED = "deleted"
_INDEX_RULES = 2  # grows when the same branch is read as other versions than before


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the versions of one prompt start, newest first; ``note`` says why there are no earlier ones."""

    starts: Sequence[IndexedVersion]
    note: str = ""


def read_lineage(name: str, repo: GitRepo, registry: RegistryDatabase | None = None) -> Lineage:
    tip = repo.tip()
    if tip.commit is None:
        return Lineage((), "there is no commit yet: git add prompts && git commit")
    key = BranchKey(
        repository=_as_text(str(repo.settings.common_dir)),
        prefix=_as_text(repo.settings.prefix),
        branch=tip.branch,
        made_by=_index_variant(repo),
    )
    store, line = _find_or_build_branch(repo, registry, key, tip.commit)
    known = find_indexed_prompt(store, line, name)
    if known is None or known.commits != line.commits:
        if not store.writable:
            store = open_in_memory_index()
            line, known = _refresh_branch(repo, store, key, tip.commit), None
        known = _extend_indexed_prompt(repo, store, line, name, known)
    return Lineage(read_indexed_versions(store, line, name), known.note)


def _as_text(path: str) -> str:
    """A path of bytes that are not UTF-8, as the registry takes it."""
    return path.encode("utf-8", "backslashreplace").decode()


def prompt_files(name: str) -> tuple[str, str]:
    return f"{name}.yaml", f"{name}.yml"


def describe_changed_keys(before: Prompt, after: Prompt) -> str:
    """What differs in meaning between two versions, in the words of the prompt file."""
    old, new = before.canonical(), after.canonical()
    return ", ".join(key for key in {**new, **old} if old.get(key) != new.get(key))


def _index_variant(repo: GitRepo) -> str:
    """Whatever else makes the same branch read differently: our release, and where a shallow clone is cut."""
    made_by = f"{__version__} format {FORMATS[-1]} index {_INDEX_RULES}"
    common = repo.settings.common_dir
    if common is None or not repo.is_shallow():
        return made_by
    return f"{made_by} {hashlib.sha256((common / 'shallow').read_bytes()).hexdigest()}"


def _find_or_build_branch(
    repo: GitRepo, registry: RegistryDatabase | None, key: BranchKey, tip: str
) -> tuple[RegistryDatabase, IndexedBranch]:
    if registry is not None:
        line = find_indexed_branch(registry, key)
        if line is not None and line.tip == tip:
            return registry, line
        if registry.writable:
            return registry, _refresh_branch(repo, registry, key, tip)
    store = open_in_memory_index()
    return store, _refresh_branch(repo, store, key, tip)


def _refresh_branch(repo: GitRepo, store: RegistryDatabase, key: BranchKey, tip: str) -> IndexedBranch:
    while True:  # until nobody else was quicker
        line = find_indexed_branch(store, key)
        if line is not None and line.tip == tip:
            return line
        if line is not None and not (
            repo.has_commits(line.tip) and is_on_first_parent_line(repo.settings, line.tip, tip)
        ):
            delete_indexed_branch(store, key)
            line = None
        log = first_parent_log(repo.settings, tip, line.tip if line else None, repo.settings.prompts_path)
        commits = [_indexed_commit(commit, repo.settings.prompts_path) for commit in log]
        extend_indexed_branch(store, key, line, tip, reversed(commits))


def _indexed_commit(commit: Commit, folder: str) -> IndexedCommit:
    paths = ((change.path.removeprefix(f"{folder}/"), change) for change in commit.changes)
    changes = [
        (path, change.old_oid, change.new_oid)
        for path, change in paths
        if path.isprintable()  # no prompt can name another file
    ]
    return IndexedCommit(commit.sha, commit.authored_at, commit.author, commit.subject, changes)


def _extend_indexed_prompt(
    repo: GitRepo, store: RegistryDatabase, line: IndexedBranch, name: str, known: IndexedPrompt | None
) -> IndexedPrompt:
    """Bring one prompt's versions up to the line's tip, from its first commit on where need be."""
    since = list(read_path_changes(store, line, known.commits)) if known else []
    again = known is None or _added(name, since)  # what is added may have been moved here
    if known is None or again:
        since = list(read_path_changes(store, line, 0))
        lives, note = _name_periods(name, since)
        walk = _HistoryWalker(repo)
    else:
        lives, note = [_NamePeriod(0, name)], known.note
        walk = _HistoryWalker(repo, follows=set(known.follows))
        walk.resume_from(read_indexed_versions(store, line, name))
    found = list(walk.versions(since, lives))
    after = IndexedPrompt(line.commits, tuple(sorted(walk.follows)), note)
    save_indexed_prompt(store, line, name, after, found, again=again)
    return after


def _added(name: str, touches: Iterable[PathChange]) -> bool:
    files = prompt_files(name)
    return any(path in files and old is None for touch in touches for path, old, _ in touch.changes)


@dataclass(frozen=True, slots=True)
class _NamePeriod:
    """From a commit on, the prompt had this name."""

    since: int
    name: str


def _name_periods(name: str, touches: Sequence[PathChange]) -> tuple[list[_NamePeriod], str]:
    """The names a prompt has had, oldest first, by following renames backwards."""
    lives: list[_NamePeriod] = []
    for touch in reversed(touches):
        gone, come = _find_rename(name, touch)
        if not gone:
            continue
        if len(gone) > 1 or len(come) > 1:
            files, verb = (gone, "from") if len(gone) > 1 else (come, "to")
            lives.append(_NamePeriod(touch.position, name))
            where = f"{touch.commit_sha[:12]} moves the same text {verb} {' and '.join(sorted(files))}"
            return lives[::-1], f"history stops here: {where}, so it is unknown which was {name}"
        lives.append(_NamePeriod(touch.position, name))
        name = gone[0]
    return [_NamePeriod(0, name), *lives[::-1]], ""


def _find_rename(name: str, touch: PathChange) -> tuple[list[str], list[str]]:
    """Prompts that a commit deletes and adds with the very text with which it adds ``name``."""
    files = prompt_files(name)
    oid = next((new for path, old, new in touch.changes if path in files and old is None), None)
    gone = [
        _name_of(path) for path, old, new in touch.changes if new is None and old == oid and _is_yaml(path)
    ]
    come = [
        _name_of(path) for path, old, new in touch.changes if old is None and new == oid and _is_yaml(path)
    ]
    return ([] if oid is None or gone == [name] else gone), come


def _is_yaml(path: str) -> bool:
    return path.endswith((".yaml", ".yml"))


def _name_of(path: str) -> str:
    return path.rpartition(".")[0]


@dataclass(slots=True)
class _HistoryWalker:
    """Goes along a line and finds where versions start; reads only where a file that matters changed."""

    repo: GitRepo
    follows: set[str] = field(default_factory=set)
    valid: Prompt | None = None  # the last version that could be read
    digest: str | None = None  # of the latest entry; None after an invalid file or a deletion
    problem: str = ""

    def resume_from(self, starts: Sequence[IndexedVersion]) -> None:
        for newest in starts[:1]:
            self.digest, self.problem = newest.digest, newest.problem
        last = next((start for start in starts if start.digest), None)
        if last is not None:
            self.valid = with_released_format(
                load_prompt(last.name, self.repo.reader(last.commit_sha)), self.repo
            )

    def versions(self, touches: Iterable[PathChange], lives: Sequence[_NamePeriod]) -> Iterator[VersionStart]:
        later = list(lives)
        name = ""
        for touch in touches:
            while later and later[0].since <= touch.position:
                name = later.pop(0).name
            changed = {path for path, _, _ in touch.changes}
            if not name or not (changed & {*prompt_files(name), *self.follows} or ANY_FILE in self.follows):
                continue
            found = self._look(name, touch)
            if found is not None:
                yield found

    def _look(self, name: str, touch: PathChange) -> VersionStart | None:
        links = self.repo.links_followed
        read = _TrackingReader(self.repo.reader(touch.commit_sha))
        try:
            prompt = with_released_format(load_prompt(name, read), self.repo)
        except PromptopsError as error:
            read.raise_missing()
            there = [path for path in prompt_files(name) if read.found.get(path)]
            changed = {path for path, _, _ in touch.changes} & {*prompt_files(name), *read.found}
            found = (
                self._invalid_start(there[0], touch, error.message, changed=bool(changed))
                if there
                else self._deleted_start(name, touch)
            )
        else:
            found = self._valid_start(touch, prompt)
        self.follows = set(read.found) | ({ANY_FILE} if self.repo.links_followed != links else set())
        return found

    def _valid_start(self, touch: PathChange, prompt: Prompt) -> VersionStart | None:
        if prompt.digest == self.digest:
            return None
        words = (describe_changed_keys(self.valid, prompt) or "restored") if self.valid else "new"
        self.valid, self.digest, self.problem = prompt, prompt.digest, ""
        return VersionStart(touch.position, prompt.path, prompt.digest, words, "")

    def _invalid_start(
        self, path: str, touch: PathChange, problem: str, *, changed: bool
    ) -> VersionStart | None:
        """``changed``: a file that it is read from. Broken in the same way twice is broken two times."""
        if problem == self.problem and not changed:
            return None
        self.digest, self.problem = None, problem
        return VersionStart(touch.position, path, None, "invalid", problem)

    def _deleted_start(self, name: str, touch: PathChange) -> VersionStart | None:
        if self.digest is None and self.problem in {"", _DELETED}:
            return None
        self.digest, self.problem = None, _DELETED
        return VersionStart(touch.position, prompt_files(name)[0], None, _DELETED, _DELETED)


class _TrackingReader:
    """A reader that remembers what was asked for and whether it was there: a change to any of it matters."""

    def __init__(self, read: FileReader) -> None:
        self._read = read
        self.found: dict[str, bool] = {}
        self._missing: MissingObject | None = None

    def raise_missing(self) -> None:
        """Pass on that git lacks an object: that says nothing about the prompt, and must not be kept."""
        if self._missing is not None:
            raise self._missing

    def __call__(self, path: str) -> bytes:
        self.found[path] = True
        try:
            return self._read(path)
        except NotFound:
            self.found[path] = False
            raise
        except MissingObject as error:
            self._missing = error
            raise

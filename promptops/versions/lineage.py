"""The versions of a prompt along a branch's first-parent line, oldest known to newest.

A version starts at a commit that changes what the prompt means, and so its digest. What has been read once is
kept in the registry's index; where that cannot be written, in memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from promptops import __version__
from promptops.errors import NotFound, PromptopsError
from promptops.git.log import Commit, continues, first_parent_log
from promptops.git.process import MissingObject
from promptops.git.repo import GitRepo
from promptops.prompt import Prompt, load_prompt
from promptops.registry import history_index as index
from promptops.registry.history_index import FoundVersion, Known, Line, LineCommit, LineKey, Start, Touch
from promptops.registry.store import Registry

EVERYTHING = "*"  # among the files that a prompt follows: a link was followed, so any file may be its target
_DELETED = "deleted"

Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the versions of one prompt start, newest first; ``note`` says why there are no earlier ones."""

    starts: Sequence[Start]
    note: str = ""


def lineage(name: str, repo: GitRepo, registry: Registry | None = None) -> Lineage:
    tip = repo.tip()
    if tip.commit is None:
        return Lineage((), "there is no commit yet")
    key = LineKey(
        repository=str(repo.settings.common_dir),
        prefix=repo.settings.prefix.encode("utf-8", "backslashreplace").decode(),
        branch=tip.branch,
        made_by=_reading(repo),
    )
    store, line = _known_line(repo, registry, key, tip.commit)
    known = index.find_prompt(store, line, name)
    if known is None or known.commits != line.commits:
        if not store.writable:
            store = index.in_memory()
            line, known = _refreshed(repo, store, key, tip.commit), None
        known = _extend_prompt(repo, store, line, name, known)
    return Lineage(index.read_versions(store, line, name), known.note)


def prompt_files(name: str) -> tuple[str, str]:
    return f"{name}.yaml", f"{name}.yml"


def change_words(before: Prompt, after: Prompt) -> str:
    """What differs in meaning between two versions, in the words of the prompt file."""
    old, new = before.canonical(), after.canonical()
    return ", ".join(key for key in {**new, **old} if old.get(key) != new.get(key))


def _reading(repo: GitRepo) -> str:
    """Whatever else makes the same branch read differently: our release, and where a shallow clone is cut."""
    common = repo.settings.common_dir
    if common is None or not repo.is_shallow():
        return __version__
    return f"{__version__} {hashlib.sha256((common / 'shallow').read_bytes()).hexdigest()}"


def _known_line(repo: GitRepo, registry: Registry | None, key: LineKey, tip: str) -> tuple[Registry, Line]:
    if registry is not None:
        line = index.find_line(registry, key)
        if line is not None and line.tip == tip:
            return registry, line
        if registry.writable:
            return registry, _refreshed(repo, registry, key, tip)
    store = index.in_memory()
    return store, _refreshed(repo, store, key, tip)


def _refreshed(repo: GitRepo, store: Registry, key: LineKey, tip: str) -> Line:
    while True:  # until nobody else was quicker
        line = index.find_line(store, key)
        if line is not None and line.tip == tip:
            return line
        if line is not None and not (repo.has_commits(line.tip) and continues(repo.settings, line.tip, tip)):
            index.forget_line(store, key)
            line = None
        log = first_parent_log(repo.settings, tip, line.tip if line else None, repo.settings.prompts_path)
        commits = [_line_commit(commit, repo.settings.prompts_path) for commit in log]
        index.extend_line(store, key, line, tip, reversed(commits))


def _line_commit(commit: Commit, folder: str) -> LineCommit:
    paths = ((change.path.removeprefix(f"{folder}/"), change) for change in commit.changes)
    changes = [
        (path, change.old_oid, change.new_oid)
        for path, change in paths
        if path.isprintable()  # no prompt can name another file
    ]
    return LineCommit(commit.sha, commit.authored_at, commit.author, commit.subject, changes)


def _extend_prompt(repo: GitRepo, store: Registry, line: Line, name: str, known: Known | None) -> Known:
    """Bring one prompt's versions up to the line's tip, from its first commit on where need be."""
    since = list(index.read_touches(store, line, known.commits)) if known else []
    anew = known is None or _added(name, since)  # what is added may have been moved here
    if known is None or anew:
        since = list(index.read_touches(store, line, 0))
        lives, note = _lives(name, since)
        walk = _Walk(repo)
    else:
        lives, note = [_Life(0, name)], known.note
        walk = _Walk(repo, follows=set(known.follows))
        walk.go_on_from(index.read_versions(store, line, name))
    found = list(walk.versions(since, lives))
    after = Known(line.commits, tuple(sorted(walk.follows)), note)
    index.save_prompt(store, line, name, after, found, anew=anew)
    return after


def _added(name: str, touches: Iterable[Touch]) -> bool:
    files = prompt_files(name)
    return any(path in files and old is None for touch in touches for path, old, _ in touch.changes)


@dataclass(frozen=True, slots=True)
class _Life:
    """From a commit on, the prompt had this name."""

    since: int
    name: str


def _lives(name: str, touches: Sequence[Touch]) -> tuple[list[_Life], str]:
    """The names a prompt has had, oldest first, by following renames backwards."""
    lives: list[_Life] = []
    for touch in reversed(touches):
        gone, come = _moved(name, touch)
        if not gone:
            continue
        if len(gone) > 1 or len(come) > 1:
            files, verb = (gone, "from") if len(gone) > 1 else (come, "to")
            lives.append(_Life(touch.position, name))
            where = f"{touch.commit_sha[:12]} moves the same text {verb} {' and '.join(sorted(files))}"
            return lives[::-1], f"history stops here: {where}, so it cannot be told which was {name}"
        lives.append(_Life(touch.position, name))
        name = gone[0]
    return [_Life(0, name), *lives[::-1]], ""


def _moved(name: str, touch: Touch) -> tuple[list[str], list[str]]:
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
class _Walk:
    """Goes along a line and finds where versions start; reads only where a file that matters changed."""

    repo: GitRepo
    follows: set[str] = field(default_factory=set)
    valid: Prompt | None = None  # the last version that could be read
    digest: str | None = None  # of the latest entry; None after an invalid file or a deletion
    problem: str = ""

    def go_on_from(self, starts: Sequence[Start]) -> None:
        for newest in starts[:1]:
            self.digest, self.problem = newest.digest, newest.problem
        last = next((start for start in starts if start.digest), None)
        if last is not None:
            self.valid = load_prompt(last.name, self.repo.reader(last.commit_sha))

    def versions(self, touches: Iterable[Touch], lives: Sequence[_Life]) -> Iterator[FoundVersion]:
        later = list(lives)
        name = ""
        for touch in touches:
            while later and later[0].since <= touch.position:
                name = later.pop(0).name
            changed = {path for path, _, _ in touch.changes}
            if not name or not (changed & {*prompt_files(name), *self.follows} or EVERYTHING in self.follows):
                continue
            found = self._look(name, touch)
            if found is not None:
                yield found

    def _look(self, name: str, touch: Touch) -> FoundVersion | None:
        links = self.repo.links_followed
        read = _Recorder(self.repo.reader(touch.commit_sha))
        try:
            prompt = load_prompt(name, read)
        except PromptopsError as error:
            read.raise_missing()
            there = [path for path in prompt_files(name) if read.found.get(path)]
            found = self._broken(there[0], touch, error.message) if there else self._gone(name, touch)
        else:
            found = self._valid(touch, prompt)
        self.follows = set(read.found) | ({EVERYTHING} if self.repo.links_followed != links else set())
        return found

    def _valid(self, touch: Touch, prompt: Prompt) -> FoundVersion | None:
        if prompt.digest == self.digest:
            return None
        words = (change_words(self.valid, prompt) or "restored") if self.valid else "new"
        self.valid, self.digest, self.problem = prompt, prompt.digest, ""
        return FoundVersion(touch.position, prompt.path, prompt.digest, words, "")

    def _broken(self, path: str, touch: Touch, problem: str) -> FoundVersion | None:
        if problem == self.problem:
            return None
        self.digest, self.problem = None, problem
        return FoundVersion(touch.position, path, None, "invalid", problem)

    def _gone(self, name: str, touch: Touch) -> FoundVersion | None:
        if self.digest is None and self.problem in {"", _DELETED}:
            return None
        self.digest, self.problem = None, _DELETED
        return FoundVersion(touch.position, prompt_files(name)[0], None, _DELETED, _DELETED)


class _Recorder:
    """A reader that remembers what was asked for and whether it was there: a change to any of it matters."""

    def __init__(self, read: Read) -> None:
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

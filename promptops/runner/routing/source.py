"""Where it is read what channels serve: from git, without a process per call."""

from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from promptops.config.settings import Settings
from promptops.errors import NotFound
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.versions.references import Reference
from promptops.versions.release_state import ReleasedVersion, ReleaseState, find_state_commit, read_release
from promptops.versions.resolve import Version, load_released_version


class ReleaseSource(Protocol):
    """Release state and released versions. Asked at every call, so answers are kept."""

    def releases(self, prompt: str) -> ReleaseState | None: ...

    def version(self, prompt: str, released: ReleasedVersion) -> Version:
        """A released version. Raises Invalid when it can't be had, or is not what was released."""
        ...

    def stamp(self) -> object:
        """The same object for as long as nothing has changed."""
        ...


class _StateSnapshot:
    """What one commit of the state branch says, as far as it has been read."""

    def __init__(self, commit: str | None) -> None:
        self.commit = commit
        self.states: dict[str, ReleaseState | None] = {}


class GitSource:
    """The state branch of a repository, here or as last fetched. May be shared by threads.

    ``refresh`` follows the branch. When what it finds there can't be read it raises, and what was known
    before goes on being served.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._ref_stamps_seen: object = None
        self._snapshot: _StateSnapshot | None = None
        self._versions: dict[tuple[str, str], Version] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing is held open between two calls."""

    def stamp(self) -> object:
        return self._snapshot or self._first()

    def releases(self, prompt: str) -> ReleaseState | None:
        snapshot = self._snapshot or self._first()
        if prompt not in snapshot.states:
            with self._lock, GitRepo(self._settings) as repo:
                snapshot.states[prompt] = _read_state(repo, snapshot.commit, prompt)
        return snapshot.states[prompt]

    def version(self, prompt: str, released: ReleasedVersion) -> Version:
        key = prompt, released.digest
        if key not in self._versions:
            commit = (self._snapshot or self._first()).commit
            with self._lock, GitRepo(self._settings) as repo:
                self._versions[key] = _version(repo, commit, prompt, released)
        return self._versions[key]

    def refresh(self) -> bool:
        """Whether the state branch has moved. Costs a few ``stat`` where it hasn't, and starts no process."""
        marks = _ref_stamps(self._settings)
        if self._snapshot is not None and marks == self._ref_stamps_seen:
            return False
        before = self._snapshot
        with self._lock, GitRepo(self._settings) as repo:
            commit = find_state_commit(repo)
            if before is None or commit != before.commit:
                snapshot = _StateSnapshot(commit)
                for prompt in before.states if before else ():
                    snapshot.states[prompt] = self._preload(repo, commit, prompt)
                self._snapshot = snapshot
        self._ref_stamps_seen = marks
        return self._snapshot is not before

    def _first(self) -> _StateSnapshot:
        self.refresh()
        assert self._snapshot is not None  # noqa: S101 - the first refresh has just made it
        return self._snapshot

    def _preload(self, repo: GitRepo, commit: str | None, prompt: str) -> ReleaseState | None:
        """A prompt's releases with the versions that they serve, so that no call waits for git."""
        state = _read_state(repo, commit, prompt)
        for released in state.named() if state else ():
            if (prompt, released.digest) not in self._versions:
                try:
                    self._versions[prompt, released.digest] = _version(repo, commit, prompt, released)
                except NotFound:  # said to whoever is to be served it
                    continue
        return state


def _read_state(repo: GitRepo, commit: str | None, prompt: str) -> ReleaseState | None:
    return read_release(repo, commit, prompt) if commit else None


def _version(repo: GitRepo, commit: str | None, prompt: str, released: ReleasedVersion) -> Version:
    wanted = Reference(f"{prompt}@{released.version}", prompt)
    return load_released_version(repo, str(commit), wanted, released)


def _ref_stamps(settings: Settings) -> tuple[tuple[str, int, int, int], ...]:
    """What shows that a ref may have moved: the files that git keeps it in."""
    common = settings.common_dir or Path()
    files = [
        common / "refs" / "heads" / STATE_BRANCH,
        *sorted((common / "refs" / "remotes").glob(f"*/{STATE_BRANCH}")),
        common / "packed-refs",
        common / "reftable" / "tables.list",
    ]
    return tuple(_file_stat(file) for file in files if file.is_file())


def _file_stat(file: Path) -> tuple[str, int, int, int]:
    stat = file.stat()
    return str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino

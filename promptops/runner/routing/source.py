"""Reads from git what channels serve, without a process per call."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.log import PackageLogger
from promptops.release.state_trust import AuditedReleases, audit_state
from promptops.versions.references import Reference
from promptops.versions.release_reader import find_state_commit
from promptops.versions.release_state import ReleasedVersion, ReleaseState
from promptops.versions.resolve import Version, load_released_version

_LOG = PackageLogger("promptops.runner")


class ReleaseSource(Protocol):
    """Release state and released versions. Asked at every call, so answers are kept."""

    def releases(self, prompt: str) -> ReleaseState | None: ...

    def all_releases(self) -> Mapping[str, ReleaseState]:
        """Of every prompt that is released, by its name. Not kept: for listings."""
        ...

    def version(self, prompt: str, released: ReleasedVersion) -> Version:
        """A released version. Raises Invalid when it can't be had, or is not what was released."""
        ...

    def stamp(self) -> object:
        """The same object for as long as nothing has changed."""
        ...


class _StateSnapshot:
    """What one commit of the state branch says, as far as it has been read."""

    def __init__(self, repo: GitRepo, commit: str | None) -> None:
        self.commit = commit
        self._audit = audit_state(repo, commit) if commit else None
        self.content = self._audit.content if self._audit else None
        self.states: dict[str, ReleaseState | None] = {}

    def read(self, repo: GitRepo, prompt: str) -> ReleaseState | None:
        """A prompt's releases in the newest commit whose state of that prompt can be trusted."""
        return AuditedReleases(repo, self._audit).release(prompt) if self._audit else None

    def read_all(self, repo: GitRepo) -> Mapping[str, ReleaseState]:
        return AuditedReleases(repo, self._audit).releases() if self._audit else {}


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
                snapshot.states[prompt] = snapshot.read(repo, prompt)
        return snapshot.states[prompt]

    def all_releases(self) -> Mapping[str, ReleaseState]:
        snapshot = self._snapshot or self._first()
        with self._lock, GitRepo(self._settings) as repo:
            return snapshot.read_all(repo)

    def version(self, prompt: str, released: ReleasedVersion) -> Version:
        key = prompt, released.digest
        if key not in self._versions:
            commit = (self._snapshot or self._first()).content
            with self._lock, GitRepo(self._settings) as repo:
                self._versions[key] = _version(repo, commit, prompt, released)
        return self._versions[key]

    def refresh(self) -> bool:
        """Whether the state branch has moved. Costs a few ``stat`` where it hasn't, and starts no process."""
        stamps = _ref_stamps(self._settings)
        if self._snapshot is not None and stamps == self._ref_stamps_seen:
            return False
        before = self._snapshot
        with self._lock, GitRepo(self._settings) as repo:
            commit = find_state_commit(repo)
            if commit is None and before is not None and before.commit is not None:
                raise _lost_branch(before.commit)
            if before is None or commit != before.commit:
                snapshot = _StateSnapshot(repo, commit)
                for prompt, known in before.states.items() if before else ():
                    snapshot.states[prompt] = self._preload(repo, snapshot, prompt, known)
                self._snapshot = snapshot
        self._ref_stamps_seen = stamps
        return self._snapshot is not before

    def _first(self) -> _StateSnapshot:
        self.refresh()
        assert self._snapshot is not None  # noqa: S101 - the first refresh has just made it
        return self._snapshot

    def _preload(
        self, repo: GitRepo, snapshot: _StateSnapshot, prompt: str, before: ReleaseState | None
    ) -> ReleaseState | None:
        """A prompt's releases with the versions that they serve, so that no call waits for git.

        ``before``: what goes on being served where something of it cannot be read.
        """
        try:
            state = snapshot.read(repo, prompt)
            for released in _served_versions(state) if state else ():
                self._preload_version(repo, snapshot, prompt, released)
        except Invalid as error:
            _LOG.warning(f"{error.message}; {prompt} goes on being served as before\n  {error.hint}")
            return before
        return state

    def _preload_version(
        self, repo: GitRepo, snapshot: _StateSnapshot, prompt: str, released: ReleasedVersion
    ) -> None:
        key = prompt, released.digest
        if key not in self._versions:
            with suppress(NotFound):  # said to whoever is to be served it
                self._versions[key] = _version(repo, snapshot.content, prompt, released)


def _lost_branch(commit: str) -> Invalid:
    """Whoever deletes it has released nothing, and rolled nothing back."""
    return Invalid(
        f"the branch {STATE_BRANCH} is gone, and what it released before goes on being served",
        hint=f"promptops release sync fetches it; or git branch {STATE_BRANCH} {commit[:12]}",
    )


def _served_versions(state: ReleaseState) -> Iterator[ReleasedVersion]:
    for channel in state.channels.values():
        yield from (released for released in (channel.stable, channel.canary) if released)


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

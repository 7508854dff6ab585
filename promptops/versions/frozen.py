"""A released version from its frozen file, verified; where that is damaged, from the commit it came from."""

from collections.abc import Callable, Mapping

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.log import PackageLogger
from promptops.prompt import Prompt, load_prompt
from promptops.versions.release_reader import read_released_snapshot
from promptops.versions.release_state import ReleasedSnapshot, ReleasedVersion, snapshot_path

_LOG = PackageLogger("promptops.versions")
_SHORT = 12
_RECOVER = "promptops release recover repairs it; promptops release verify says who changed it"


@dataclass(frozen=True, slots=True)
class FrozenPrompt:
    """``problem``: what is wrong with the frozen file, which is not used then."""

    prompt: Prompt
    commit: str | None
    files: Mapping[str, bytes]
    problem: str = ""

    def snapshot(self, released: ReleasedVersion) -> ReleasedSnapshot:
        """What the frozen file has to say."""
        commit = self.commit or released.commit
        return ReleasedSnapshot(self.prompt.name, released.version, released.digest, commit, self.files)


def load_frozen_prompt(repo: GitRepo, state: str, name: str, released: ReleasedVersion) -> FrozenPrompt:
    """A released version as the state branch keeps it at ``state``; else from the commit, with a warning.

    Raises Invalid where neither is what was released, NotFound where there is neither.
    """
    frozen, problem = None, ""
    try:
        frozen = read_released_snapshot(repo, state, name, released.digest)
        commit = _known_commit(repo, released.commit or (frozen.commit if frozen else None))
        if frozen:
            prompt = load_verified(name, frozen.read, released.digest)
            return FrozenPrompt(prompt, commit or released.commit or frozen.commit, frozen.files)
    except Invalid as error:
        problem = error.message
        commit = _known_commit(repo, released.commit or (frozen.commit if frozen else None))
    if commit is None:
        raise _nowhere_error(name, released, problem)
    return _load_from_commit(repo, commit, name, released, problem)


def load_verified(name: str, read: Callable[[str], bytes], digest: str) -> Prompt:
    """Raises Invalid where the files are not the version of this digest."""
    prompt = load_prompt(name, read)
    recorded = prompt.with_digest(digest)
    if recorded is None:
        raise Invalid(
            f"{name} reads as sha256:{prompt.digest[:_SHORT]}, not as sha256:{digest[:_SHORT]}",
            hint="its files were changed after it was recorded, or another release of promptops recorded it",
        )
    return recorded


def is_sound(frozen: ReleasedSnapshot) -> bool:
    """Whether a frozen version reads as the digest that it is named by."""
    try:
        load_verified(frozen.prompt, frozen.read, frozen.digest)
    except Invalid:
        return False
    return True


def _load_from_commit(
    repo: GitRepo, commit: str, name: str, released: ReleasedVersion, problem: str
) -> FrozenPrompt:
    read = repo.reader(commit)
    try:
        prompt = load_verified(name, read, released.digest)
    except Invalid as error:
        if problem:
            raise _nowhere_error(name, released, problem) from error
        raise
    if problem:
        path = f"{STATE_BRANCH}:{snapshot_path(name, released.digest)}"
        _LOG.warning(f"{path}: {problem}; read from its commit {commit[:_SHORT]} instead\n  {_RECOVER}")
    return FrozenPrompt(prompt, commit, {path: read(path) for path in prompt.closure}, problem)


def _known_commit(repo: GitRepo, commit: str | None) -> str | None:
    return repo.resolve_commit(commit) if commit is not None and repo.has_commits(commit) else None


def _nowhere_error(name: str, released: ReleasedVersion, problem: str) -> Invalid:
    if problem:
        path = f"{STATE_BRANCH}:{snapshot_path(name, released.digest)}"
        return Invalid(f"{path}: {problem}; its commit is not here", hint=_RECOVER)
    return NotFound(
        f"{name} {released.version} is neither kept on the state branch nor in a commit here",
        hint="git fetch --all, then again",
    )

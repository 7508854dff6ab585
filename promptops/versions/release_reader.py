"""What is released where, read from the branch ``promptops-state`` (see ``release_state`` for its files)."""

from collections.abc import Iterator, Mapping, Sequence

from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH as BRANCH
from promptops.git.repo import GitRepo
from promptops.log import PackageLogger
from promptops.versions.release_state import (
    ReleasedSnapshot,
    ReleaseState,
    decode_release,
    decode_snapshot,
    decode_snapshot_head,
    release_path,
    snapshot_path,
)

_LOG = PackageLogger("promptops.versions")


def find_state_commit(repo: GitRepo) -> str | None:
    """The newest commit of the state branch, here or as last fetched; None before the first release."""
    found = repo.state_heads()
    commits = list(dict.fromkeys(found.values()))
    newest = _newest(repo, commits)
    if commits and not newest:
        newest = _newest(repo, _related_commits(repo, commits))
    if commits and not newest:
        raise Invalid(
            f"{BRANCH} has diverged: {', '.join(f'{name} at {oid[:12]}' for name, oid in found.items())}",
            hint="promptops release sync",
        )
    return newest[0] if newest else None


def _newest(repo: GitRepo, commits: Sequence[str]) -> list[str]:
    return [one for one in commits if all(repo.is_ancestor(other, one) for other in commits if other != one)]


def _related_commits(repo: GitRepo, commits: Sequence[str]) -> list[str]:
    """Those that share a history with what was verified: another branch of that name is not ours."""
    unrelated = unrelated_heads(repo)
    for name, oid in unrelated.items():
        _LOG.warning(f"{name} at {oid[:12]} is another branch than was verified here; it is not used")
    return [one for one in commits if unrelated and one not in unrelated.values()]


def unrelated_heads(repo: GitRepo) -> dict[str, str]:
    """State branches, by ref, that share no history with what was verified here; none where all do so."""
    verified, heads = repo.verified_state(), repo.state_heads()
    if verified is None or len(set(heads.values())) < 2:  # one alone is looked at by itself
        return {}
    return {name: oid for name, oid in heads.items() if repo.common_ancestor(oid, verified) is None}


def read_release(repo: GitRepo, commit: str, prompt: str) -> ReleaseState | None:
    """One prompt's releases; None while it has none. Raises Invalid when they are another project's."""
    state = read_release_of_any_project(repo, commit, prompt)
    if state and state.project != repo.settings.prefix:
        theirs = state.project or "the top of the repository"
        raise Invalid(
            f"`{prompt}` is released by another project of this repository, in {theirs}",
            hint="prompts of one name cannot be released by two projects: rename one of them",
        )
    return state


def read_release_of_any_project(repo: GitRepo, commit: str, prompt: str) -> ReleaseState | None:
    """The releases of a prompt, whichever project of the repository it belongs to."""
    try:
        return decode_release(repo.read(commit, release_path(prompt)), prompt)
    except NotFound:
        return None


def read_release_states(repo: GitRepo, commit: str) -> dict[str, ReleaseState]:
    """Of every project. A file that cannot be read is said, and concerns its own prompt alone."""
    names = released_names(repo, commit)
    try:
        texts = repo.read_many([(commit, release_path(name)) for name in names])
        states = [decode_release(text, name) for text, name in zip(texts, names, strict=True)]
    except Invalid:  # one of them; the others are read without it
        return {name: state for name in names if (state := _read_or_warn(repo, commit, name))}
    return {state.prompt: state for state in states}


def _read_or_warn(repo: GitRepo, commit: str, prompt: str) -> ReleaseState | None:
    try:
        return read_release_of_any_project(repo, commit, prompt)
    except Invalid as error:
        _LOG.warning(f"{error.message}; {prompt} is left out\n  {error.hint}")
        return None


def released_names(repo: GitRepo, commit: str) -> list[str]:
    """Names that have a file of releases, whatever it holds."""
    paths = [entry.path for entry in repo.list_files(commit, "releases")]
    return [path[len("releases/") : -len(".yaml")] for path in paths if path.endswith(".yaml")]


def read_released_snapshot(repo: GitRepo, commit: str, prompt: str, digest: str) -> ReleasedSnapshot | None:
    path = snapshot_path(prompt, digest)
    try:
        text = repo.read(commit, path)
    except NotFound:
        return None
    return decode_snapshot(text, path, prompt)


def decode_snapshots(files: Mapping[str, bytes], prompt: str) -> list[ReleasedSnapshot]:
    """Every released version of a prompt, from the files below ``versions/<prompt>``."""
    return [decode_snapshot(text, path, prompt) for path, text in _own_files(files, prompt)]


def decode_version_numbers(files: Mapping[str, bytes], state: ReleaseState) -> dict[str, str]:
    """The number of every released version, by digest: read without the files that they are made of."""
    found = {one.digest: one.version for one in state.named()}
    return found | dict(decode_snapshot_head(text, path) for path, text in _own_files(files, state.prompt))


def _own_files(files: Mapping[str, bytes], prompt: str) -> Iterator[tuple[str, bytes]]:
    """Without those of prompts below its name."""
    depth = f"versions/{prompt}/".count("/")
    return (each for each in files.items() if each[0].endswith(".yaml") and each[0].count("/") == depth)

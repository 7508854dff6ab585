"""Commits to the state branch by plumbing alone: no work tree, no index of the user, no branch checked out.

One commit is ``hash-object``, ``read-tree``, ``update-index``, ``write-tree``, ``commit-tree`` on a temporary
index; it counts from the ``update-ref`` on, which names the value that the ref must have had.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from promptops.config.locks import LOCK_TIMEOUT_S, file_lock
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.git.actor import actor_of
from promptops.git.process import git_error, run_git, run_git_unchecked
from promptops.git.repo import STATE_REF

_POLL_INTERVAL_S = 0.003
_STALE_LOCK_S = 2.0  # git itself holds the lock of a ref for microseconds
_NO_IDENTITY = ("Please tell me who you are", "empty ident name", "auto-detection is disabled")


@dataclass(frozen=True, slots=True)
class GitIdentity:
    """Who releases, and what git's configuration says of commits and of the remotes there are."""

    remotes: tuple[str, ...]
    signs: bool
    actor: str  # as ``actor_of`` has it


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """``old``: None when the ref must not exist, "" when it may have any value."""

    ref: str
    new: str
    old: str | None


def read_git_identity(settings: Settings) -> GitIdentity:
    """Read git's configuration, as far as it matters here, in one go.

    Git reads it, as rules on who may approve rest on it: the readers of GitPython know neither
    ``committer.name`` nor what variables, the command line and a work tree configure.
    """
    keys = r"^(remote\..*\.url|commit\.gpgsign|(user|committer)\.(name|email))$"
    stdout = run_git(settings, "config", "-z", "--get-regexp", keys, ok=(0, 1)).decode("utf-8", "replace")
    pairs = [entry.partition("\n") for entry in stdout.split("\0")[:-1]]
    values = {key: value if mark else "true" for key, mark, value in pairs}
    remotes = tuple(key[len("remote.") : -len(".url")] for key in values if key.startswith("remote."))
    signs = values.get("commit.gpgsign", "").lower() in {"true", "yes", "on", "1"}
    return GitIdentity(remotes, signs, actor_of(values, os.environ))


def has_committer_identity(settings: Settings) -> bool:
    """Whether git has a name to commit under, be it one that it makes up."""
    return run_git_unchecked(settings, "var", "GIT_COMMITTER_IDENT").returncode == 0


def write_commit(
    settings: Settings,
    parent: str | None,
    files: Mapping[str, bytes | None],
    message: str,
    *,
    sign: bool = False,
) -> str:
    """The id of a new commit: the parent's files with these over them, None for one less. No ref moves.

    Raises Invalid where git knows no name to commit under, or cannot sign.
    """
    with tempfile.TemporaryDirectory(prefix="promptops-") as folder:
        kept = {path: content for path, content in files.items() if content is not None}
        oids = dict(zip(kept, _write_blobs(settings, Path(folder), list(kept.values())), strict=True))
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        if parent:
            run_git(settings, "read-tree", parent, env=env)
        gone = "0" * len(parent or "")
        lines = "".join(_index_entry(path, oids.get(path), gone) for path in files)
        run_git(settings, "update-index", "-z", "--index-info", stdin=os.fsencode(lines), env=env)
        tree = run_git(settings, "write-tree", env=env).decode().strip()
    return _commit_tree(settings, tree, parent, message, sign=sign)


def _index_entry(path: str, oid: str | None, gone: str) -> str:
    return f"100644 {oid}\t{path}\0" if oid else f"0 {gone}\t{path}\0"


def _write_blobs(settings: Settings, folder: Path, contents: Sequence[bytes]) -> list[str]:
    """Write blobs and return their ids, with one process for all."""
    if not contents:
        return []
    paths = [folder / f"blob{index}" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    given = b"".join(os.fsencode(path) + b"\n" for path in paths)
    return (
        run_git(settings, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given).decode().split()
    )


def _commit_tree(settings: Settings, tree: str, parent: str | None, message: str, *, sign: bool) -> str:
    options = [*(["-S"] if sign else []), *(["-p", parent] if parent else [])]
    result = run_git_unchecked(settings, "commit-tree", tree, *options, stdin=message.encode())
    if result.returncode == 0:
        return result.stdout.decode().strip()
    stderr = result.stderr.decode("utf-8", "replace")
    if any(sentence in stderr for sentence in _NO_IDENTITY):
        raise Invalid(
            "git does not know who commits this release",
            hint='git config user.name "Ada"; git config user.email ada@example.org',
        )
    if sign:
        raise SigningError(
            f"git cannot sign the commit: {' '.join(stderr.split())}",
            hint="commit.gpgsign is on: see user.signingkey and gpg.format in git help config",
        )
    raise git_error(result.stderr, "commit-tree")


class SigningError(Invalid):
    """Signing is configured and fails."""


def update_refs(settings: Settings, *moves: RefUpdate, patience_s: float = _STALE_LOCK_S) -> bool:
    """Move refs, all or none; False where one of them is not what it must have been."""
    if not moves:
        return True
    zero = "0" * len(moves[0].new)
    lines = (f"update {move.ref}\0{move.new}\0{zero if move.old is None else move.old}\0" for move in moves)
    # the message is for the reflog, which is where a mistaken move is found
    words = ("update-ref", "-m", "promptops", "--create-reflog", "-z", "--stdin")
    commands, until = "".join(lines).encode(), time.monotonic() + patience_s
    while True:
        result = run_git_unchecked(settings, *words, stdin=commands)
        if result.returncode == 0:
            return True
        if b".lock': File exists" not in result.stderr:
            break
        if time.monotonic() > until:
            raise _stale_lock_error(result.stderr)
        time.sleep(_POLL_INTERVAL_S)
    if b"cannot lock ref" in result.stderr:
        return False
    raise git_error(result.stderr, "update-ref")


def _stale_lock_error(stderr: bytes) -> Unavailable:
    """A lock of git's own, which outlives a git that was killed."""
    path = stderr.decode("utf-8", "replace").partition("Unable to create '")[2].partition("'")[0]
    return Unavailable(
        f"git's lock {path} stays: another git holds it, or one that was killed has left it behind",
        hint=f"where no git is running: rm '{path}', then again",
    )


def delete_ref(settings: Settings, ref: str) -> None:
    run_git(settings, "update-ref", "-d", ref)


# beside git


@contextmanager
def repository_lock(
    settings: Settings, name: str = "promptops-state", *, timeout_s: float = LOCK_TIMEOUT_S
) -> Iterator[None]:
    """One process of promptops at a time, in all worktrees; ends with the process, however it ends."""
    common = settings.common_dir
    if common is None:
        raise Invalid("there is no git repository here", hint="git init && promptops init")
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(common / f"{name}.lock", timeout_s))
        except OSError as error:
            hint = "check its permissions"
            raise Invalid(f"cannot write to {common}: {error.strerror}", hint=hint) from error
        yield


def state_branch_checkouts(settings: Settings) -> list[Path]:
    """Work trees that have the state branch checked out."""
    common = settings.common_dir
    if common is None:
        return []
    found = [common.parent] if _has_state_branch_checked_out(common) and common.name == ".git" else []
    for folder in (common / "worktrees").glob("*"):
        link = folder / "gitdir"
        if _has_state_branch_checked_out(folder) and link.is_file():
            found.append(Path(link.read_text().strip()).parent)
    return found


def _has_state_branch_checked_out(git_dir: Path) -> bool:
    head = git_dir / "HEAD"
    return head.is_file() and head.read_bytes().strip() == f"ref: {STATE_REF}".encode()


def update_work_tree(settings: Settings, work_tree: Path, old: str | None, new: str) -> bool:
    """Bring a work tree's files from one commit to another; False where somebody's changes are in the way."""
    trees = [old, new] if old else [new]
    return run_git_unchecked(settings, "-C", str(work_tree), "read-tree", "-m", "-u", *trees).returncode == 0

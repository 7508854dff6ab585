"""Every child process that runs git is started here."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, cast

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError, disk_full_error

# A user's configuration must not change what git prints to us.
_FIXED_CONFIG = (
    "core.warnAmbiguousRefs=true",
    "core.quotePath=false",
    "color.ui=false",
    "log.follow=false",
    "log.showRoot=true",
    "log.showSignature=false",
)
# Requests in flight always fit the pipe, so that neither side waits for the other to read.
_PIPE_BYTES = 16_384
_NO_EXTRA_ENV: Mapping[str, str] = MappingProxyType({})
# a partial clone must not fetch behind our back
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}
_ONLINE = {"GIT_TERMINAL_PROMPT": "0"}


class MissingObject(Invalid):
    """An object that the repository names and does not hold: nothing can be said of its content."""


@dataclass(frozen=True, slots=True)
class GitObject:
    """What ``git cat-file`` says of one object name."""

    kind: Literal["blob", "tree", "commit", "tag", "missing"]
    oid: str = ""
    data: bytes = b""
    warning: str = ""


class _ChildExitedError(Exception):
    """The child is gone; its stderr tells why."""


def start_git(
    settings: Settings,
    args: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] = _NO_EXTRA_ENV,
) -> "subprocess.Popen[bytes]":
    """Start git in the repository, without the network. ``env`` is added to its environment."""
    return _start(settings, args, {**_OFFLINE, **env}, stdin=stdin)


def start_git_online(settings: Settings, args: Sequence[str]) -> "subprocess.Popen[str]":
    """Start git, which may use the network and asks nobody: its session has no terminal.

    ssh and its like are in that session too, so that they can be killed together with git.
    """
    text = {"encoding": "utf-8", "errors": "replace"}
    return _start(settings, args, _ONLINE, stdin=subprocess.DEVNULL, start_new_session=True, **text)


def _start(
    settings: Settings, args: Sequence[str], env: Mapping[str, str], **options: Any
) -> "subprocess.Popen[Any]":
    config = (word for value in _FIXED_CONFIG for word in ("-c", value))
    try:
        return subprocess.Popen(
            ["git", "--literal-pathspecs", *config, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_folder(settings),
            env={**_environment(settings), **env},
            **options,
        )
    except FileNotFoundError as error:
        raise Invalid("git was not found on PATH", hint="install git 2.31 or newer") from error


@dataclass(frozen=True, slots=True)
class GitResult:
    """What a git command printed, and its exit code."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_git(
    settings: Settings,
    *args: str,
    ok: tuple[int, ...] = (0,),
    stdin: bytes | None = None,
    env: Mapping[str, str] = _NO_EXTRA_ENV,
) -> bytes:
    """Run one git command and return what it prints; an exit code outside ``ok`` is an error."""
    result = run_git_unchecked(settings, *args, stdin=stdin, env=env)
    if result.returncode not in ok:
        raise git_error(result.stderr, args[0])
    return result.stdout


def run_git_unchecked(
    settings: Settings, *args: str, stdin: bytes | None = None, env: Mapping[str, str] = _NO_EXTRA_ENV
) -> GitResult:
    """Run one git command, whatever its exit code."""
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    with start_git(settings, args, stdin=source, env=env) as child:
        stdout, stderr = child.communicate(stdin)
    return GitResult(child.returncode, stdout, stderr)


def git_error(stderr: bytes, command: str) -> PromptopsError:
    """Turn what git printed on stderr into an error with a next step."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    cause = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
    if "dubious ownership" in cause:
        step = next((line.strip() for line in lines if "safe.directory" in line), "see git help config")
        return Invalid(f"git refuses this repository: {cause.removeprefix('fatal: ')}", hint=step)
    if "promisor remote" in cause or (cause.startswith("fatal: transport") and "not allowed" in cause):
        return MissingObject(
            "an object is not in this partial clone", hint="fetch the rest: git fetch --refetch --no-filter"
        )
    if "No space left on device" in cause or "Disk quota exceeded" in cause:
        return disk_full_error(f"for git {command}")
    return Invalid(
        f"git {command} failed: {cause or ' '.join(lines) or 'it was killed'}", hint="try: git fsck"
    )


class CatFile:
    """One ``git cat-file --batch``, started when first asked and again should it die."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self, name: str) -> GitObject:
        """Ask for one object; ``name`` is anything git can resolve, without a line break."""
        for _ in range(2):
            child = self._running()
            try:
                self._send(child, [name])
                return self._take(child)
            except (_ChildExitedError, BrokenPipeError):
                self._reap(child)
        raise Invalid("git cat-file dies again and again", hint="try: git fsck")

    def ask_many(self, names: Sequence[str]) -> Iterator[GitObject]:
        """Ask for many objects, keeping the child busy while the answers are read."""
        window = max(1, _PIPE_BYTES // max((len(os.fsencode(name)) + 1 for name in names), default=1))
        unasked = iter(names)
        child = self._running()
        waiting = 0
        try:
            waiting = self._send(child, list(islice(unasked, window)))
            while waiting:
                if waiting <= window // 2:
                    waiting += self._send(child, list(islice(unasked, window // 2)))
                answer = self._take(child)
                waiting -= 1
                yield answer
        except (_ChildExitedError, BrokenPipeError) as error:
            self._reap(child)
            raise Invalid("git cat-file died while reading", hint="try: git fsck") from error
        finally:
            if waiting:  # unread answers would be taken for those of the next question
                child.kill()
                self.close()

    def close(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout, child.stderr):
            try:
                _pipe(pipe).close()
            except BrokenPipeError:
                continue
        child.wait()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._child is None:
            self._child = start_git(self._settings, ["cat-file", "--batch"], stdin=subprocess.PIPE)
            os.set_blocking(_pipe(self._child.stderr).fileno(), False)
        return self._child

    def _send(self, child: "subprocess.Popen[bytes]", names: Sequence[str]) -> int:
        pipe = _pipe(child.stdin)
        pipe.write(b"".join(os.fsencode(name) + b"\n" for name in names))
        pipe.flush()
        return len(names)

    def _take(self, child: "subprocess.Popen[bytes]") -> GitObject:
        out = _pipe(child.stdout)
        header = out.readline()
        if not header.endswith(b"\n"):
            raise _ChildExitedError
        oid, _, rest = header.decode("utf-8", "surrogateescape").rstrip("\n").partition(" ")
        kind, _, size = rest.partition(" ")
        if header.endswith((b" missing\n", b" ambiguous\n", b" submodule\n")) or not size.isdigit():
            return GitObject("missing", warning=self._read_stderr(child))
        data = out.read(int(size))
        if out.read(1) != b"\n":
            raise _ChildExitedError
        return GitObject(kind, oid, data, self._read_stderr(child))  # type: ignore[arg-type]  # git's four types

    def _read_stderr(self, child: "subprocess.Popen[bytes]") -> str:
        """Whatever stderr holds by now: git warns before it answers."""
        try:
            return os.read(_pipe(child.stderr).fileno(), 1 << 16).decode("utf-8", "replace")
        except BlockingIOError:
            return ""

    def _reap(self, child: "subprocess.Popen[bytes]") -> None:
        child.wait()
        stderr = self._read_stderr(child)
        self.close()
        if "fatal:" in stderr:
            raise git_error(stderr.encode(), "cat-file")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    return cast("IO[bytes]", pipe)  # all three are pipes here


def _folder(settings: Settings) -> Path:
    folder = settings.top or settings.git_dir
    if folder is None:
        raise Invalid("there is no git repository here", hint="git init && promptops init")
    return folder


def _environment(settings: Settings) -> Mapping[str, str]:
    env = {
        **os.environ,
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    # Named by its path only where the user did so: git's own search is what checks the owner of a repository.
    if os.environ.get("GIT_DIR"):
        env["GIT_DIR"] = str(settings.git_dir)
    if settings.top is not None and (os.environ.get("GIT_DIR") or os.environ.get("GIT_WORK_TREE")):
        env["GIT_WORK_TREE"] = str(settings.top)
    return env

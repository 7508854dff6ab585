"""One fetch or push, with its progress, by GitPython.

Imported where a remote is talked to and nowhere else: GitPython takes longer to import than git to read.
Of GitPython it takes the pumps that read two pipes until a deadline, and the parser of git's progress. Not
``Remote``: its ``fetch`` overwrites the user's FETCH_HEAD, and its ``push`` drops the server's answer for a
commit that no ref names. Not ``Git``: its time-outs wait for ssh where neither pgrep nor ps is installed.
"""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from git import RemoteProgress
from git.cmd import handle_process_output

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Unavailable
from promptops.git.process import start_git_online

OnStage = Callable[[str, int, int | None], None]
"""Called with the stage, and how much of it is done, of how much where that is known."""

_MAX_LINES = 1000  # of what a server may say; the newest are kept
_STAGES = {
    RemoteProgress.COUNTING: "counting objects",
    RemoteProgress.COMPRESSING: "compressing objects",
    RemoteProgress.WRITING: "writing objects",
    RemoteProgress.RECEIVING: "receiving objects",
    RemoteProgress.RESOLVING: "resolving deltas",
    RemoteProgress.FINDING_SOURCES: "finding sources",
}


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What git printed, without the lines that only say how far it has come."""

    returncode: int
    stdout: tuple[str, ...]
    stderr: tuple[str, ...]


def run_transfer(
    settings: Settings, command: str, *args: str, timeout_s: float, on_stage: OnStage | None = None
) -> TransferResult:
    """Run ``git fetch`` or ``git push``. Raises Unavailable when it has not ended in time."""
    progress = ["--progress"] if on_stage else []
    stdout: deque[str] = deque(maxlen=_MAX_LINES)
    stderr = _StderrLines(on_stage)
    child = start_git_online(settings, [command, *progress, *args])
    try:
        handle_process_output(
            child, stdout.append, stderr.take, decode_streams=False, kill_after_timeout=timeout_s
        )
        child.wait(timeout_s)
    except BaseException as error:
        _kill_session(child)
        if isinstance(error, (RuntimeError, subprocess.TimeoutExpired)):  # the former is GitPython's
            raise Unavailable(
                f"git {command} did not finish within {timeout_s:g} s", hint="try again"
            ) from None
        raise
    return TransferResult(child.returncode, tuple(line.rstrip() for line in stdout), tuple(stderr.lines))


class _StderrLines(RemoteProgress):
    """Keeps the lines that are no progress, in their order, and reports those that are."""

    def __init__(self, on_stage: OnStage | None) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._on_stage = on_stage
        self._parse = self.new_message_handler()

    def take(self, line: str) -> None:
        self._parse(line)
        self.lines.extend(self.error_lines)
        self.error_lines.clear()  # both lists grow with all that a server says
        self.other_lines.clear()

    def line_dropped(self, line: str) -> None:
        self.lines.append(line)

    def update(
        self, op_code: int, cur_count: str | float, max_count: str | float | None = None, message: str = ""
    ) -> None:
        del message
        stage = _STAGES.get(op_code & self.OP_MASK)
        if stage and self._on_stage:
            self._on_stage(stage, int(cur_count), int(max_count) if max_count else None)


def _kill_session(child: "subprocess.Popen[str]") -> None:
    """End git and all that it has started; the pumps read to the end of the pipes and close them."""
    with suppress(ProcessLookupError, PermissionError):  # it has just ended
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()

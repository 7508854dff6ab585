"""Several processes that answer on one port: forks of one that has started no thread."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from promptops.config.held_signals import ENDING, take_ending_signals
from promptops.errors import ExitCode, PromptopsError, Unavailable
from promptops.log import PackageLogger, with_hint

_LOG = PackageLogger("promptops.gateway")

_BACKLOG = 1024
_SHORT_LIFE_S = 2.0  # a worker that ended sooner is started again after a pause of that length
_MAX_SHORT_LIVES = 5


def listen(host: str, port: int) -> socket.socket:
    """A socket that all workers take connections from. Raises Unavailable where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = str(error.strerror or error).partition(" (while ")[0]  # which says the address once more
        raise Unavailable(f"cannot listen on {host}:{port}: {why}", hint=_hint(error.errno or 0)) from None


def _hint(number: int) -> str:
    if number == errno.EADDRNOTAVAIL or number < 0:  # of a name that means no address
        return "name an address of this machine with --host, such as 127.0.0.1"
    if number == errno.EACCES:
        return "ports below 1024 are the system's: name another one with --port"
    return "stop what listens there, or name another port with --port"


def url_of(listening: socket.socket) -> str:
    """The base URL of clients."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


class WorkerPool:
    """Keeps so many workers alive until it is told to end. ``work`` is given the number of its worker."""

    def __init__(self, count: int, work: Callable[[int], int]) -> None:
        self._count = count
        self._work = work
        self._started: dict[int, tuple[int, float]] = {}  # by the id of the process
        self._short_lives = 0
        self._ending = False

    def run(self) -> int:
        """Return when all have ended: 0 where they were told to, else what the first one ended with."""
        take_ending_signals(lambda *_: self._end())
        for number in range(self._count):
            self._start(number)
        code = 0
        while self._started:
            process, status = os.wait()
            number, began = self._started.pop(process)
            lived = time.monotonic() - began
            if not self._ending and (found := self._replace(number, process, status, lived)):
                code = found
                self._end()
        return code

    def _replace(self, number: int, process: int, status: int, lived: float) -> int:
        """Start another one in its place; the exit code where that would not help."""
        code = os.waitstatus_to_exitcode(status)
        self._short_lives = self._short_lives + 1 if lived < _SHORT_LIFE_S else 0
        if code > 0 or self._short_lives >= _MAX_SHORT_LIVES:
            return code if code > 0 else Unavailable.exit_code
        who = f"worker {number} (process {process})"
        _LOG.warning(f"{who} was killed by signal {-code}; another one takes its place")
        if self._short_lives:
            time.sleep(_SHORT_LIFE_S)
        self._start(number)
        return 0

    def _start(self, number: int) -> None:
        """Unless all are to end; who is told so meanwhile finds this one among those that it has to tell."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if not self._ending:
            process = os.fork()
            if not process:
                self._work_and_leave(number)
            self._started[process] = number, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _work_and_leave(self, number: int) -> NoReturn:
        take_ending_signals(signal.SIG_DFL)  # nothing is under way until the work says otherwise
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        code = int(ExitCode.BUG)
        try:
            code = self._work(number)
        except PromptopsError as error:
            _LOG.warning(with_hint(error.message, error.hint))
            code = error.exit_code
        finally:
            os._exit(code)

    def _end(self) -> None:
        self._ending = True
        for process in self._started:
            os.kill(process, signal.SIGTERM)
            os.kill(process, signal.SIGCONT)  # one that was stopped hears it too

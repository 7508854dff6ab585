"""Command lines of Python in processes of their own, without the time that Python takes to start.

They are forks of one process that has loaded promptops. What starts before the program does is not shown by
them: variables that the interpreter reads, its options, and what is loaded by whom.
"""

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.forking_client import answer, ask
from support.paths import SUPPORT

PYTHON = sys.executable


class ForkedPopen(subprocess.Popen):
    """As ``subprocess.Popen([sys.executable, …])``."""

    def _execute_child(self, args: Sequence[Any], *options: Any) -> None:
        _, before, _, _, folder, environment, _, _, shell, *pipes = options
        _, *arguments = map(os.fspath, args)
        assert (before, shell) == (None, False)
        self._connection = ask(
            _address(),
            arguments,
            os.fspath(folder or Path.cwd()),
            os.environ if environment is None else environment,
            [n if pipe == -1 else pipe for n, pipe in enumerate((pipes[0], pipes[3], pipes[5]))],
            new_session=pipes[11],
        )
        self.pid = answer(self._connection)
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])

    def _internal_poll(self, _deadstate: Any = None) -> int | None:
        try:
            return self._wait(0)
        except subprocess.TimeoutExpired:
            return None

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = os.waitstatus_to_exitcode(answer(self._connection))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._connection.close()
        return self.returncode


def run_forked(
    command: Sequence[Any],
    *,
    check: bool,
    input: Any = None,  # noqa: A002 - its name there
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess:
    """As ``subprocess.run([sys.executable, …])``."""
    if options.pop("capture_output", False):
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with ForkedPopen(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def write_program(file: Path, *arguments: str) -> None:
    """An executable that does what ``python`` with these arguments and its own does."""
    client = f"exec {PYTHON} -I -S {SUPPORT / 'forking_client.py'} {_address()}"
    file.write_text(f'#!/bin/sh\n{client} {" ".join(arguments)} "$@"\n', encoding="utf-8")
    file.chmod(0o755)


@functools.cache
def _address() -> str:
    """Where the server listens, which is started when first asked for."""
    folder = tempfile.mkdtemp(prefix="promptops-forks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address := f"{folder}/socket")
        listener.listen(64)
        number = listener.fileno()
        server = subprocess.Popen(
            [PYTHON, SUPPORT / "forking_server.py", str(number)],
            pass_fds=[number],
            stdin=subprocess.PIPE,  # which ends with this process
        )
    atexit.register(server.wait)
    atexit.register(server.terminate)
    return address

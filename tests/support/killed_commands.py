"""Command lines that may be killed at some moment, forked from a process that has loaded everything."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_FORKING = """\
import json, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
from promptops.cli.main import main
for package in sys.argv[1:]:
    __import__(package)

def run(folder, arguments):
    os.chdir(folder)
    out = os.open(f"{folder}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(out, stream)
    code = 70
    try:
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)

for line in sys.stdin:
    folder, arguments, seconds = json.loads(line)
    started = time.monotonic()
    child = os.fork()
    if not child:
        run(folder, arguments)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic() - started]), flush=True)
"""
_LOADED = ("promptops.release.ledger", "promptops.runner.session", "promptops.evaluation.engine", "aiohttp")


@dataclass(frozen=True)
class Ended:
    code: int  # -9 when it was killed
    output: str
    seconds: float


class CommandForker:
    """Runs command lines one after the other, each in a child of its own, without the time to start up."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING, *_LOADED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, folder: Path, *arguments: str, kill_after: float | None = None) -> Ended:
        """``kill_after``: seconds; what has ended before is not killed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(folder), arguments, kill_after]) + "\n")
        self._process.stdin.flush()
        code, seconds = json.loads(self._process.stdout.readline())
        output = Path(f"{folder}.out").read_text(encoding="utf-8", errors="replace")
        return Ended(code, output, seconds)

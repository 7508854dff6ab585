"""Command lines that may be killed at some moment."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT

from support.forked_commands import ForkedPopen


@dataclass(frozen=True)
class Ended:
    code: int  # -9 when it was killed
    output: str
    seconds: float


def run_until_killed(folder: Path, *arguments: str, kill_after: float | None = None) -> Ended:
    """``kill_after``: seconds; what has ended before is not killed."""
    printed = Path(f"{folder}.out")
    with printed.open("wb") as out:
        started = time.monotonic()
        child = ForkedPopen(
            [sys.executable, "-m", "promptops", *arguments], cwd=folder, stdout=out, stderr=STDOUT
        )
    if kill_after is not None:
        time.sleep(kill_after)
        child.kill()
    code = child.wait()
    return Ended(code, printed.read_text(encoding="utf-8", errors="replace"), time.monotonic() - started)

"""Commands timed in turn, A B A B, so that a machine which drifts slows both alike."""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PASS = [sys.executable, "-c", "pass"]
PROMPTOPS = [str(Path(sys.executable).with_name("promptops"))]


def ratio(
    command: Sequence[str], base: Sequence[str], *, runs: int = 21, **options: Any
) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios pair by pair."""
    pairs = [(_seconds(command, options), _seconds(base, options)) for _ in range(runs + 1)][1:]
    ratios = [ours / theirs for ours, theirs in pairs]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs), statistics.median(ratios)


def _seconds(command: Sequence[str], options: Mapping[str, Any]) -> float:
    clock = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, **options)
    return time.perf_counter() - clock


def show(what: str, measured: str, target: str) -> None:
    print(f"  {what:<52} {measured:>18}   target {target}", flush=True)

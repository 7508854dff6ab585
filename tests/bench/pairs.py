"""Commands timed in turn, A B A B, in a lean environment: a machine that drifts slows both alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lean import lean_python

PYTHON = lean_python()
PASS = [PYTHON, "-c", "pass"]
PROMPTOPS = [str(Path(PYTHON).with_name("promptops"))]
_DEVELOPERS = ("PYTHONPATH", "COVERAGE_PROCESS_START")


def ratio(
    command: Sequence[str], base: Sequence[str], *, runs: int = 21, **options: Any
) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios pair by pair."""
    pairs = [(_seconds(command, options), _seconds(base, options)) for _ in range(runs + 1)][1:]
    ratios = [ours / theirs for ours, theirs in pairs]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs), statistics.median(ratios)


def _seconds(command: Sequence[str], options: Mapping[str, Any]) -> float:
    environment = options.get("env", os.environ)
    options = {**options, "env": {key: environment[key] for key in environment if key not in _DEVELOPERS}}
    clock = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, **options)
    return time.perf_counter() - clock


def show(what: str, measured: str, target: str) -> None:
    print(f"  {what:<52} {measured:>18}   target {target}", flush=True)

"""Evals at 50 ms a call: rate of the whole command, a cached re-run, memory of 50,000 cases.

It needs gcc and the stub's source (``stub.c`` of the shared tools).
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench_batch import PROMPT, SHARED, stub
from pairs import PROMPTOPS, show

IDEAL = 8 * 0.05  # seconds of 1,000 calls, 128 at once


def main() -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  left out: it needs gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-eval-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    try:
        with stub(source, folder):
            measure(folder)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def measure(folder: Path) -> None:
    os.chdir(folder)
    subprocess.run(["git", "init", "-q"], check=True)
    Path("prompts").mkdir()
    Path("prompts/route.yaml").write_text(f"{PROMPT}cases: route.cases.jsonl\n", encoding="utf-8")
    golden(1_000)
    evaluate(1)  # opens the registry, compiles
    whole, _ = evaluate(128, "--no-cache")
    show("1,000 cases at 128, start-up and all", f"{whole:.2f} s", f"{IDEAL:.2f} s would be ideal")
    evaluate(128)
    cached = min(evaluate(128)[0] for _ in range(3))
    show("1,000 cases from the cache", f"{cached:.2f} s", "<= 1.5 s")
    _, small = evaluate(128, "--no-cache")
    golden(50_000)
    seconds, large = evaluate(128, "--no-cache")
    show("50,000 cases at 128", f"{50_000 / seconds:,.0f} calls/s", "2,560 would be ideal")
    show("peak memory, as that of 1,000 cases", f"{large / small:.2f} ×", "<= 1.3 ×")


def golden(count: int) -> None:
    with Path("prompts/route.cases.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            ticket = f"Ticket {number}: " + "where is my parcel? " * 5
            case = {"inputs": {"ticket": ticket}, "tags": [f"t{number % 7}"]}
            file.write(json.dumps(case) + "\n")


def evaluate(jobs: int, *options: str) -> tuple[float, float]:
    """Seconds of one command, and its peak memory in megabytes."""
    before = time.perf_counter()
    command = [*PROMPTOPS, "eval", "route", "-j", str(jobs), *options]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"promptops eval ended with {child.returncode}")
    return time.perf_counter() - before, usage.ru_maxrss / 1024

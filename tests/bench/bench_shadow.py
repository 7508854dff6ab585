"""A shadow run beside a batch of as many calls at 50 ms: what two versions and a verdict cost."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench_batch import SHARED, stub
from pairs import PROMPTOPS, show

CALLS, ROUNDS = 2_000, 3
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 256}
inputs: {ticket: string}
messages:
  - {role: system, content: %s}
  - {role: user, content: "{{ ticket }}"}
checks: [{contains: lorem}]
"""
GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


def main() -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  left out: it needs gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-shadow-"))
    os.environ["OPENAI_API_KEY"] = "k"
    try:
        with stub(source, folder):
            _repository(folder)
            _measure(folder)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def _repository(folder: Path) -> None:
    os.chdir(folder)
    subprocess.run([*GIT, "init", "-q", "-b", "main"], check=True)
    (folder / "prompts").mkdir()
    for style in ("You route tickets.", "You sort tickets."):
        (folder / "prompts/route.yaml").write_text(PROMPT % style, "utf-8")
        subprocess.run([*GIT, "add", "prompts"], check=True)
        subprocess.run([*GIT, "commit", "-q", "-m", style], check=True)
    for name, count in (("batch", CALLS), ("shadow", CALLS // 2)):
        lines = (
            json.dumps({"inputs": {"ticket": f"Ticket {n}"}, "metadata": {}}) + "\n" for n in range(count)
        )
        (folder / f"{name}.jsonl").write_text("".join(lines), "utf-8")


def _measure(folder: Path) -> None:
    batch = ["batch", "route", "batch.jsonl", "--no-cache", "--restart", "--out"]
    shadow = [
        "shadow",
        "run",
        "route@HEAD",
        "--against",
        "route@HEAD~1",
        "--inputs",
        "shadow.jsonl",
        "--full",
    ]
    ratios = []
    for number in range(ROUNDS):
        alone = _seconds([*batch, str(folder / f"{number}.out")])
        both = _seconds([*shadow, "--restart", "--out", str(folder / f"{number}.txt")])
        ratios.append(alone / both)
    show(
        f"{CALLS:,} calls of a shadow run, throughput of batch", f"{statistics.median(ratios):.0%}", ">= 90%"
    )


def _seconds(arguments: list[str]) -> float:
    clock = time.perf_counter()
    subprocess.run([*PROMPTOPS, *arguments, "-j", "16"], check=True, capture_output=True)
    return time.perf_counter() - clock

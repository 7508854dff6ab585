"""Speed of the registry: rows a second beside bare sqlite3, and reading a million logged runs.

Run from the repository's root; it needs about 3.5 GB below the folder for temporary files and five minutes:

    python tests/bench/bench_registry.py [--rows 1000000]
"""

import argparse
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lean import lean_python

from promptops.config.clock import utc_text
from promptops.registry import CheckResult, FinishedRun, RegistryDatabase, StartedRun, new_run_id

PROMPTS = [f"team{n % 5}/prompt{n}" for n in range(50)]
MODELS = ("openai/gpt-4o-mini-2024-07-18", "anthropic/claude-sonnet-4-5", "local/smollm2-135m-instruct")
DAY_S = 86_400
Row = tuple[str, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(arguments).rows
    folder = Path(tempfile.mkdtemp(prefix="bench-registry-"))
    try:
        show([("measured", "figure", "target")])
        show(writing(folder))
        show(losing(folder))
        show(reading(folder, rows))
    finally:
        shutil.rmtree(folder)
    return 0


def show(rows: Sequence[Row]) -> None:
    for what, figure, target in rows:
        print(f"{what:<58} {figure:>16}  {target}", flush=True)


def writing(folder: Path) -> list[Row]:
    runs = [logged(seed) for seed in range(6_400)]
    bare, ours = [], []
    for turn in range(3):
        bare.append(timed(lambda turn=turn: bare_batches(folder / f"bare{turn}.db", runs)))
        ours.append(timed(lambda turn=turn: our_batches(folder / f"ours{turn}.db", runs)))
    bare_single = timed(lambda: bare_singles(folder / "bare-single.db", runs[:1000]))
    our_single = timed(lambda: our_singles(folder / "our-single.db", runs[:1000]))
    pair = [statistics.median(times) for times in (bare, ours)]
    return [
        ("bare sqlite3, 2 KB rows, batches of 64", f"{len(runs) / pair[0]:,.0f} rows/s", ""),
        ("record(), the same in batches of 64", f"{len(runs) / pair[1]:,.0f} rows/s", ""),
        ("  ratio", f"{pair[0] / pair[1]:.2f}", ""),
        ("bare sqlite3, insert and update, each committed", f"{1000 / bare_single:,.0f} runs/s", ""),
        ("start() and finish(), each committed", f"{1000 / our_single:,.0f} runs/s", ""),
        ("  ratio", f"{bare_single / our_single:.2f}", ""),
    ]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench_registry import logged
from promptops.registry import RegistryDatabase
for path in sys.argv[4:]:
    with RegistryDatabase.open(Path(path)) as registry:
        for n in range(int(sys.argv[3])):
            run, end = logged(int(sys.argv[2]) * 100_000 + n)
            registry.start(run)
            registry.finish(run.run_id, end)
"""


def losing(folder: Path) -> list[Row]:
    written = ended_by(4, 1_000, [folder / "four.db"])[0]
    created = ended_by(8, 1, [folder / f"eight{n}.db" for n in range(60)])
    whole = sum(count == 8 for count in created)
    return [
        ("runs lost, 4 writers x 1,000 runs", str(4_000 - written), "0"),
        ("8 processes creating one registry, 60 times", f"{whole} of 60", "60 of 60"),
    ]


def ended_by(writers: int, runs: int, paths: Sequence[Path]) -> list[int]:
    """How many ended runs each file holds after so many processes wrote to all of them at once."""
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent)]
    started = [subprocess.Popen([*command, str(n), str(runs), *map(str, paths)]) for n in range(writers)]
    codes = [writer.wait() for writer in started]
    if any(codes):
        raise SystemExit("a writer failed")
    return [_ended(path) for path in paths]


def _ended(path: Path) -> int:
    with RegistryDatabase.open(path) as registry:
        return int(registry.read_one("SELECT count(*) FROM runs WHERE state <> 'started'"))


def reading(folder: Path, rows: int) -> list[Row]:
    path = folder / "registry.db"
    built = timed(lambda: build(path, rows))
    python = process(["-c", "pass"])
    verbs = [
        (f"runs stats {PROMPTS[7]}", "<= 1 s"),
        ("runs stats", ""),
        ("runs list", "<= 0.5 s"),
        (f"runs list {PROMPTS[7]}", "<= 0.5 s"),
        (f"runs list --model {MODELS[1]} --since 1d", ""),
        ("runs report --since 2025-01-01 --format html --out /dev/null", "<= 2 s"),
    ]
    figures = [
        (f"built: {rows:,} runs, {path.stat().st_size / 1e9:.2f} GB", f"{rows / built:,.0f} rows/s", ""),
        ("python -c pass", f"{python:.3f} s", ""),
    ]
    for verb, target in verbs:
        command = ["-m", "promptops", "--registry", str(path), *verb.split()]
        figures.append((f"promptops {verb}, whole process", f"{process(command):.3f} s", target))
    return figures


def build(path: Path, rows: int) -> None:
    words = [f"w{random.Random(n).randrange(10**6):06}" for n in range(4_000)]
    with RegistryDatabase.open(path) as registry:
        for start in range(0, rows, 5_000):
            registry.record([logged(seed, words) for seed in range(start, min(start + 5_000, rows))])


def logged(
    seed: int, words: Sequence[str] = ("refund", "delayed", "parcel")
) -> tuple[StartedRun, FinishedRun]:
    rng = random.Random(seed)
    text = " ".join(rng.choices(words, k=260))
    began = utc_text(1_760_000_000 + seed * 30 * DAY_S / 1_000_000)
    failed = rng.random() < 0.02
    started = StartedRun(
        run_id=new_run_id(),
        started_at=began,
        reference=PROMPTS[seed % 50],
        prompt=PROMPTS[rng.randrange(50)],
        digest=f"{rng.randrange(6):x}" * 64,
        request_model=rng.choice(MODELS),
        messages_hash="ab" * 32,
        commit_sha="c0ffee" * 6 + "c0ff",
        source="working tree",
        parameters={"temperature": 0, "max_tokens": 64},
        inputs={"ticket": text[: len(text) * 3 // 4], "language": "en"},
    )
    ended = FinishedRun(
        finished_at=began,
        state="failed" if failed else "finished",
        output=text[len(text) * 3 // 4 :],
        response_model="gpt-4o-mini-2024-07-18",
        finish_reason="stop",
        input_tokens=rng.randrange(200, 900),
        output_tokens=rng.randrange(5, 90),
        cost_usd=rng.random() / 1000,
        cost_list_usd=rng.random() / 1000,
        spent_usd=rng.random() / 1000,
        latency_ms=rng.lognormvariate(6, 0.5),
        attempts=[{"model": "openai/gpt-4o-mini-2024-07-18", "latency_ms": 412.0}],
        error_type="timeout" if failed else None,
        error_message="no answer within 120 s" if failed else None,
        checks=(CheckResult(name="json_schema", passed=rng.random() < 0.95),),
    )
    return started, ended


def bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE runs (seq INTEGER PRIMARY KEY, run_id TEXT UNIQUE, inputs TEXT, output TEXT)"
    )
    return connection


def bare_batches(path: Path, runs: Sequence[tuple[StartedRun, FinishedRun]]) -> None:
    connection = bare(path)
    for start in range(0, len(runs), 64):
        connection.execute("BEGIN IMMEDIATE")
        for run, end in runs[start : start + 64]:
            values = (run.run_id, str(run.inputs), end.output)
            connection.execute("INSERT INTO runs (run_id, inputs, output) VALUES (?, ?, ?)", values)
        connection.execute("COMMIT")
    connection.close()


def our_batches(path: Path, runs: Sequence[tuple[StartedRun, FinishedRun]]) -> None:
    with RegistryDatabase.open(path) as registry:
        for start in range(0, len(runs), 64):
            registry.record(runs[start : start + 64])


def bare_singles(path: Path, runs: Sequence[tuple[StartedRun, FinishedRun]]) -> None:
    connection = bare(path)
    for run, end in runs:
        connection.execute("INSERT INTO runs (run_id, inputs) VALUES (?, ?)", (run.run_id, str(run.inputs)))
        connection.execute("UPDATE runs SET output = ? WHERE run_id = ?", (end.output, run.run_id))
    connection.close()


def our_singles(path: Path, runs: Sequence[tuple[StartedRun, FinishedRun]]) -> None:
    with RegistryDatabase.open(path) as registry:
        for run, end in runs:
            registry.start(run)
            registry.finish(run.run_id, end)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def process(arguments: Sequence[str]) -> float:
    command = [lean_python(), *arguments]
    run = lambda: subprocess.run(command, check=True, capture_output=True)
    return statistics.median(timed(run) for _ in range(5))


if __name__ == "__main__":
    sys.exit(main())

"""Speed of bulk feedback and of the exchange of evidence between registries, with the memory they take.

Run from the repository's root; it needs about 2 GB below the folder for temporary files:

    python tests/bench/bench_exchange.py [--rows 300000]
"""

import argparse
import json
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench_registry import Row, show

from promptops.config.clock import utc_now
from promptops.registry import (
    CheckResult,
    ExportCheckpoint,
    FinishedRun,
    RegistryDatabase,
    StartedRun,
    export_release,
    import_files,
    import_outcomes,
    new_run_id,
    read_export_checkpoint,
    read_outcomes,
    save_export_checkpoint,
)

LINES = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    rows = parser.parse_args(arguments).rows
    folder = Path(tempfile.mkdtemp(prefix="bench-exchange-"))
    try:
        show([("measured", "figure", "target")])
        with (
            RegistryDatabase.open(folder / "host.db") as host,
            RegistryDatabase.open(folder / "hub.db") as hub,
        ):
            runs = filled(host, rows)
            show(feedback(host, runs, folder / "feedback.jsonl"))
            show(exchange(host, hub, folder / "evidence.jsonl", rows))
    finally:
        shutil.rmtree(folder)
    return 0


def filled(registry: RegistryDatabase, rows: int) -> list[str]:
    """Runs of 2 KB, a quarter of them canary."""
    made: list[str] = []
    for first in range(0, rows, 1_000):
        runs = [(served(number), ended()) for number in range(first, min(rows, first + 1_000))]
        registry.record(runs)
        made += [run.run_id for run, _ in runs]
    return made


def served(number: int) -> StartedRun:
    return StartedRun(
        run_id=new_run_id(),
        started_at=utc_now(),
        reference="support/triage:production",
        prompt="support/triage",
        digest="4c1d" * 16,
        request_model="openai/gpt-4o-mini-2024-07-18",
        messages_hash="ab" * 32,
        channel="production",
        rollout="r-1",
        arm="stable" if number % 4 else "canary",
        weight_bp=2500,
        unit_hash=f"{number:064x}",
        unit_key_id="k" * 12,
        inputs={"ticket": "late parcel " * 120},
    )


def ended() -> FinishedRun:
    checks = [CheckResult(name="json", passed=True)]
    return FinishedRun(
        finished_at=utc_now(), state="finished", output="delivery", latency_ms=120.0, checks=checks
    )


def feedback(registry: RegistryDatabase, runs: Sequence[str], file: Path) -> list[Row]:
    chosen = random.Random(1).sample(runs, LINES)
    outcome = {"metric": "thumbs", "value": 1, "comment": "well said", "occurred_at": "2026-11-02T09:14:00Z"}
    file.write_text("".join(json.dumps({"run_id": run, **outcome}) + "\n" for run in chosen))

    def take_in() -> None:
        with file.open("rb") as lines:
            import_outcomes(registry, file.name, read_outcomes(file.name, lines))

    return [
        measured(f"feedback of {LINES:,} runs of {len(runs):,}", take_in, "a few seconds"),
        measured("the same file again", take_in, ""),
    ]


def exchange(host: RegistryDatabase, hub: RegistryDatabase, file: Path, rows: int) -> list[Row]:
    def export() -> None:
        with file.open("w") as stream:
            save_export_checkpoint(
                host, export_release(host, stream, since=read_export_checkpoint(host), now=time.time()).mark
            )

    def export_all() -> None:
        with file.open("w") as stream:
            export_release(host, stream, since=ExportCheckpoint(), now=time.time())

    first = measured(f"export of {rows:,} runs", export, "")
    import_ = measured(f"import of {rows:,} runs", lambda: import_files(hub, [file]), "")
    return [
        first,
        import_,
        measured("the same file again", lambda: import_files(hub, [file]), ""),
        measured("export since the last, nothing new", export, ""),
        measured("export of all again", export_all, ""),
    ]


def measured(what: str, work: Callable[[], Any], target: str) -> Row:
    clock = time.perf_counter()
    work()
    seconds = time.perf_counter() - clock
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return what, f"{seconds:.2f} s, {megabytes} MB", target


if __name__ == "__main__":
    raise SystemExit(main())

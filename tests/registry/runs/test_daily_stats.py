"""The sums by day say what the runs say, whatever happens to runs in between."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    add_check_outcomes,
    add_outcome,
    list_runs,
    prune_runs,
    read_run_stats,
    recover_registry,
)
from promptops.registry.queries.runs import daily_stats
from promptops.registry.queries.runs.stats import _scan, read_cells, sum_cells, sum_outcomes
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end, check

BYS = ("prompt", "version", "digest", "model", "day", "kind", "channel")
ALL = RunFilter()


def of_hour(day: int, hour: int = 9) -> str:
    return f"2026-01-{day:02}T{hour:02}:30:00.000Z"


def log_some(registry: RegistryDatabase, seed: int, count: int = 60) -> list[str]:
    """Runs of three days that are not logged in their order."""
    rng = random.Random(seed)
    runs = []
    for _ in range(count):
        started = a_run(
            started_at=of_hour(rng.randrange(1, 4), rng.randrange(24)),
            prompt=rng.choice(["a", "b"]),
            digest=rng.choice([DIGEST, OTHER_DIGEST]),
            version=rng.choice([None, "v1"]),
            channel=rng.choice([None, "production"]),
            request_model=rng.choice(["m", "n"]),
            kind=rng.choice(["run", "run", "batch", "eval"]),
        )
        checks = tuple(
            check(name, passed=rng.random() < 0.7) for name in ("json", "short") if rng.random() < 0.7
        )
        ended = an_end(cost_usd=rng.random(), latency_ms=rng.random() * 1000, checks=checks)
        runs.append((started, a_failure() if rng.random() < 0.2 else ended))
    registry.record(runs)
    return [run.run_id for run, _ in runs]


def agree(registry: RegistryDatabase, chosen: RunFilter = ALL) -> None:
    """What is read of the days, and what the runs themselves say."""
    kept = read_cells(registry, chosen, outcomes=True)
    scanned = _scan(registry, chosen, hours=False, outcomes=True)
    for by in BYS:
        found, expected = sum_cells(kept, by), sum_cells(scanned, by)  # type: ignore[arg-type]
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=1e-12)
        assert sum_outcomes(kept, by) == sum_outcomes(scanned, by)  # type: ignore[arg-type]


def new_runs(registry: RegistryDatabase, _: list[str]) -> None:
    log_some(registry, seed=8, count=20)


def pruned(registry: RegistryDatabase, _: list[str]) -> None:
    assert prune_runs(registry, before="2026-01-02T12").runs


def all_pruned(registry: RegistryDatabase, _: list[str]) -> None:
    assert prune_runs(registry, before="2027").runs


def late_feedback(registry: RegistryDatabase, runs: list[str]) -> None:
    for run_id in runs[:9]:
        add_outcome(registry, run_id, "thumbs", "up")


def late_checks(registry: RegistryDatabase, runs: list[str]) -> None:
    add_check_outcomes(registry, runs[3], [check("judge", passed=False)])


def pruned_and_told_again(registry: RegistryDatabase, _: list[str]) -> None:
    """The numbers of outcomes that were deleted are given to others."""
    old = list_runs(registry, RunFilter(until="2026-01-02"), limit=1)[0]
    add_outcome(registry, old["run_id"], "thumbs", "down")
    read_cells(registry, ALL)
    prune_runs(registry, before="2026-01-02")
    agree(registry)
    add_outcome(registry, list_runs(registry, ALL, limit=1)[0]["run_id"], "thumbs", "up")


@pytest.mark.parametrize(
    "change", [new_runs, pruned, all_pruned, late_feedback, late_checks, pruned_and_told_again]
)
@pytest.mark.parametrize("many", [1, 20_000])
def test_the_sums_follow_the_runs(
    change: Callable[[RegistryDatabase, list[str]], None],
    registry: RegistryDatabase,
    many: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daily_stats, "_MANY", many)
    registry.record(
        [(a_run(started_at=text), an_end()) for text in ("", "2026", "2026-01-01 and more\U0010fffe")]
    )
    runs = log_some(registry, seed=7)
    agree(registry)
    change(registry, runs)
    agree(registry)


def test_a_run_that_has_not_ended_is_counted_and_counted_again(registry: RegistryDatabase) -> None:
    run = a_run()
    registry.start(run)
    (before,) = read_run_stats(registry, ALL)
    registry.finish(run.run_id, an_end(checks=(check(),)))
    (after,) = read_run_stats(registry, ALL)
    assert (before["calls"], before["unfinished"], before["checked"]) == (1, 1, 0)
    assert (after["calls"], after["unfinished"], after["checked"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "chosen",
    [
        {"prompt": "a"},
        {"prompt": "*"},
        {"digest": DIGEST[:6], "channel": "production"},
        {"model": "m", "kind": "batch"},
        {"traffic": True},
        {"traffic": False, "since": "2026-01-02"},
        {"since": of_hour(2)},
        {"since": of_hour(2, 3), "until": of_hour(2, 20)},
        {"since": of_hour(1), "until": of_hour(3)},
        {"until": "2026-01-03"},
        {"since": "2026-01-02T00:00:00.000Z", "until": "2026-01-03T00:00:00.000Z"},
        {"since": "2027"},
        {"min_cost": 0.5},
    ],
)
def test_filters(chosen: dict[str, Any], registry: RegistryDatabase) -> None:
    log_some(registry, seed=9, count=120)
    agree(registry, RunFilter(**chosen))


def test_hours(registry: RegistryDatabase) -> None:
    log_some(registry, seed=3)
    chosen = RunFilter(prompt="a", since=of_hour(2, 5), until=of_hour(2, 15))
    rows = read_run_stats(registry, chosen, "hour")
    assert sum(row["calls"] for row in rows) == len(list_runs(registry, chosen, limit=99))
    assert all(row["key"].startswith("2026-01-02T") for row in rows)


def test_a_registry_that_cannot_be_written_is_read_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    with RegistryDatabase.open(file) as registry:
        log_some(registry, seed=5)
        expected = read_run_stats(registry, ALL)
        log_some(registry, seed=6)
        with RegistryDatabase.open(file) as other, other.transaction():  # it keeps the lock
            found = read_run_stats(registry, ALL)
        assert sum(row["calls"] for row in found) == sum(row["calls"] for row in expected) + 60
        agree(registry)


def test_a_recovered_registry_sums_up_anew(tmp_path: Path) -> None:
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        log_some(registry, seed=4)
        read_cells(registry, ALL)
    recover_registry(tmp_path / "registry.db", tmp_path / "new.db")
    with RegistryDatabase.open(tmp_path / "new.db") as registry:
        agree(registry)

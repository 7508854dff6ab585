"""A log with enough in it that pages have something to show: a month of calls, a canary, thumbs."""

import random
import time
from pathlib import Path
from typing import Any

from promptops.config.clock import utc_text
from promptops.registry import (
    CheckResult,
    FinishedRun,
    RegistryDatabase,
    StartedRun,
    add_run_outcomes,
    make_outcome,
    new_run_id,
)
from support.front_door import Repo
from support.logged_runs import a_failure, a_run, an_end

DAY = 86_400.0
ANSWERS = (
    "Dear Ada, welcome back. Your parcel is on its way and will be with you on Thursday.",
    "Hello Ada, I am sorry to hear that. I have asked the depot to look for it today.",
    "<script>alert(1)</script> ![x](https://evil.example/p.png) **Hi** Ada",
)


def log_traffic(folder: Path, stable: Any, rollout: Any = None, *, days: int = 30, a_day: int = 12) -> None:
    """Calls of ``greet:production``. ``stable`` and ``rollout``: as ``release show --json`` has them."""
    rng, now = random.Random(7), time.time()
    ended: list[tuple[StartedRun, FinishedRun]] = []
    for day in range(days):
        for _ in range(a_day + rng.randrange(a_day)):
            at = now - DAY * (days - day) + rng.random() * DAY
            ended.append(_call(rng, at, stable, {}))
    for index in range(400 if rollout else 0):
        canary = index % 4 == 0
        placed = {
            "rollout": rollout["id"],
            "arm": "canary" if canary else "stable",
            "weight_bp": rollout["weight_bp"] or 2500,
            "unit_hash": f"{index:064x}",
        }
        ended.append(_call(rng, now + index / 1000, rollout["canary"] if canary else stable, placed))
    ended.sort(key=lambda pair: pair[0].started_at)
    with RegistryDatabase.open(Repo(folder).registry) as registry:
        registry.record(ended)
        for run, _ in ended[::9]:
            value = "up" if rng.random() < 0.8 else "down"
            add_run_outcomes(registry, run.run_id, [make_outcome(run.run_id, "thumbs", value)])


def _call(
    rng: random.Random, at: float, version: Any, placed: dict[str, Any]
) -> tuple[StartedRun, FinishedRun]:
    run = a_run(
        run_id=new_run_id(),
        started_at=utc_text(at),
        reference="greet:production",
        prompt="greet",
        digest=version["digest"],
        version=version["version"],
        channel="production",
        inputs={"name": "Ada"},
        **placed,
    )
    if rng.random() < 0.02:
        return run, a_failure()
    passed = rng.random() < 0.94
    cost = rng.uniform(0.0004, 0.002)
    return run, an_end(
        finished_at=utc_text(at + 1),
        output=rng.choice(ANSWERS),
        latency_ms=rng.lognormvariate(6.6, 0.5),
        cost_usd=cost,
        spent_usd=cost,
        checks=(
            CheckResult(name="max_words", passed=passed, message="" if passed else "41 words, at most 30"),
        ),
    )

"""Rollouts for tests: a plan, a registry with calls of both arms, and a clock that the test holds."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from promptops.config.clock import format_timestamp, utc_text
from promptops.config.registry_location import RegistryLocation
from promptops.registry import FinishedRun, RegistryDatabase
from promptops.release.analysis import analyze_rollout
from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.plan.types import PlanMetric, PlanStep, ReleasePlan
from promptops.versions.release_state import ReleasedVersion, Rollout
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end

START = 1_780_000_000.0  # seconds since the epoch
DAY = 86_400.0
STABLE, CANARY = ReleasedVersion("v12", DIGEST), ReleasedVersion("v13", OTHER_DIGEST)
ERRORS = PlanMetric(
    name="error_rate", kind="binary", source="run.error", worse="higher", role="guard", margin=0.05
)
CHECKS = PlanMetric(
    name="checks", kind="binary", source="checks.pass", worse="lower", role="guard", margin=0.05
)
LATENCY = PlanMetric(
    name="latency", kind="ratio", source="run.latency_ms", worse="higher", role="guard", margin=1.2
)
THUMBS = PlanMetric(
    name="thumbs",
    kind="binary",
    source="outcome.thumbs",
    worse="lower",
    role="guard",
    margin=0.05,
    window=DAY,
    missing="good",
)
ROLLOUT = Rollout(
    id="r-1",
    canary=CANARY,
    plan="1f" * 32,
    phase="progressing",
    weight_bp=5000,
    unit="session",
    started=format_timestamp(START),
    step_started=format_timestamp(START),
)


def a_plan(*metrics: PlanMetric, **more: Any) -> ReleasePlan:
    steps = more.pop("steps", (PlanStep(weight_bp=5000, min_canary=10),))
    return ReleasePlan(
        name="p", digest=more.pop("digest", "1f" * 32), steps=steps, metrics=metrics or (ERRORS,), **more
    )


class Traffic:
    """Calls of one rollout, a second apart unless ``at`` says otherwise."""

    def __init__(self, path: RegistryLocation | None = None, seed: int = 1) -> None:
        self.registry = RegistryDatabase.open(path) if path else RegistryDatabase.in_memory()
        self.rng = random.Random(seed)
        self.clock = START

    def call(self, end: FinishedRun | None, *, canary: bool, at: float | None = None, **fields: Any) -> str:
        """One call; without an end it has only been started. Gives its id."""
        self.clock = self.clock + 1 if at is None else at
        run = a_run(**{
            "started_at": utc_text(self.clock),
            "channel": "production",
            "rollout": ROLLOUT.id,
            "arm": "canary" if canary else "stable",
            "digest": OTHER_DIGEST if canary else DIGEST,
            "weight_bp": 5000,
            **fields,
        })  # fmt: skip
        self.registry.start(run)
        if end:
            self.registry.finish(run.run_id, end)
        return run.run_id

    def calls(self, count: int, errors: Callable[[bool], float], *, weight_bp: int = 5000) -> None:
        """Calls that fail with a chance by arm, logged together."""
        runs = []
        for _ in range(count):
            self.clock += 1
            canary = self.rng.random() * 10_000 < weight_bp
            run = a_run(
                started_at=utc_text(self.clock),
                channel="production",
                rollout=ROLLOUT.id,
                arm="canary" if canary else "stable",
                digest=OTHER_DIGEST if canary else DIGEST,
                weight_bp=weight_bp,
            )
            end = a_failure if self.rng.random() < errors(canary) else an_end
            runs.append((run, end(latency_ms=self.rng.lognormvariate(5, 0.5))))
        self.registry.record(runs)

    def observe(self, plan: ReleasePlan, now: float | None = None, **more: Any) -> Findings:
        moment = self.clock + 1000 if now is None else now
        rollout = more.pop("rollout", ROLLOUT)
        return analyze_rollout(
            more.pop("registry", self.registry),
            replace(rollout, plan=plan.digest),
            "support/triage",
            "production",
            plan,
            moment,
            stable=STABLE,
            **{"bounds": False, **more},
        )


def of(findings: Findings, name: str) -> MetricFinding:
    return next(each for each in findings.metrics if each.metric.name == name)

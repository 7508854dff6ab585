"""Channels in every phase, made by hand, with evidence as it looks after some hundred calls."""

from dataclasses import replace
from typing import Any

from promptops.config.clock import format_timestamp
from promptops.release.analysis.findings import Findings, GateFinding, MetricFinding
from promptops.release.plan import ReleasePlan, decode_plan
from promptops.release.rules import decide_transition, start_rollout
from promptops.release.status_view import CanaryExposure, StatusView, TimelineEvent
from promptops.stats.intervals import Interval
from promptops.stats.verdicts import Verdict
from promptops.versions.release_state import ReleasedVersion, Rollout, ShadowState

NOW = 1_800_000_000.0
HOUR = 3600.0
STABLE = ReleasedVersion("v12", "a" * 64, "3f2c9e1", format_timestamp(NOW - 90 * HOUR))
PREVIOUS = ReleasedVersion("v11", "c" * 64)
CANARY = ReleasedVersion("v13", "b" * 64)
PLAN = decode_plan("default", {"steps": [{"weight": 5}, {"weight": 25, "min_canary": 150}, {"weight": 50}]})
TRAILS = {
    "error_rate": ((50, -0.4, 0.5), (200, -0.09, 0.12), (400, -0.03, 0.04), (640, -0.011, 0.012)),
    "checks": ((50, -0.5, 0.5), (640, -0.02, 0.06)),
    "latency": ((50, 0.4, 64.0), (300, 1.06, 1.6), (640, 1.22, 1.4)),
    "cost": (),
}
SENTENCES = {
    "error_rate": "v13 fails at most 1.2 points more often than v12 (95 %), from 640 calls; limit 2",
    "checks": "v13 fails checks at most 6 points more often than v12 (95 %), from 640 calls; limit 3",
    "latency": "v13 takes at least 22 % more time than v12 (95 %), from 640 calls; limit 20",
    "cost": "v13 cannot be compared with v12 yet: no calls scored",
}
VERDICTS = {"error_rate": Verdict.NOT_WORSE, "checks": Verdict.UNDECIDED, "latency": Verdict.WORSE}


def metric(plan: ReleasePlan, name: str, **changes: Any) -> MetricFinding:
    trail = TRAILS.get(name, ())
    verdict = VERDICTS.get(name, Verdict.UNDECIDED)
    known: dict[str, Any] = {
        "metric": next(each for each in plan.metrics if each.name == name),
        "verdict": verdict,
        "worse": verdict is Verdict.WORSE,
        "not_worse": verdict is Verdict.NOT_WORSE,
        "canary_calls": 160,
        "stable_calls": 480,
        "bounds": Interval(*trail[-1][1:]) if trail else None,
        "calls_needed": 1210.4 if verdict is Verdict.UNDECIDED else None,
        "sentence": SENTENCES.get(name, ""),
        "trail": trail,
    }
    return MetricFinding(**known | changes)


def findings(plan: ReleasePlan = PLAN, **changes: Any) -> Findings:
    known: dict[str, Any] = {
        "registry": "7f3a",
        "registry_path": "registry.db",
        "calls": 640,
        "canary_calls": 160,
        "step_canary_calls": 110,
        "waiting": 12,
        "without_unit": 3,
        "excluded": {"cache": 20, "override": 0, "repeated unit": 1400},
        "metrics": tuple(metric(plan, each.name) for each in plan.metrics),
        "per_day": 205.0,
    }
    return Findings(**known | changes)


def rollout(plan: ReleasePlan = PLAN, **changes: Any) -> Rollout:
    started = start_rollout("r-01JD8Z3K", CANARY, plan, "salt", NOW - 27 * HOUR)
    known: dict[str, Any] = {"phase": "progressing", "step": 1, "weight_bp": 2500}
    return replace(started, step_started=format_timestamp(NOW - 3 * HOUR), **known | changes)


def view(plan: ReleasePlan = PLAN, *, seen: Findings | None = None, **changes: Any) -> StatusView:
    """A canary at step 2 of 3, with what a tick would decide."""
    active, found = rollout(plan, **changes), seen or findings(plan)
    gate = GateFinding(
        verdict=None, sentence="v13 has no eval", command="promptops eval a/b@v13 --against v12"
    )
    return StatusView(
        prompt="support/triage",
        channel="production",
        now=NOW,
        stable=STABLE,
        previous=PREVIOUS,
        rollout=active,
        plan=plan,
        findings=found,
        gate=gate if active.phase in ("eval", "shadow") else None,
        decision=decide_transition(active, plan, found, NOW, eval_gate=gate, shadow_gate=gate),
        exposure=CanaryExposure(calls=652, canary_calls=163, canary_units=141, per_day=205.0),
        timeline=(
            TimelineEvent(
                format_timestamp(NOW - 3 * HOUR),
                "advance",
                "production canary v13 5% → 25%",
                "ci",
                "50 canary calls",
            ),
            TimelineEvent(format_timestamp(NOW - 27 * HOUR), "start", "production canary v13 starts", "ada"),
        ),
    )


def idle(**changes: Any) -> StatusView:
    known: dict[str, Any] = {"stable": STABLE, "previous": PREVIOUS}
    return StatusView(prompt="support/triage", channel="staging", now=NOW, **known | changes)


def shadowed() -> StatusView:
    return idle(shadow=ShadowState(released=CANARY, sample_bp=1000))

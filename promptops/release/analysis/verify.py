"""Committed verdicts recomputed from the registry's observations, which outlive the runs."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptops.errors import Invalid
from promptops.registry.release import observations as log
from promptops.registry.store import Registry
from promptops.release.analysis.metric_tests import ALL_BP, Lane, MetricTests, Tests, new_tests, priors_from
from promptops.release.analysis.scoring import Lack, Value
from promptops.release.analysis.verdicts import harmful
from promptops.release.plan.types import Plan

_NEAR = 1e-6  # of logarithms, and of means


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that was committed and that the observations do not bear out."""

    metric: str  # empty: the rollout as a whole
    what: str
    committed: Any
    recomputed: Any

    def __str__(self) -> str:
        of = f"{self.metric}: " if self.metric else ""
        return f"{of}{self.what} is committed as {self.committed}, the observations give {self.recomputed}"


def verify(registry: Registry, evidence: Mapping[str, Any], plan: Plan) -> list[Mismatch]:
    """Everything in one committed evidence that does not follow from the observations; empty when all does.

    ``plan``: the one that was pinned. Evidence of another registry can only be verified there: it is one
    mismatch that says so. Raises Invalid for evidence that cannot be read.
    """
    here = log.registry_id(registry)
    if evidence.get("registry") != here:
        return [Mismatch("", "the registry", evidence.get("registry"), here)]
    if evidence.get("plan") != plan.digest:
        return [Mismatch("", "the plan", evidence.get("plan"), plan.digest)]
    try:
        tests = recomputed(registry, evidence, plan)
        return [*_whole(evidence, tests), *_metrics(evidence, tests)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        hint = "git log promptops-state shows who wrote it"
        raise Invalid(f"the committed evidence cannot be read: {error!r}", hint=hint) from None


def recomputed(registry: Registry, evidence: Mapping[str, Any], plan: Plan) -> Tests:
    """The tests as they stood when this evidence was committed."""
    tests, rollout = new_tests(plan, priors_from(evidence["priors"])), evidence["rollout"]
    for _, arm, weight_bp, _ in log.kept(registry, rollout, log.CALLS, evidence["watermark"]):
        tests.ratio.update(arm == "canary", weight_bp / ALL_BP)
    for lane in tests.lanes:
        _replay(registry, rollout, lane, evidence["watermarks"])
    return tests


def _replay(registry: Registry, rollout: str, lane: Lane, watermarks: Mapping[str, int]) -> None:
    calls: dict[int, tuple[bool, int]] = {}
    values: dict[int, dict[str, Value]] = defaultdict(dict)
    for name in lane.metrics:
        for seq, arm, weight_bp, loss in log.kept(registry, rollout, name, watermarks[name]):
            calls[seq] = (arm == "canary", weight_bp)
            values[seq][name] = Lack.MISSING if loss is None else loss
    for seq in sorted(calls):
        canary, weight_bp = calls[seq]
        lane.add(canary, weight_bp, values[seq])


def _whole(evidence: Mapping[str, Any], tests: Tests) -> list[Mismatch]:
    found = {
        "calls": tests.ratio.calls,
        "canary_calls": tests.ratio.canary_calls,
        "expected_canary": tests.ratio.expected,
        "sample_ratio_alarm": tests.ratio.alarmed(tests.plan.alpha.srm),
        "harm": list(harmful(tests)),
    }
    return [
        Mismatch("", what.replace("_", " "), evidence[what], value)
        for what, value in found.items()
        if not _same(evidence[what], value)
    ]


def _metrics(evidence: Mapping[str, Any], tests: Tests) -> list[Mismatch]:
    said = evidence["metrics"]
    return [
        Mismatch(metric.name, what, committed, value)
        for metric in tests.plan.metrics
        for what, value in _found(tests, tests.of(metric.name)[1]).items()
        if not _same(committed := _at(said[metric.name], what), value)
    ]


def _found(tests: Tests, each: MetricTests) -> dict[str, Any]:
    alpha, name = tests.plan.alpha, each.metric.name
    guard = each.metric.role in ("guard", "hard")
    worse = (name in harmful(tests) or each.hard) if guard else each.worse.rejects(alpha.rollback)
    return {
        "worse": worse,
        "not_worse": each.not_worse.rejects(alpha.promote),
        "better": each.better.rejects(alpha.promote),
        "log_e worse": each.worse.log_e,
        "log_e not_worse": each.not_worse.log_e,
        "log_e better": each.better.log_e,
        "canary calls": each.canary_calls,
        "stable calls": each.stable_calls,
        "canary missing": each.lost[0],
        "stable missing": each.lost[1],
    }


def _at(said: Mapping[str, Any], what: str) -> Any:
    first, _, second = what.partition(" ")
    return said[first][second] if second else said[first]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)
    return bool(one == other)

"""Guards of tails: a ratio compares what is typical, so a tenth of calls at six times the time would pass.

Beside each ratio of a run's figure stands how often a call is above stable's 95th percentile. That number is
taken from the log when a canary starts, and is pinned with the plan.
"""

from collections.abc import Mapping
from dataclasses import replace

from promptops.release.plan.loader import with_digest
from promptops.release.plan.types import PlanMetric, ReleasePlan
from promptops.release.plan.values import parse_source

TAIL_QUANTILE = 0.95
MIN_TAIL_VALUES = 100  # of stable: of fewer the 95th percentile is not known
_MAX_NAME = 64
_SUFFIX = "_tail"


def missing_tails(plan: ReleasePlan) -> tuple[PlanMetric, ...]:
    """Ratios that want a guard of their tail and have none yet."""
    names = {each.name for each in plan.metrics}
    return tuple(
        each
        for each in plan.metrics
        if each.tail is not None and _tail_name(each) not in names and each.source.startswith("run.")
    )


def with_tail_guards(plan: ReleasePlan, thresholds: Mapping[str, float]) -> ReleasePlan:
    """The plan with a guard of the tail behind each ratio whose threshold is known, by the ratio's name."""
    wanted = {each.name: each for each in missing_tails(plan) if each.name in thresholds}
    if not wanted:
        return plan
    metrics: list[PlanMetric] = []
    for each in plan.metrics:
        metrics.append(each)
        if each.name in wanted:
            metrics.append(_tail(each, thresholds[each.name]))
    return with_digest(replace(plan, metrics=tuple(metrics)))


def tail_thresholds(plan: ReleasePlan) -> dict[str, float]:
    """Of a plan that was pinned, by the ratio's name."""
    sources = {each.name: parse_source(each.source) for each in plan.metrics}
    tails = {each.name: sources.get(_tail_name(each)) for each in plan.metrics if each.kind == "ratio"}
    return {
        name: tail.bound
        for name, tail in tails.items()
        if tail and (tail.operator, tail.name) == (">", sources[name].name)
    }


def _tail_name(ratio: PlanMetric) -> str:
    return ratio.name[: _MAX_NAME - len(_SUFFIX)] + _SUFFIX


def _tail(ratio: PlanMetric, threshold: float) -> PlanMetric:
    return PlanMetric(
        name=_tail_name(ratio),
        kind="binary",
        source=f"{ratio.source} > {threshold:.6g}",
        worse="higher",
        role="signal" if ratio.role == "signal" else "guard",
        margin=ratio.tail or 0.0,
    )

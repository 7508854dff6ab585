"""Findings as JSON and back: what ``status`` shows without computing anything."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.plan.types import PlanMetric
from promptops.stats.intervals import Interval, IntervalEstimate
from promptops.stats.verdicts import Verdict

_LISTS = ("harm", "hard", "signals", "gaps", "silent", "unheard")


def encode_findings(findings: Findings) -> dict[str, Any]:
    return asdict(findings)


def decode_findings(state: Mapping[str, Any]) -> Findings | None:
    """None for what another version of the program has written."""
    if not set(state) <= {each.name for each in fields(Findings)}:
        return None
    try:
        metrics = tuple(_metric(each) for each in state["metrics"])
        lists = {name: tuple(state.get(name, ())) for name in _LISTS}
        return Findings(**{**state, **lists, "metrics": metrics})
    except (KeyError, TypeError, ValueError):
        return None


def _metric(state: Mapping[str, Any]) -> MetricFinding:
    metric, scale = state["metric"], state["metric"]["scale"]
    made = {
        "metric": PlanMetric(**{**metric, "scale": tuple(scale) if scale else None}),
        "verdict": Verdict(state["verdict"]),
        "bounds": Interval(**state["bounds"]) if state["bounds"] else None,
        "difference": IntervalEstimate(**state["difference"]) if state["difference"] else None,
        "trail": tuple(tuple(point) for point in state["trail"]),
    }
    return MetricFinding(**{**state, **made})

"""Committed verdicts recomputed from the registry's observations, which outlive the runs."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry import CALL_METRIC, RegistryDatabase, read_observations, read_registry_id
from promptops.release.analysis.metric_tests import ALL_BP, MetricTests
from promptops.release.analysis.rollout_tests import (
    RolloutTests,
    WindowGroup,
    new_tests,
    priors_from,
    stored_engine,
)
from promptops.release.analysis.scoring import MetricValue, NoValue
from promptops.release.analysis.verdicts import arm_counts, find_harm, find_worse_slices, is_metric_worse
from promptops.release.plan.types import ReleasePlan

_LATER = ("bad",)  # which earlier releases did not commit
_ABSENT = object()
_MAX_SEQ = 1 << 63  # of what the registry can hold
_TOLERANCE = 1e-6  # of logarithms, and of means


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


def verify_evidence(
    registry: RegistryDatabase, evidence: Mapping[str, Any], plan: ReleasePlan
) -> list[Mismatch]:
    """Everything in one committed evidence that does not follow from the observations; empty when all does.

    ``plan``: the one that was pinned. Evidence of another registry can only be verified there: it is one
    mismatch that says so. Raises Invalid for evidence that cannot be read.
    """
    here = read_registry_id(registry)
    if evidence.get("registry") != here:
        return [Mismatch("", "the registry", evidence.get("registry"), here)]
    if evidence.get("plan") != plan.digest:
        return [Mismatch("", "the plan", evidence.get("plan"), plan.digest)]
    with reading_evidence():
        tests = recompute_tests(registry, evidence, plan)
        return [*_rollout_mismatches(evidence, tests), *_metric_mismatches(evidence, tests)]


@contextmanager
def reading_evidence() -> Iterator[None]:
    """Raises Invalid where something in committed evidence is of another type than it was written with."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        hint = "git log promptops-state shows who wrote it"
        raise Invalid(f"the committed evidence cannot be read: {error!r:.200}", hint=hint) from None


def recompute_tests(
    registry: RegistryDatabase, evidence: Mapping[str, Any], plan: ReleasePlan
) -> RolloutTests:
    """The tests as they stood when this evidence was committed."""
    tests = new_tests(plan, priors_from(evidence["priors"]), stored_engine(evidence))
    rollout = evidence["rollout"]
    if not isinstance(rollout, str):
        raise TypeError("rollout is no text")
    through = _watermark(evidence["watermark"])
    for _, arm, weight_bp, _ in read_observations(registry, rollout, CALL_METRIC, through):
        tests.ratio.update(arm == "canary", weight_bp / ALL_BP)
    for window_group in tests.window_groups:
        _replay(registry, rollout, window_group, evidence["watermarks"])
    return tests


def _watermark(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MAX_SEQ:
        raise ValueError("a watermark is no number of a row")
    return value


def _replay(
    registry: RegistryDatabase, rollout: str, window_group: WindowGroup, watermarks: Mapping[str, int]
) -> None:
    calls: dict[int, tuple[bool, int]] = {}
    values: dict[int, dict[str, MetricValue]] = defaultdict(dict)
    for name in window_group.metrics:
        for seq, arm, weight_bp, loss in read_observations(
            registry, rollout, name, _watermark(watermarks[name])
        ):
            calls[seq] = (arm == "canary", weight_bp)
            values[seq][name] = NoValue.MISSING if loss is None else loss
    order = sorted(calls)
    window_group.add_all(
        [calls[seq] for seq in order],
        {name: [values[seq].get(name, NoValue.NOT_DUE) for seq in order] for name in window_group.metrics},
    )


def _rollout_mismatches(evidence: Mapping[str, Any], tests: RolloutTests) -> list[Mismatch]:
    found = {
        "calls": tests.ratio.calls,
        "canary_calls": tests.ratio.canary_calls,
        "expected_canary": tests.ratio.expected,
        "sample_ratio_alarm": tests.ratio.alarmed(tests.plan.alpha.srm),
        "harm": list(find_harm(tests)),
        "hard": [
            name
            for window_group in tests.window_groups
            for name, each in window_group.metrics.items()
            if each.hard
        ],
    }
    return [
        Mismatch("", what.replace("_", " "), evidence[what], value)
        for what, value in found.items()
        if not _is_close(evidence[what], value)
    ]


def _metric_mismatches(evidence: Mapping[str, Any], tests: RolloutTests) -> list[Mismatch]:
    return [
        Mismatch(metric.name, what, committed, value)
        for metric in tests.plan.metrics
        for what, value in _recomputed_values(tests, tests.of(metric.name)[1]).items()
        if (committed := _committed_value(evidence["metrics"][metric.name], what)) is not _ABSENT
        and not _is_close(committed, value)
    ]


def _recomputed_values(tests: RolloutTests, each: MetricTests) -> dict[str, Any]:
    alpha, counts = tests.plan.alpha, arm_counts(each)
    n_c, sum_c, n_s, sum_s = each.sums
    return {
        "worse": is_metric_worse(each, find_harm(tests), find_worse_slices(tests), alpha.rollback),
        "not_worse": each.is_not_worse(alpha.promote),
        "better": each.is_better(alpha.promote),
        "log_e worse": each.worse.log_e,
        "log_e not_worse": each.not_worse.log_e,
        "log_e better": each.better.log_e,
        "canary calls": each.canary_calls,
        "stable calls": each.stable_calls,
        "canary bad": counts.subject_bad,
        "stable bad": counts.against_bad,
        "canary mean": sum_c / n_c if n_c else None,
        "stable mean": sum_s / n_s if n_s else None,
        "canary missing": each.missing_counts[0],
        "stable missing": each.missing_counts[1],
    }


def _committed_value(finding: Mapping[str, Any], what: str) -> Any:
    first, _, second = what.partition(" ")
    if second in _LATER and second not in finding[first]:
        return _ABSENT
    return finding[first][second] if second else finding[first]


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(one == other)

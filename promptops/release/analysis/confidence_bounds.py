"""Confidence sequences beside the tests: looked for again only when there is a twentieth more to go by.

A bound that has been reached stays in force, so what was found on fewer calls is still true, and a search
goes on from it. So a long log that nobody has looked at is searched in slices: its first calls by the first
tick, twice as many by each one after it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry import RegistryDatabase, load_analysis_state, read_losses, save_analysis_state
from promptops.release.analysis.metric_tests import ALL_BP, MetricTests
from promptops.release.analysis.rollout_tests import RolloutTests
from promptops.stats.confidence_sequences import difference_bounds, ratio_bounds
from promptops.stats.intervals import Interval
from promptops.stats.non_inferiority import MarginTest

BOUNDS = "bounds"
_SEARCH_GROWTH = 1.05  # times the calls of the last search
_FIRST_SEARCH = 1_000  # calls that a first search rests on at most; each one after it takes twice as many
_FIRST_SHOWN = 2_000  # the same where a verdict waits to be shown
_MAX_TRAIL = 60
BoundsPoint = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of one metric, and how it came to be, thinned: (calls, low, high)."""

    interval: Interval
    trail: tuple[BoundsPoint, ...]

    @property
    def calls(self) -> int:
        return self.trail[-1][0]


def update_bounds(
    registry: RegistryDatabase, rollout: str, tests: RolloutTests, *, search: bool
) -> dict[str, Bounds]:
    """The metrics' bounds. Without ``search`` those that were found before."""
    before = _decode(load_analysis_state(registry, rollout, BOUNDS), tests)
    if not search:
        return before
    found = {
        name: _bounds(registry, rollout, each, before.get(name), tests.plan.alpha.promote)
        for window_group in tests.window_groups
        for name, each in window_group.metrics.items()
        if each.canary_calls and each.stable_calls
    }
    if found != before and registry.writable:
        state = {"signature": _signature(tests)} | {name: _encode(each) for name, each in found.items()}
        save_analysis_state(registry, rollout, BOUNDS, state, tests.instant.watermark)
    return found


def _bounds(
    registry: RegistryDatabase, rollout: str, tests: MetricTests, before: Bounds | None, alpha: float
) -> Bounds:
    calls = tests.canary_calls + tests.stable_calls
    if before and calls < before.calls * _SEARCH_GROWTH and not _lags_verdict(tests, before.interval, alpha):
        return before
    first = _FIRST_SHOWN if tests.not_worse.rejects(alpha) else _FIRST_SEARCH
    most = max(first, 2 * before.calls if before else 0)
    seen = [
        (arm == "canary", weight_bp / ALL_BP, loss)
        for arm, weight_bp, loss in read_losses(registry, rollout, tests.metric.name, most)
    ]
    calls = min(calls, len(seen))
    inside = before.interval if before else None
    if tests.metric.kind == "ratio":
        found = ratio_bounds(seen, alpha, tests.worse.prior, inside=inside)
    else:
        margin = tests.not_worse.g if isinstance(tests.not_worse, MarginTest) else None
        found = difference_bounds(
            seen, alpha, tests.worse.prior, margin=margin, inside=inside or Interval(-1.0, 1.0)
        )
    trail = (*(before.trail if before else ()), (calls, found.low, found.high))
    return Bounds(found, _thin(trail))


def _lags_verdict(tests: MetricTests, interval: Interval, alpha: float) -> bool:
    """Whether a verdict has been reached that the bounds do not show yet."""
    return tests.not_worse.rejects(alpha) and interval.high > tests.metric.margin


def _thin(trail: Sequence[BoundsPoint]) -> tuple[BoundsPoint, ...]:
    """Every other point of a long trail, the last one kept."""
    return tuple(trail) if len(trail) <= _MAX_TRAIL else (*trail[:-1:2], trail[-1])


def _signature(tests: RolloutTests) -> str:
    return f"{tests.plan.alpha.promote} {tests.plan.digest}"


def _encode(found: Bounds) -> list[Any]:
    return [found.interval.low, found.interval.high, *(list(point) for point in found.trail)]


def _decode(state: Mapping[str, Any] | None, tests: RolloutTests) -> dict[str, Bounds]:
    if state is None or state.get("signature") != _signature(tests):
        return {}
    return {
        name: Bounds(Interval(each[0], each[1]), tuple((int(n), low, high) for n, low, high in each[2:]))
        for name, each in state.items()
        if name != "signature"
    }

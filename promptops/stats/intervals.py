"""Intervals for what is looked at once, when all is in: rates, quantiles.

Shown beside a figure that may be looked at while it grows, an interval from here is too narrow: take
``sequences`` there.
"""

import math
from collections.abc import Callable, Sequence

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.distributions import (
    beta_quantile,
    check_confidence,
    two_sided_z,
)


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A number, the interval it is known to, and from how many items."""

    value: float
    low: float
    high: float
    count: int


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a rate; 0 to 1 where there were no trials.

    Source: Wilson, JASA 1927; recommended for all sample sizes by Brown, Cai and DasGupta, Statistical
    Science 2001.
    """
    _check_counts(successes, trials)
    z = two_sided_z(confidence)
    if trials == 0:
        return Interval(0.0, 1.0)
    rate, spread = successes / trials, z * z / trials
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / trials + spread / (4 * trials)) / (1 + spread)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


def clopper_pearson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The interval of Clopper and Pearson (Biometrika 1934): never covers less than it says, and is wider."""
    _check_counts(successes, trials)
    tail = (1.0 - check_confidence(confidence)) / 2.0
    failures = trials - successes
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, failures + 1.0)
    high = 1.0 if failures == 0 else beta_quantile(1.0 - tail, successes + 1.0, failures)
    return Interval(low, high)


def quantile(values: Sequence[float], probability: float) -> float:
    """The quantile, interpolated between order statistics (definition 7 of Hyndman and Fan 1996)."""
    if not values or not 0.0 <= probability <= 1.0:
        raise Invalid("a quantile needs values, and a probability from 0 to 1")
    ordered = sorted(values)
    place = probability * (len(ordered) - 1)
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return low if low == high else low + (place - below) * (high - low)  # infinite values may be equal


def last_index_where(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest index from ``low`` to below ``high`` that holds, where ``low`` is taken to.

    Whatever is below one that holds does.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise Invalid(f"{successes} successes of {trials} trials: needs 0 <= successes <= trials")

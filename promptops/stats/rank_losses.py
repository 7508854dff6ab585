"""Latency, cost and tokens as losses in [0, 1], and tails.

A value's score is its percentile among the values that stable has had *before* it, so the score of call i
is known from the past and the call alone, and both arms are scored by the same ruler: fed into ``TwoArm``
with g = 0 this is an anytime-valid Mann-Whitney test, deaf to outliers and to drift of the base rate.

For ``WORSE`` the canary's value is taken as it is, for ``NOT_WORSE`` it is divided by the margin first
(1.20 = at most 20 % more).  Where lower is worse, take 1 - score and a margin below 1.

Source: Shekhar and Ramdas (arXiv 2112.09162), with predictable ranks.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import state_reader

MAX_VALUES = (
    1000  # of stable's that are kept: a percentile to a tenth of a point, and a ruler that follows drift
)


@dataclass(slots=True)
class Percentiles:
    """Stable's latest values, at most ``limit`` of them, in order of arrival and in order of size."""

    limit: int = MAX_VALUES
    latest: deque[float] = field(default_factory=deque)
    ordered: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise Invalid(f"a limit of {self.limit} values: at least one is needed to compare with")

    def score(self, value: float) -> float:
        """``(rank + 0.5)/(n + 1)``, equal values counting half; 0.5 before there are any."""
        _check(value)
        return _percentile(self.ordered, value)[0]

    def add(self, value: float) -> None:
        """Add a value of stable's, after it has been scored."""
        _check(value)
        self.latest.append(value)
        insort(self.ordered, value)
        if len(self.latest) > self.limit:
            del self.ordered[bisect_left(self.ordered, self.latest.popleft())]

    def to_json(self) -> dict[str, Any]:
        return {"limit": self.limit, "latest": list(self.latest)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        latest = read.numbers("latest")
        return cls(read.count("limit"), deque(latest), sorted(latest))


def _percentile(ordered: Sequence[float], value: float) -> tuple[float, int]:
    """A value's score, and its place."""
    place, count = bisect_left(ordered, value), len(ordered)
    if place < count and ordered[place] == value:
        return ((place + bisect_right(ordered, value, place)) / 2 + 0.5) / (count + 1), place
    return (place + 0.5) / (count + 1), place


def ratio_losses_of(
    seen: Percentiles, arms: Sequence[bool], values: Sequence[float], margin: float
) -> tuple[list[float], list[float]]:
    """The losses of calls for ``WORSE`` and for ``NOT_WORSE``; stable's values are added to ``seen``.

    ``values``: milliseconds, dollars or tokens; ``margin``: the ratio that is still accepted.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise Invalid(f"a margin of {margin}: needs a ratio above 0, such as 1.2")
    if not all(map(math.isfinite, values)):
        _check(next(value for value in values if not math.isfinite(value)))
    latest, ordered, limit = seen.latest, seen.ordered, seen.limit
    losses, within = [], []
    for canary, value in zip(arms, values, strict=True):
        loss, place = _percentile(ordered, value)
        losses.append(loss)
        if canary:
            within.append(_percentile(ordered, value / margin)[0])
            continue
        within.append(loss)
        ordered.insert(place, value)
        latest.append(value)
        if len(latest) > limit:
            del ordered[bisect_left(ordered, latest.popleft())]
    return losses, within


def _check(value: float) -> None:
    if not math.isfinite(value):
        raise Invalid(f"{value} is not a measured value")

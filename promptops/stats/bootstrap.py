"""Intervals for figures that have no formula: tokens per correct answer, cost per approved answer."""

import math
import random
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TypeVar

from promptops.errors import Undecided
from promptops.stats.distributions import check_confidence
from promptops.stats.intervals import IntervalEstimate, quantile

T = TypeVar("T")
DRAWS = 2000
SEED = 19_790_101


def bootstrap(
    items: Sequence[T],
    statistic: Callable[[Sequence[T]], float],
    confidence: float = 0.95,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
) -> IntervalEstimate:
    """A statistic of independent items with its bias-corrected and accelerated (BCa) interval.

    ``statistic`` is called ``draws`` + n times and may give infinity (no correct answer at all).  The seed
    is fixed: the same items give the same interval.  Fewer than two items raise ``Undecided``.
    Source: Efron, JASA 1987.
    """
    tail, count = (1.0 - check_confidence(confidence)) / 2.0, len(items)
    if count < 2:
        raise Undecided(f"a bootstrap interval needs two items or more, not {count}")
    chosen = random.Random(seed).choices  # noqa: S311 - resampling, not secrets
    value = statistic(items)
    found = [statistic(chosen(items, k=count)) for _ in range(draws)]
    below = sum(each < value for each in found) + sum(each == value for each in found) / 2
    share = min(max(below / draws, 0.5 / draws), 1.0 - 0.5 / draws)
    place = _bca(share, _acceleration(items, statistic))
    low, high = quantile(found, place(tail)), quantile(found, place(1.0 - tail))
    return IntervalEstimate(value, min(low, value), max(high, value), count)


def ratio_of_sums(pairs: Sequence[tuple[float, float]], confidence: float = 0.95) -> IntervalEstimate:
    """Cost per approved answer: the sum of the first numbers over that of the second; infinite over 0."""

    def ratio(chosen: Sequence[tuple[float, float]]) -> float:
        above, below = sum(pair[0] for pair in chosen), sum(pair[1] for pair in chosen)
        return above / below if below else math.inf

    return bootstrap(pairs, ratio, confidence)


def _bca(share: float, acceleration: float) -> Callable[[float], float]:
    normal = NormalDist()
    bias = normal.inv_cdf(share)

    def place(probability: float) -> float:
        z = bias + normal.inv_cdf(probability)
        return normal.cdf(bias + z / (1.0 - acceleration * z))

    return place


def _acceleration(items: Sequence[T], statistic: Callable[[Sequence[T]], float]) -> float:
    left_out = [statistic([*items[:at], *items[at + 1 :]]) for at in range(len(items))]
    if not all(map(math.isfinite, left_out)):
        return 0.0
    mean = math.fsum(left_out) / len(left_out)
    squares = math.fsum((mean - value) ** 2 for value in left_out)
    cubes = math.fsum((mean - value) ** 3 for value in left_out)
    return cubes / (6.0 * squares**1.5) if squares > 0.0 else 0.0

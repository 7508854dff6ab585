"""Correlation of two series of scores, with intervals."""

import math
from collections.abc import Sequence

from promptops.errors import Invalid, Undecided
from promptops.stats.distributions import two_sided_z
from promptops.stats.intervals import IntervalEstimate

_MIN_COUNT = 4  # Fisher's interval divides by n - 3


def pearson(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> IntervalEstimate:
    """Pearson's r with Fisher's interval (Fisher, Metron 1921)."""
    return _with_interval(_product_moment(first, second), len(first), 1.0, confidence)


def spearman(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> IntervalEstimate:
    """Spearman's rank correlation, ties by mean ranks; interval by Bonett and Wright, Psychometrika 2000."""
    rho = _product_moment(ranks(first), ranks(second))
    return _with_interval(rho, len(first), 1.0 + rho * rho / 2.0, confidence)


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for at in order[start:end]:
            found[at] = (start + end + 1) / 2.0
        start = end
    return found


def _product_moment(first: Sequence[float], second: Sequence[float]) -> float:
    if len(first) != len(second):
        raise Invalid(f"{len(first)} and {len(second)} values: a correlation needs pairs")
    if len(first) < _MIN_COUNT:
        raise Undecided(f"a correlation with an interval needs {_MIN_COUNT} pairs or more, not {len(first)}")
    xs, ys = _centred(first), _centred(second)
    spread = math.sqrt(_product(xs, xs)) * math.sqrt(_product(ys, ys))
    if spread == 0.0:
        raise Undecided("a correlation is undefined where one side never varies")
    return max(-1.0, min(1.0, _product(xs, ys) / spread))


def _centred(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def _product(xs: Sequence[float], ys: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(xs, ys, strict=True))


def _with_interval(r: float, count: int, variance: float, confidence: float) -> IntervalEstimate:
    z = two_sided_z(confidence)
    if abs(r) >= 1.0:
        return IntervalEstimate(r, r, r, count)
    half = z * math.sqrt(variance / (count - 3))
    return IntervalEstimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), count)

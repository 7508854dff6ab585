"""A control and a candidate on the same cases: looked at once, when all are in.

Differences are candidate minus control throughout; with losses (1 = failed) a positive one is worse.
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import product
from operator import getitem

from promptops.errors import Invalid, Undecided
from promptops.stats.distributions import binomial_cdf, two_sided_z
from promptops.stats.intervals import IntervalEstimate

EXACT_UP_TO = 24  # pairs that differ: beyond, signs are drawn
DRAWS = 20_000
SEED = 20_240_229
_TIE_TOLERANCE = 1e-9  # relative: sums that rounding alone sets apart
_BITS = 8


def mcnemar(broke: int, fixed: int) -> float:
    """Exact two-sided p-value from the cases that one side alone passed; 1 where there are none.

    ``broke``: passed by the control, failed by the candidate; ``fixed``: the other way round.
    Source: McNemar, Psychometrika 1947, in its binomial form.
    """
    if broke < 0 or fixed < 0:
        raise Invalid(f"{broke} broke, {fixed} fixed: counts are not negative")
    return min(1.0, 2.0 * binomial_cdf(min(broke, fixed), broke + fixed, 0.5))


def paired_rates(broke: int, fixed: int, pairs: int, confidence: float = 0.95) -> IntervalEstimate:
    """The candidate's failure rate minus the control's, ``(broke - fixed)/pairs``, with Tango's interval.

    Keeps its level for few pairs and where nothing differs at all.
    Source: Tango, Statistics in Medicine 1998 (17:891).
    """
    if min(broke, fixed) < 0 or broke + fixed > pairs:
        raise Invalid(f"{broke} broke and {fixed} fixed of {pairs} pairs: these counts contradict each other")
    if not pairs:
        raise Undecided("a paired difference needs at least one pair")
    z = two_sided_z(confidence)
    value = (broke - fixed) / pairs
    low = -1.0 if fixed == pairs else _tango(broke, fixed, pairs, z, -1.0, value)
    high = 1.0 if broke == pairs else _tango(broke, fixed, pairs, -z, value, 1.0)
    return IntervalEstimate(value, low, high, pairs)


def _tango(broke: int, fixed: int, pairs: int, target: float, low: float, high: float) -> float:
    """The difference between ``low`` and ``high`` at which the falling score statistic is ``target``."""
    for _ in range(100):
        middle = (low + high) / 2.0
        if _score(broke, fixed, pairs, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _score(broke: int, fixed: int, pairs: int, difference: float) -> float:
    b = (2 * pairs - broke + fixed) * difference - broke - fixed
    c = -fixed * difference * (1.0 - difference)
    fixed_rate = (math.sqrt(max(0.0, b * b - 8.0 * pairs * c)) - b) / (4.0 * pairs)
    variance = pairs * (2.0 * fixed_rate + difference * (1.0 - difference))
    distance = broke - fixed - pairs * difference
    if variance <= 0.0:
        return math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def sign_flip(differences: Sequence[float], *, draws: int = DRAWS, seed: int = SEED) -> float:
    """Two-sided p-value of "each difference could as well have had the other sign", by their sum.

    Every assignment of signs is counted where up to 24 differences are not 0 (exact, however few there are
    and however they are distributed), else so many are drawn with a fixed seed; the p-value is then at
    least ``1/(draws + 1)`` and never too small.
    Source: Fisher, "The Design of Experiments", 1935, section 21; Phipson and Smyth 2010 for drawn signs.
    """
    moved = [d for d in differences if d]
    if not moved:
        return 1.0
    if not all(map(math.isfinite, moved)):
        raise Invalid("scores are finite numbers")
    bound = abs(math.fsum(moved)) - _TIE_TOLERANCE * math.fsum(map(abs, moved))
    if len(moved) <= EXACT_UP_TO:
        return _all_signs(moved, bound)
    return (1 + _drawn_signs(moved, bound, draws, seed)) / (draws + 1)


def _all_signs(moved: Sequence[float], bound: float) -> float:
    """The share of all sign assignments with ``abs(sum) >= bound``, by meeting in the middle."""
    half = len(moved) // 2
    left, right = _signed_sums(moved[:half]), sorted(_signed_sums(moved[half:]))
    extreme = sum(
        min(len(right), len(right) - bisect_left(right, bound - s) + bisect_right(right, -bound - s))
        for s in left
    )
    return extreme / (1 << len(moved))


def _signed_sums(values: Sequence[float]) -> list[float]:
    return [math.fsum(signed) for signed in product(*((v, -v) for v in values))]


def _drawn_signs(moved: Sequence[float], bound: float, draws: int, seed: int) -> int:
    """How many of ``draws`` random sign assignments have ``abs(sum) >= bound``, eight signs a byte."""
    tables = [_byte_sums(moved[at : at + _BITS]) for at in range(0, len(moved), _BITS)]
    randbytes = random.Random(seed).randbytes  # noqa: S311 - signs, not secrets
    sums: Iterable[float] = (sum(map(getitem, tables, randbytes(len(tables)))) for _ in range(draws))
    return sum(1 for each in sums if abs(each) >= bound)


def _byte_sums(values: Sequence[float]) -> list[float]:
    return [
        sum(-value if byte >> bit & 1 else value for bit, value in enumerate(values))
        for byte in range(1 << _BITS)
    ]

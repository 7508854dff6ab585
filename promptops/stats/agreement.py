"""Agreement beyond chance: of a judge with people, of a judge with itself, of people among themselves."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal

from promptops.errors import Invalid, Undecided
from promptops.stats.distributions import normal_quantile, student_quantile, two_sided_z
from promptops.stats.intervals import IntervalEstimate, wilson_interval

Level = Literal["nominal", "ordinal", "interval"]
Weights = Literal["none", "linear", "quadratic"]
_Table = Mapping[tuple[int, int], float]


def raw_agreement(
    first: Sequence[Hashable], second: Sequence[Hashable], confidence: float = 0.95
) -> IntervalEstimate:
    """The share of items on which two raters say the same, with Wilson's interval."""
    _check_pairs(first, second)
    same = sum(1 for a, b in zip(first, second, strict=True) if a == b)
    interval = wilson_interval(same, len(first), confidence)
    return IntervalEstimate(same / len(first), interval.low, interval.high, len(first))


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    weights: Weights = "none",
    categories: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> IntervalEstimate:
    """Cohen's kappa of two raters over the same items.

    ``weights`` other than none need numbers, or ``categories`` in order; their distance is that of the
    places in this order.  One category throughout raises ``Undecided``.
    Source: Cohen 1960, 1968; interval: Fleiss, Cohen and Everitt, Psychological Bulletin 1969.
    """
    _check_pairs(first, second)
    order = list(categories) if categories is not None else sorted({*first, *second}, key=_value_sort_key)
    place = {category: at for at, category in enumerate(order)}
    if unknown := {*first, *second} - place.keys():
        raise Invalid(f"not among the categories: {min(map(str, unknown))}")
    count = len(first)
    pairs = Counter((place[a], place[b]) for a, b in zip(first, second, strict=True))
    return _kappa({at: n / count for at, n in pairs.items()}, len(order), count, weights, confidence)


def _kappa(table: _Table, size: int, count: int, weights: Weights, confidence: float) -> IntervalEstimate:
    rows, columns = [0.0] * size, [0.0] * size
    for (a, b), share in table.items():
        rows[a] += share
        columns[b] += share
    agree = _agreement_weights(size, weights)
    by_row = [math.fsum(w * share for w, share in zip(line, columns, strict=True)) for line in agree]
    by_column = [math.fsum(agree[a][b] * rows[a] for a in range(size)) for b in range(size)]
    seen = math.fsum(share * agree[a][b] for (a, b), share in table.items())
    chance = math.fsum(share * w for share, w in zip(rows, by_row, strict=True))
    if chance >= 1.0 - 1e-12:
        raise Undecided("kappa is undefined: both raters used one category throughout")
    kappa = (seen - chance) / (1.0 - chance)
    spread = math.fsum(
        share * (agree[a][b] - (by_row[a] + by_column[b]) * (1.0 - kappa)) ** 2
        for (a, b), share in table.items()
    )
    variance = max(0.0, spread - (kappa - chance * (1.0 - kappa)) ** 2) / (count * (1.0 - chance) ** 2)
    half = two_sided_z(confidence) * math.sqrt(variance)
    return IntervalEstimate(kappa, max(-1.0, kappa - half), min(1.0, kappa + half), count)


def _agreement_weights(size: int, weights: Weights) -> list[list[float]]:
    power = {"none": 0, "linear": 1, "quadratic": 2}[weights]
    widest = max(1, size - 1)
    return [
        [1.0 - (abs(a - b) / widest) ** power if power else float(a == b) for b in range(size)]
        for a in range(size)
    ]


def krippendorff_alpha(
    items: Sequence[Sequence[Hashable | None]], *, level: Level = "nominal", confidence: float = 0.95
) -> IntervalEstimate:
    """Krippendorff's alpha: a sequence of ratings per item, any number of raters, None where missing.

    ``ordinal`` orders numbers by size and other values by their text; ``interval`` needs numbers.  Items
    with fewer than two ratings say nothing and are left out; one value throughout raises ``Undecided``.
    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011; interval by the jackknife over
    items.
    """
    rated = [found for item in items if len(found := [value for value in item if value is not None]) > 1]
    values = sorted({value for item in rated for value in item}, key=_value_sort_key)
    if len(values) < 2:
        raise Undecided("alpha is undefined: fewer than two values were ever given")
    place = {value: at for at, value in enumerate(values)}
    counts = [Counter(place[value] for value in item) for item in rated]
    totals = [float(sum(count[at] for count in counts)) for at in range(len(values))]
    distance = _distance(level, values)
    # For ordinal data distances depend on the totals; the jackknife holds them fixed.
    apart = [[distance(a, b, totals) for b in range(len(values))] for a in range(len(values))]
    within = [_disagreement(count, apart) for count in counts]
    between = _between(totals, apart)
    alpha = _alpha(math.fsum(within), between, sum(totals))
    left_out = [
        _alpha_without(count, own, math.fsum(within), totals, between, apart)
        for count, own in zip(counts, within, strict=True)
    ]
    half = _jackknife_half_width(left_out, confidence)
    return IntervalEstimate(alpha, max(-1.0, alpha - half), min(1.0, alpha + half), len(rated))


def _alpha(within: float, between: float, total: float) -> float:
    return 1.0 - (total - 1.0) * within / between if between > 0.0 else 1.0


def _disagreement(count: Mapping[int, int], apart: Sequence[Sequence[float]]) -> float:
    rated = sum(count.values())
    pairs = math.fsum(n * m * apart[a][b] for a, n in count.items() for b, m in count.items())
    return pairs / (rated - 1)


def _between(totals: Sequence[float], apart: Sequence[Sequence[float]]) -> float:
    size = range(len(totals))
    return math.fsum(totals[a] * totals[b] * apart[a][b] for a in size for b in size)


def _alpha_without(
    count: Mapping[int, int],
    own: float,
    within: float,
    totals: Sequence[float],
    between: float,
    apart: Sequence[Sequence[float]],
) -> float:
    """Alpha with one item left out."""
    cross = math.fsum(n * totals[b] * apart[a][b] for a, n in count.items() for b in range(len(totals)))
    inner = math.fsum(n * m * apart[a][b] for a, n in count.items() for b, m in count.items())
    return _alpha(within - own, between - 2.0 * cross + inner, sum(totals) - sum(count.values()))


def _jackknife_half_width(left_out: Sequence[float], confidence: float) -> float:
    count = len(left_out)
    if count < 2:
        return 2.0
    mean = math.fsum(left_out) / count
    variance = (count - 1) / count * math.fsum((value - mean) ** 2 for value in left_out)
    return student_quantile(confidence, count - 1) * math.sqrt(variance)


def _distance(level: Level, values: Sequence[Hashable]) -> Callable[[int, int, Sequence[float]], float]:
    if level == "nominal":
        return lambda a, b, _: float(a != b)
    if level == "ordinal":
        return _ordinal
    numbers = [_number(value) for value in values]
    return lambda a, b, _: (numbers[a] - numbers[b]) ** 2


def _ordinal(a: int, b: int, totals: Sequence[float]) -> float:
    low, high = min(a, b), max(a, b)
    return (math.fsum(totals[low : high + 1]) - (totals[low] + totals[high]) / 2.0) ** 2


def detectable_difference(
    repeats: Sequence[Sequence[float]], count: int, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest paired difference of means that a judge can see over ``count`` cases, in its own units.

    ``repeats``: its scores of the same answers, asked at least twice each.  The judge's own noise alone is
    counted (sd within an answer, times the root of 2 as either side is judged), so this is the floor, not a
    promise.
    """
    asked = [scores for scores in repeats if len(scores) > 1]
    if not asked or count < 1:
        raise Undecided("the judge's noise needs answers that were judged at least twice")
    freedom = sum(len(scores) - 1 for scores in asked)
    squares = math.fsum((s - math.fsum(scores) / len(scores)) ** 2 for scores in asked for s in scores)
    factor = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)
    return factor * math.sqrt(2.0 * squares / freedom / count)


def _value_sort_key(value: object) -> tuple[bool, float, str]:
    """Numbers by size, then everything else by its text."""
    if isinstance(value, int | float):
        return False, float(value), ""
    return True, 0.0, str(value)


def _number(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    raise Invalid(f"the level interval needs numbers, not {value!r}")


def _check_pairs(first: Sequence[object], second: Sequence[object]) -> None:
    if len(first) != len(second):
        raise Invalid(f"{len(first)} and {len(second)} ratings: both raters rate the same items")
    if not first:
        raise Undecided("agreement needs at least one item that both rated")

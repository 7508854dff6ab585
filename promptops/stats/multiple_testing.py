"""Several p-values at once: adjusted so that each may be compared with alpha itself."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from promptops.errors import Invalid


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: the chance of even one false finding stays below alpha.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    order = _order(p_values)
    count = len(order)
    stepped = accumulate((p_values[at] * (count - rank) for rank, at in enumerate(order)), max)
    return _restore_order(order, stepped)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: the share of false ones among the findings stays below alpha.

    Holds for independent or positively dependent tests.
    Source: Benjamini and Hochberg, JRSS-B 1995; Benjamini and Yekutieli, Annals of Statistics 2001.
    """
    order = _order(p_values)[::-1]
    count = len(order)
    stepped = accumulate((p_values[at] * count / (count - rank) for rank, at in enumerate(order)), min)
    return _restore_order(order, stepped)


def _order(p_values: Sequence[float]) -> list[int]:
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise Invalid("a p-value lies between 0 and 1")
    return sorted(range(len(p_values)), key=p_values.__getitem__)


def _restore_order(order: Sequence[int], values: Iterable[float]) -> list[float]:
    placed = [0.0] * len(order)
    for at, value in zip(order, values, strict=True):
        placed[at] = min(1.0, value)
    return placed

"""Several p-values at once: adjusted so that each may be compared with alpha itself."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from promptops.errors import Invalid


def testable(counts: Sequence[int], least_of: Callable[[int], int]) -> tuple[int, list[int]]:
    """How much each must have been counted to be tested at all, and the places of those that have.

    ``least_of``: what is needed where so many are tested. Counts must not know which side they speak against.
    """
    for number in range(1, len(counts) + 1):
        least = least_of(number)
        if len(able := [place for place, count in enumerate(counts) if count >= least]) <= number:
            return least, able
    return least_of(1), []


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: the chance of even one false finding stays below alpha.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise Invalid("a p-value lies between 0 and 1")
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    stepped = accumulate((p_values[at] * (len(order) - rank) for rank, at in enumerate(order)), max)
    placed = dict(zip(order, stepped, strict=True))
    return [min(1.0, placed[at]) for at in range(len(p_values))]

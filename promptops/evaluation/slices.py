"""Which tags and checks got worse: named so that even one wrong name among them is unlikely.

Looked at once, by Holm's procedure on exact one-sided tests; where one may stop at a verdict, by closed
testing of e-values, which may be looked at after every pair. Slices in which too few pairs differ to ever be
named are left out beforehand, by a count that does not see the direction.

Sources: Holm, Scandinavian Journal of Statistics 1979; Vovk and Wang, Annals of Statistics 2021 (1912.06116).
"""

import math
from collections.abc import Callable, Mapping, Sequence

from promptops.evaluation.result import Slice
from promptops.stats.eprocess import BET_FRACTIONS
from promptops.stats.guard_group import closed_testing
from promptops.stats.multiple_testing import holm

ALPHA = 0.05


def proven_worse(
    slices: Sequence[Slice], log_e: Mapping[int, float] | None, tags: int
) -> tuple[list[Slice], list[str]]:
    """Slices shown to be worse, the clearest first; and a sentence for each tag with too few pairs to tell.

    The first ``tags`` of them are tags, the others checks, which more cases of one kind would not help.
    ``log_e``: evidence of harm by place in ``slices``, where pairs were looked at on the way.
    """
    least = _least_at_one_look if log_e is None else _least_at_any_look
    count = _testable_count(slices, least)
    able = [place for place, each in enumerate(slices) if _differing(each) >= least(count)]
    if log_e is None:
        adjusted = holm([_one_sided(slices[place]) for place in able])
        strength = {place: -math.log(max(p, 1e-300)) for place, p in zip(able, adjusted, strict=True)}
    else:
        known = closed_testing({str(place): log_e.get(place, 0.0) for place in able})
        strength = {int(place): each for place, each in known.items()}
    named = [place for place in able if strength[place] >= -math.log(ALPHA) and slices[place].difference < 0]
    named.sort(key=lambda place: -strength[place])
    return [slices[place] for place in named], [
        _thin_sentence(each, least(count))
        for each in slices[:tags]
        if 0 < _differing(each) < least(count) and each.broke > each.fixed
    ]


def _differing(each: Slice) -> int:
    return each.broke + each.fixed


def _one_sided(each: Slice) -> float:
    return each.p / 2 if each.difference < 0 else 1.0


def _testable_count(slices: Sequence[Slice], least: Callable[[int], int]) -> int:
    """How many can be named at all, when so many are tested."""
    return next(
        (
            count
            for count in range(1, len(slices) + 1)
            if sum(_differing(each) >= least(count) for each in slices) <= count
        ),
        1,
    )


def _least_at_one_look(count: int) -> int:
    """Pairs that broke, none fixed, of which one of ``count`` slices can be named."""
    return math.ceil(math.log2(count / ALPHA))


def _least_at_any_look(count: int) -> int:
    def evidence(broke: int) -> float:
        return sum((1.0 + c) ** broke for c in BET_FRACTIONS) / len(BET_FRACTIONS)

    return next(broke for broke in range(1, 200) if evidence(broke) >= count / ALPHA)


def _thin_sentence(each: Slice, least: int) -> str:
    return (
        f"{each.name}: {each.broke:,} broke, {each.fixed:,} fixed of {each.pairs:,}; too few to tell "
        f"(needs {least:,} in which the sides differ)"
    )

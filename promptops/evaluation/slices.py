"""Which tags and checks got worse: named so that even one wrong name among them is unlikely.

Looked at once, by Holm's procedure on exact one-sided tests. Where one may stop at a verdict, by closed
testing of e-values at 0.04, which may be looked at after every pair, and at the planned end by Holm at 0.01.
Slices in which too few pairs differ to ever be named are left out beforehand, by a count that does not see
the direction.

Sources: Holm, Scandinavian Journal of Statistics 1979; Vovk and Wang, Annals of Statistics 2021 (1912.06116).
"""

import math
import shlex
from collections.abc import Mapping, Sequence

from promptops.evaluation.result import Slice
from promptops.stats.eprocess import log_threshold
from promptops.stats.guard_group import closed_testing, least_losses
from promptops.stats.multiple_testing import holm, testable

ALPHA = 0.05
_EARLY_ALPHA, _END_ALPHA = 0.04, 0.01
_MAX_SAMPLE = 2_000  # pairs


def proven_worse(
    slices: Sequence[Slice], log_e: Mapping[int, float] | None, tags: int, *, at_end: bool = False
) -> tuple[list[Slice], list[str]]:
    """Slices shown to be worse, the clearest first; and a sentence for each tag with too few pairs to tell.

    The first ``tags`` of them are tags, the others checks, which more cases of one kind would not help.
    ``log_e``: evidence of harm by place in ``slices``, where pairs were looked at on the way; ``at_end``: all
    that were planned are in.
    """
    if log_e is None:
        least, proven = _by_holm(slices, ALPHA)
    else:
        least, proven = _by_closed_testing(slices, log_e)
        if at_end:
            proven |= _by_holm(slices, _END_ALPHA)[1]
    named = [slices[place] for place in proven if slices[place].difference < 0]
    named.sort(key=lambda each: (_one_sided(each), each.name))
    return named, [
        _thin_sentence(each, least)
        for each in slices[:tags]
        if 0 < each.broke + each.fixed < least and each.broke > each.fixed
    ]


def _by_holm(slices: Sequence[Slice], alpha: float) -> tuple[int, set[int]]:
    """How many pairs must differ for a slice to be tested, and the places of those that are shown worse."""
    least, able = testable(_differing(slices), lambda count: math.ceil(math.log2(count / alpha)))
    adjusted = holm([_one_sided(slices[place]) for place in able])
    return least, {place for place, p in zip(able, adjusted, strict=True) if p <= alpha}


def _by_closed_testing(slices: Sequence[Slice], log_e: Mapping[int, float]) -> tuple[int, set[int]]:
    least, able = testable(_differing(slices), lambda count: least_losses(count, _EARLY_ALPHA))
    found = closed_testing({str(place): log_e.get(place, 0.0) for place in able})
    return least, {int(place) for place, each in found.items() if each >= log_threshold(_EARLY_ALPHA)}


def _differing(slices: Sequence[Slice]) -> list[int]:
    return [each.broke + each.fixed for each in slices]


def _one_sided(each: Slice) -> float:
    return each.p / 2 if each.difference < 0 else 1.0


def _thin_sentence(each: Slice, least: int) -> str:
    share = (each.broke + each.fixed) / each.pairs
    sample = min(_MAX_SAMPLE, math.ceil(least / share / 10) * 10)
    select = shlex.quote(f"tag={each.name}")
    return (
        f"{each.name}: {each.broke:,} broke, {each.fixed:,} fixed of {each.pairs:,}; too few to tell "
        f"(needs {least:,} in which the sides differ: shadow run … --select {select} --sample {sample})"
    )

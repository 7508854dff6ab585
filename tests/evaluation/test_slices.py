"""Which slices are named as worse, and which have too few pairs to tell."""

import random
import re

import pytest

from promptops.evaluation.comparison import PairedComparison, PairSide
from promptops.stats.sequential_pairs import SequentialPairedTest


def compared(slices: dict[str, tuple[int, int, int]], *, early: bool = False) -> PairedComparison[str]:
    """``slices``: how many pairs of each tag broke, were fixed, and stayed."""
    evidence = SequentialPairedTest(0.03) if early else None
    comparison: PairedComparison[str] = PairedComparison(0.03, evidence=evidence)
    for tag, (broke, fixed, same) in slices.items():
        pairs = [(1, 0)] * broke + [(0, 1)] * fixed + [(1, 1)] * same
        for control, candidate in pairs:
            sides = (PairSide(passed, {"polite": passed}) for passed in (control, candidate))
            comparison.add(*sides, tags=[tag], severity=1.0, example=lambda: "")
    return comparison


MIXED = {"easy": (0, 9, 91), "hard": (12, 0, 38), "odd": (3, 0, 11), "plain": (2, 2, 96)}


@pytest.mark.parametrize("early", [False, True])
def test_the_slice_that_got_worse_is_named_and_no_other(early: bool) -> None:
    """Whether all pairs are looked at once or one may stop at a verdict; thin ones say what they need."""
    found = compared(MIXED, early=early).slices()
    assert found.worse_slices == ("hard",)
    (thin,) = found.thin
    assert thin.startswith("odd: 3 broke, 0 fixed of 14; too few to tell (needs ")
    assert re.search(r": shadow run … --select tag=odd --sample [3-6]0\)$", thin)
    assert found.worse_checks == ()
    assert all(each.p_adjusted >= each.p for each in (*found.tags, *found.checks))


def test_where_one_may_stop_the_planned_end_is_one_more_look() -> None:
    """Nine broken pairs are too few for looks on the way, and enough for a look at 0.01 when all are in."""
    pairs = {"easy": (0, 9, 91), "hard": (9, 0, 41)}
    comparison = compared(pairs, early=True)
    assert comparison.slices().worse_slices == ()
    assert comparison.slices(at_end=True).worse_slices == ("hard",)


def test_a_check_that_is_shown_to_be_worse_is_named_whatever_the_whole_did() -> None:
    found = compared({"all": (30, 0, 70)}).slices()
    assert (found.worse_slices, found.worse_checks) == ((), ("polite",))
    assert compared({"all": (30, 28, 9_000)}).slices().worse_checks == ()  # within the margin


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.slow
def test_good_slices_are_seldom_named(early: bool) -> None:
    """Ten slices of 60 pairs that change nothing; where one may stop, they are looked at every 200 pairs."""
    named = 0
    for seed in range(16):
        draw = random.Random(seed).random
        comparison: PairedComparison[str] = PairedComparison(
            0.03, evidence=SequentialPairedTest(0.03) if early else None
        )
        looks: list[bool] = []
        for pair in range(600):
            sides = (PairSide(int(draw() < 0.85), {}) for _ in range(2))
            comparison.add(*sides, tags=[f"t{pair % 10}"], severity=1.0, example=lambda: "")
            if pair == 599 or (early and pair % 200 == 199):
                looks.append(bool(comparison.slices().worse_slices))
        named += any(looks)
    assert named <= 2  # 5 % of 16, and two standard errors

"""Slices of evals, of shadow runs that may stop, and of canaries: is a good one named, is a bad one found?

Each world gives 1 where the slices that it asks for were named at any look, else None.
"""

import random

from promptops.evaluation.comparison import PairedComparison, PairSide
from promptops.release.analysis.rollout_tests import new_tests
from promptops.release.analysis.scoring import MetricValue, NoValue
from promptops.release.analysis.verdicts import find_worse_slices
from promptops.release.plan import decode_plan
from promptops.release.plan.slice_signals import with_slices
from promptops.stats.sequential_pairs import SequentialPairedTest

_FAILING = 0.1
_LOOK = 50  # pairs
_TICK = 250  # calls


def named_in_pairs(seed: int, slices: int, pairs: int, drop: float, early: bool, bad: bool) -> int | None:
    """The first of so many slices, of so many pairs each, fails more often by ``drop``, the others less.

    All together change nothing. ``early``: looked at on the way, and once more at the end. ``bad``: whether
    the first is named, else another.
    """
    draw = random.Random(seed).random
    evidence = SequentialPairedTest(0.03) if early else None
    comparison: PairedComparison[str] = PairedComparison(0.03, evidence=evidence)
    total, wanted = slices * pairs, {"t0"}
    for pair in range(total):
        tag = pair % slices
        change = drop if tag == 0 else -drop / (slices - 1)
        passed = (int(draw() >= _FAILING), int(draw() >= _FAILING + change))
        sides = (PairSide(each, {}) for each in passed)
        comparison.add(*sides, tags=[f"t{tag}"], severity=1.0, example=lambda: "")
        if pair == total - 1 or (early and pair % _LOOK == _LOOK - 1):
            named = set(comparison.slices(at_end=pair == total - 1).worse_slices)
            if named & wanted if bad else named - wanted:
                return 1
    return None


def named_in_canary(seed: int, slices: int, calls: int, drop: float, bad: bool) -> int | None:
    """The first of so many slices fails more often by ``drop`` on the canary, which has 50 %."""
    draw = random.Random(seed).random
    tags = [f"t{number}" for number in range(slices)]
    plan = with_slices(decode_plan("quick", {"slices": tags}))
    tests = new_tests(plan, {})
    names = {each.tag: each.name for each in plan.metrics if each.tag}
    wanted = {names["t0"]}
    for _ in range(slices * calls // _TICK):
        arms: list[tuple[bool, int]] = []
        values: dict[str, list[MetricValue]] = {name: [] for name in names.values()}
        for _ in range(_TICK):
            tag, canary = tags[int(draw() * slices)], draw() < 0.5
            failed = draw() < _FAILING + drop * (canary and tag == "t0")
            arms.append((canary, 5_000))
            for each, name in names.items():
                values[name].append(float(failed) if each == tag else NoValue.NOT_DUE)
        tests.instant.add_all(arms, values)
        named = find_worse_slices(tests).names
        if named & wanted if bad else named - wanted:
            return 1
    return None

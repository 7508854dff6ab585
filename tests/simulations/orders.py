"""Recorded items in orders of their own, each on an arm by chance, and what the engine says of them.

Looked at after every call, as a tick may be.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

from promptops.stats.eprocess import Hypothesis
from promptops.stats.two_arm import TwoArmTest, two_arm_test

ALPHA, MARGIN, MIN_CANARY = 0.05, 0.05, 30
Losses = tuple[float, ...]


def reverted(seed: int, losses: Losses) -> int | None:
    """The call after which a side is said to be worse than itself, None if never."""
    return _rejected(Hypothesis.WORSE, _calls(seed, losses, losses))


def found_better(seed: int, losses: Losses) -> int | None:
    """The call after which a side is said to be better than itself, as a goal must be, None if never."""
    return _rejected(Hypothesis.NOT_WORSE, _calls(seed, losses, losses))


def decided(seed: int, before: Losses, after: Losses) -> int | None:
    """The call of a promotion with a superiority goal; below zero that of a rollback; None if undecided."""
    worse, better = TwoArmTest(Hypothesis.WORSE, 0.0), TwoArmTest(Hypothesis.NOT_WORSE, 0.0)
    not_worse, on_canary = two_arm_test(Hypothesis.NOT_WORSE, MARGIN), 0
    for number, (canary, loss) in enumerate(_calls(seed, before, after), 1):
        on_canary += canary
        worse.update(canary, 0.5, loss)
        better.update(canary, 0.5, loss)
        not_worse.update(canary, 0.5, loss)
        if worse.rejects(ALPHA / 2):  # errors and correct answers are two groups, as they wait differently
            return -number
        if on_canary >= MIN_CANARY and better.rejects(ALPHA) and not_worse.rejects(ALPHA):
            return number
    return None


def _calls(seed: int, before: Sequence[float], after: Sequence[float]) -> Iterator[tuple[bool, float]]:
    draw, pairs = random.Random(seed), list(zip(before, after, strict=True))
    draw.shuffle(pairs)
    for pair in pairs:
        canary = draw.random() < 0.5
        yield canary, pair[canary]


def _rejected(question: Hypothesis, calls: Iterable[tuple[bool, float]]) -> int | None:
    test = TwoArmTest(question, 0.0)
    for number, (canary, loss) in enumerate(calls, 1):
        test.update(canary, 0.5, loss)
        if test.rejects(ALPHA):
            return number
    return None

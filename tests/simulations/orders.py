"""One recorded side against itself: its items in an order of their own, each on an arm by chance."""

import random

from promptops.stats.eprocess import Question
from promptops.stats.two_arm import TwoArm

ALPHA = 0.05


def taken_back(seed: int, losses: tuple[float, ...]) -> int | None:
    """The call after which the canary is said to be worse, None if never; looked at after every call."""
    return _rejected(seed, losses, Question.WORSE)


def found_better(seed: int, losses: tuple[float, ...]) -> int | None:
    """The call after which the canary is said to be better, as a goal must be, None if never."""
    return _rejected(seed, losses, Question.NOT_WORSE)


def _rejected(seed: int, losses: tuple[float, ...], question: Question) -> int | None:
    draw, order = random.Random(seed), list(losses)  # noqa: S311 - no secret
    draw.shuffle(order)
    test = TwoArm(question, 0.0)
    for call, loss in enumerate(order, 1):
        test.update(draw.random() < 0.5, 0.5, loss)
        if test.rejects(ALPHA):
            return call
    return None

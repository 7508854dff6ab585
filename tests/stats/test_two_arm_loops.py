"""Many calls at once say what they say one by one, to the last bit."""

import random

import pytest

from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.two_arm import (
    FROM_ZERO,
    MAX_DIFFERENCE,
    NO_HISTORY,
    RANKS,
    Prior,
    prior_from_history,
    two_arm_test,
)


@pytest.mark.parametrize("question", list(Hypothesis))
@pytest.mark.parametrize("prior", [NO_HISTORY, FROM_ZERO, RANKS, prior_from_history(0.02), Prior(1.0, 3.0)])
@pytest.mark.parametrize("g", [-MAX_DIFFERENCE, -0.3, -0.02, 0.0, 0.02, 0.3, MAX_DIFFERENCE])
@pytest.mark.parametrize("rates", [(0.5, 0.05), (0.05, 0.5), (0.1, 0.1)])
def test_it_rejects_at_the_call_at_which_the_test_does(
    question: Hypothesis, prior: Prior, g: float, rates: tuple[float, float]
) -> None:
    draw = random.Random(7)
    calls = []
    for _ in range(600):
        weight = draw.choice((0.05, 0.5, 0.95))
        canary = draw.random() < weight
        calls.append((canary, weight, float(draw.random() < rates[not canary])))
    for alpha in (0.5, 0.05, 0.001):
        test, wanted = two_arm_test(question, g, prior), None
        for number, call in enumerate(calls, start=1):
            test.update(*call)
            if test.rejects(alpha):
                wanted = number
                break
        again = two_arm_test(question, g, prior).update_all(calls, log_threshold(alpha))
        assert again == wanted

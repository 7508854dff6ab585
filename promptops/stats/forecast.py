"""How many calls a verdict will need, before any is made.

The wealth of each share grows by the expected logarithm of its factor; a verdict is due when the mean of
what grew steadily would reach ``1/alpha``.  Luck brings more than half of all rollouts there
earlier: expect the median itself to half as much again as the median.

Source: Kelly, Bell System Technical Journal 1956; Waudby-Smith and Ramdas, JRSS-B 2024 (arXiv 2010.09686).
"""

import math
from collections.abc import Sequence

from promptops.errors import Invalid
from promptops.stats.eprocess import BET_FRACTIONS, Hypothesis, log_mean, log_threshold
from promptops.stats.non_inferiority import WEIGHTS, MarginTest
from promptops.stats.two_arm import Prior, TwoArmTest

_FIXED_CALLS = 1_000_000_000  # calls that have been seen: the bet stands still


def calls_needed(
    question: Hypothesis, g: float, weight: float, stable: float, canary: float, alpha: float
) -> float | None:
    """Calls of both arms until ``question`` rejects ``g`` at ``alpha``, for 0/1 losses at these two rates.

    ``weight``: the canary's share of calls, strictly between 0 and 1.  None: never, as the evidence does
    not grow.
    """
    if not (0.0 < weight < 1.0 and 0.0 <= stable <= 1.0 and 0.0 <= canary <= 1.0):
        raise Invalid(
            f"weight {weight}, rates {stable} and {canary}: needs 0 < weight < 1 and rates from 0 to 1"
        )
    mean = weight * canary + (1.0 - weight) * stable
    by_margin = question is Hypothesis.NOT_WORSE and g > 0.0
    growth = [0.0] * len(WEIGHTS if by_margin else BET_FRACTIONS)
    for on_canary, arm_share, rate in ((True, weight, canary), (False, 1.0 - weight, stable)):
        for loss, chance in ((1.0, rate), (0.0, 1.0 - rate)):
            test: MarginTest | TwoArmTest
            if by_margin:
                test = MarginTest(g, _FIXED_CALLS, mean * _FIXED_CALLS)
            else:
                test = TwoArmTest(question, g, Prior(mean, float(_FIXED_CALLS)))
            test.update(on_canary, weight, loss)
            growth = [
                sum_ + arm_share * chance * log for sum_, log in zip(growth, test.wealth.logs, strict=True)
            ]
    return _calls_until_rejection(growth, alpha, WEIGHTS if by_margin else ())


def _calls_until_rejection(
    growth: Sequence[float], alpha: float, weights: Sequence[float] = ()
) -> float | None:
    """When the mean of what grows at these logarithmic rates reaches ``1/alpha``."""
    threshold, best = log_threshold(alpha), max(growth)
    if best <= 0.0:
        return None
    smallest = min(weights, default=1 / len(growth))
    low, high = threshold / best, (threshold - math.log(smallest)) / best
    for _ in range(60):
        middle = (low + high) / 2.0
        if log_mean([middle * rate for rate in growth], weights) < threshold:
            low = middle
        else:
            high = middle
    return high

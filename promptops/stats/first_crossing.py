"""At which call a test of two arms first rejects: the loop of ``TwoArmTest``, for searches that run it often.

The arithmetic is that of ``TwoArmTest.update`` and ``Wealth.bet``, step by step, so that both say the same.
What is left out is the running highest: the mean of the fortunes is looked at only where the largest of them
has passed the threshold, as a mean is never above its largest part.
"""

from collections.abc import Iterable
from math import log1p

from promptops.stats.eprocess import BET_FRACTIONS, Hypothesis, log_mean
from promptops.stats.two_arm import EDGE, Prior

Observation = tuple[bool, float, float]  # on the canary?, its weight, the loss


def first_crossing(
    observations: Iterable[Observation], question: Hypothesis, g: float, threshold: float, prior: Prior
) -> int | None:
    """The number of the call (from 1) at which the logarithm of the evidence reaches the threshold."""
    low, high, worse = max(EDGE, EDGE - g), min(1.0 - EDGE, 1.0 - EDGE - g), question is Hypothesis.WORSE
    known, count, total = prior.mean * prior.count, prior.count, 0.0
    c1, c2, c3, c4, c5, c6 = BET_FRACTIONS
    l1 = l2 = l3 = l4 = l5 = l6 = 0.0
    for number, (canary, weight, loss) in enumerate(observations, start=1):
        k_s = (known + total) / (count + (number - 1)) - weight * g
        k_s = low if k_s < low else min(k_s, high)
        k_c, rest = k_s + g, 1.0 - weight
        gain = (loss - k_c) / weight if canary else (k_s - loss) / rest
        if worse:
            one, other = weight / k_c, rest / (1.0 - k_s)
            x = (min(other, one)) * gain
        else:
            one, other = weight / (1.0 - k_c), rest / k_s
            x = -(min(other, one)) * gain
        total += loss
        l1 += log1p(c1 * x)
        l2 += log1p(c2 * x)
        l3 += log1p(c3 * x)
        l4 += log1p(c4 * x)
        l5 += log1p(c5 * x)
        l6 += log1p(c6 * x)
        passed = x > 0.0 and (l6 >= threshold or max(l1, l2, l3, l4, l5) >= threshold)
        if passed and log_mean((l1, l2, l3, l4, l5, l6)) >= threshold:
            return number
    return None

"""How surely a canary that does harm is found within so many calls: rollouts played with the engine itself.

Counted in rollouts and not computed: until the test knows the base rate it bets below its best, and a formula
that leaves that out promises up to 25 points too much.
"""

import random
from collections.abc import Sequence

from promptops.errors import Invalid
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.two_arm import TwoArmTest

_ROLLOUTS = 200  # the standard error is at most 3.6 points
_SEED = 20_260_311  # the same figure for everybody


def harm_power(
    stages: Sequence[tuple[float, int]], stable: float, canary: float, alpha: float, guards: int = 1
) -> float:
    """The share of rollouts in which 0/1 losses at these two rates are found to be worse.

    ``stages``: the canary's share, strictly between 0 and 1, and calls of both arms, one after the other.
    ``guards``: how many are averaged before they are held against ``1/alpha``; the others show nothing.
    Raises Invalid for rates and shares outside 0 to 1.
    """
    if not all(0.0 <= rate <= 1.0 for rate in (stable, canary)):
        raise Invalid(f"rates {stable} and {canary}: needs 0 to 1")
    draw = random.Random(_SEED).random  # noqa: S311 - rollouts that are played, no secrets
    threshold = log_threshold(alpha / guards)
    found = 0
    for _ in range(_ROLLOUTS):
        test = TwoArmTest(Hypothesis.WORSE, 0.0)
        calls = (weight for weight, count in stages for _ in range(count))
        for weight in calls:
            on_canary = draw() < weight
            test.update(on_canary, weight, float(draw() < (canary if on_canary else stable)))
            if test.wealth.highest >= threshold:
                found += 1
                break
    return found / _ROLLOUTS

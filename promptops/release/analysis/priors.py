"""What is expected of a rollout before it is seen: base rates, ranks, and the weights that proof comes by."""

from collections.abc import Callable, Sequence

from promptops.release.plan.types import ReleasePlan
from promptops.stats.rank_losses import Percentiles
from promptops.stats.two_arm import NO_HISTORY, Prior

DEFAULT_LOSS_RATE = 0.05  # of losses, where stable has no history
DEFAULT_RANK = 0.45  # of the canary's values divided by the margin, where it has none
RANK_EFFICIENCY = 3.0  # ranks vary a third as much as 0/1 losses do
_MIN_RANKS = 10
_DEFAULT_WEIGHT = 0.5
_ALL_BP = 10_000
StepCalls = tuple[float, float]  # a weight, and the calls of both arms at it
_PRIOR_CALLS = 20.0  # calls that what is expected counts for beside what has been seen


def calls_through_steps(
    steps: Sequence[StepCalls], needed: Callable[[float], float | None], open_share: float = 1.0
) -> float | None:
    """Calls until a share of the evidence that is open is there, step by step; None: never.

    Each step brings evidence at the rate of its own weight: ``needed`` calls at it bring all. The last step
    goes on for ever.
    """
    spent = 0.0
    for weight, calls in steps[:-1]:
        whole = needed(weight)
        if whole is not None and calls >= open_share * whole:
            return spent + open_share * whole
        open_share -= calls / whole if whole else 0.0
        spent += calls
    whole = needed(steps[-1][0])
    return None if whole is None else spent + open_share * whole


def steps_ahead(plan: ReleasePlan, step: int, seen: Callable[[int], int]) -> Sequence[StepCalls]:
    """From a step on, calls of both arms until each step has the canary calls that it wants.

    ``seen``: canary calls at a weight in hundredths of a percent so far.
    """
    ahead = [
        (
            each.weight_bp / _ALL_BP,
            max(0, each.min_canary - seen(each.weight_bp)) / (each.weight_bp / _ALL_BP),
        )
        for each in plan.steps[step:]
        if each.weight_bp
    ]
    before = [each.weight_bp / _ALL_BP for each in plan.steps[:step] if each.weight_bp]
    return ahead or [(before[-1] if before else _DEFAULT_WEIGHT, 0.0)]


def base_rate(prior: Prior) -> float:
    """Stable's mean loss as it is known beforehand."""
    return DEFAULT_LOSS_RATE if prior == NO_HISTORY else prior.mean


def expected_rank(seen: Percentiles, margin: float) -> float:
    """The mean rank of a canary that is like stable, by stable's own values divided by the margin."""
    ranks = [seen.score(value / margin) for value in seen.latest]
    return sum(ranks) / len(ranks) if len(ranks) >= _MIN_RANKS else DEFAULT_RANK


def shrunk_mean(total: float, calls: float, expected: float) -> float:
    """A mean in [0, 1] of what has been seen and of what is expected, which soon counts for little."""
    return min(1.0, max(0.0, (total + _PRIOR_CALLS * expected) / (calls + _PRIOR_CALLS)))

"""What is expected of a rollout before it is seen: base rates, ranks, and the weight that proof comes by."""

from promptops.release.plan.types import Plan
from promptops.stats.rank_losses import Percentiles
from promptops.stats.two_arm import NO_HISTORY, Prior

RATE = 0.05  # of losses, where stable has no history
RANK = 0.45  # of the canary's values divided by the margin, where it has none
RANKS = 3.0  # ranks vary a third as much as 0/1 losses do
_FEW = 10
_HALF = 0.5
_ALL_BP = 10_000
_WORTH = 20.0  # calls that what is expected counts for beside what has been seen


def weight_of_proof(plan: Plan) -> float:
    """The canary's share in the last step, in which the proof is completed."""
    weights = [step.weight_bp for step in plan.steps if step.weight_bp]
    return weights[-1] / _ALL_BP if weights else _HALF


def base_rate(prior: Prior) -> float:
    """Stable's mean loss as it is known beforehand."""
    return RATE if prior == NO_HISTORY else prior.mean


def rank_alike(seen: Percentiles, margin: float) -> float:
    """The mean rank of a canary that is like stable, by stable's own values divided by the margin."""
    ranks = [seen.score(value / margin) for value in seen.latest]
    return sum(ranks) / len(ranks) if len(ranks) >= _FEW else RANK


def blended(total: float, calls: float, expected: float) -> float:
    """A mean in [0, 1] of what has been seen and of what is expected, which soon counts for little."""
    return min(1.0, max(0.0, (total + _WORTH * expected) / (calls + _WORTH)))

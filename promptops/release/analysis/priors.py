"""What is expected of a rollout before it is seen: base rates, ranks, and the weight that proof comes by."""

from promptops.release.plan.types import ReleasePlan
from promptops.stats.rank_losses import Percentiles
from promptops.stats.two_arm import NO_HISTORY, Prior

DEFAULT_LOSS_RATE = 0.05  # of losses, where stable has no history
DEFAULT_RANK = 0.45  # of the canary's values divided by the margin, where it has none
RANK_EFFICIENCY = 3.0  # ranks vary a third as much as 0/1 losses do
_MIN_RANKS = 10
_DEFAULT_WEIGHT = 0.5
_ALL_BP = 10_000
_PRIOR_CALLS = 20.0  # calls that what is expected counts for beside what has been seen


def final_step_weight(plan: ReleasePlan) -> float:
    """The canary's share in the last step, in which the proof is completed."""
    weights = [step.weight_bp for step in plan.steps if step.weight_bp]
    return weights[-1] / _ALL_BP if weights else _DEFAULT_WEIGHT


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

"""Rollouts that never happened: each function plays one from a seed and says what the engine would have done.

A seed gives the same rollout on every machine.  Rollouts stop where the engine decides, as real ones do.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator

from promptops.stats.confidence_sequences import difference_bounds
from promptops.stats.eprocess import Hypothesis, log_threshold, paired_test
from promptops.stats.guard_group import GuardGroup, GuardLoss, new_guard_group
from promptops.stats.non_inferiority import Observation, PairedMarginTest, closest_rates
from promptops.stats.paired import mcnemar
from promptops.stats.rank_losses import Percentiles, ratio_losses_of
from promptops.stats.sample_ratio import SampleRatioTest
from promptops.stats.two_arm import RANKS, AnyTwoArmTest, TwoArmTest, two_arm_test

Rollout = Callable[..., int | None]
ALPHA = 0.05
_SOME = 500  # calls that are added together
_REACTS = 20  # calls after which a weight reacts
_SPREAD = 0.5  # of log latency: the 95th percentile is 2.3 times the median
_Z_ONE_SIDED = 1.644854


def _generator(seed: int) -> random.Random:
    return random.Random(seed)


def _played(test: AnyTwoArmTest, calls: Iterable[Observation]) -> int | None:
    """The call (from 1) at which the test rejects, looked at after every one of them."""
    return test.update_all(calls, log_threshold(ALPHA))


def errors(
    seed: int, question: Hypothesis, margin: float, weight: float, stable: float, canary: float, horizon: int
) -> int | None:
    """Canary calls until ``question`` is answered for 0/1 losses at these rates, None if it never is."""
    draw, arms = _generator(seed).random, []

    def calls() -> Iterator[Observation]:
        for _ in range(horizon):
            arms.append(draw() < weight)
            yield arms[-1], weight, float(draw() < (canary if arms[-1] else stable))

    return _played(two_arm_test(question, margin), calls()) and sum(arms)


def not_worse(
    seed: int, margin: float, weight: float, stable: float, canary: float, horizon: int
) -> int | None:
    """Calls of both arms until the canary is shown to be not worse by the margin."""
    draw = _generator(seed).random
    arms = (draw() < weight for _ in range(horizon))
    calls = ((arm, weight, float(draw() < (canary if arm else stable))) for arm in arms)
    return _played(two_arm_test(Hypothesis.NOT_WORSE, margin), calls)


def information_bound(margin: float, weight: float, rate: float) -> float:
    """The least mean number of calls of any test of this level: ``log(1/alpha)/D``, D by search.

    Source: Wald 1945; Garivier and Kaufmann, COLT 2016 (arXiv 1602.04589).
    """
    b = closest_rates(rate, weight, margin)
    return math.log(1 / ALPHA) / (weight * _kl(rate, b + margin) + (1 - weight) * _kl(rate, b))


def _kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def peeked(
    seed: int, question: Hypothesis, margin: float, weight: float, stable: float, canary: float, horizon: int
) -> int | None:
    """What looking at a z-test of two rates after every tenth canary call does (from the tenth on)."""
    draw = _generator(seed).random
    calls, failed = [0, 0], [0, 0]
    for _ in range(horizon):
        arm = draw() < weight
        calls[arm] += 1
        failed[arm] += draw() < (canary if arm else stable)
        if arm and calls[1] % 10 == 0 and _z_test(calls, failed, question, margin):
            return calls[1]
    return None


def _z_test(calls: list[int], failed: list[int], question: Hypothesis, margin: float) -> bool:
    if not all(calls):
        return False
    rates = [bad / number for bad, number in zip(failed, calls, strict=True)]
    pooled = sum(failed) / sum(calls)
    under_h0 = [pooled, pooled] if question is Hypothesis.WORSE else rates
    variance = sum(rate * (1 - rate) / number for rate, number in zip(under_h0, calls, strict=True))
    difference = rates[1] - rates[0] - margin
    if question is Hypothesis.NOT_WORSE:
        difference = -difference
    return variance > 0 and difference / math.sqrt(variance) > _Z_ONE_SIDED


def latency(
    seed: int, question: Hypothesis, margin: float, weight: float, ratio: float, horizon: int
) -> int | None:
    """Canary calls until a latency of ``ratio`` times stable's (log-normal) is decided against ``margin``."""
    draw, seen, arms = _generator(seed), Percentiles(), []

    def calls() -> Iterator[Observation]:
        for _ in range(horizon):
            arms.append(draw.random() < weight)
            value = draw.lognormvariate(7.0, _SPREAD) * (ratio if arms[-1] else 1.0)
            (worse,), (within,) = ratio_losses_of(seen, arms[-1:], (value,), margin)
            yield arms[-1], weight, worse if question is Hypothesis.WORSE else within

    return _played(TwoArmTest(question, 0.0, RANKS), calls()) and sum(arms)


def ramp(seed: int, horizon: int) -> int | None:
    """Equal arms at 5, 25, 50 % while the base rate of both drifts from 2 to 20 %; the call of a rollback."""
    draw = _generator(seed).random

    def calls() -> Iterator[Observation]:
        for call in range(horizon):
            weight = (0.05, 0.25, 0.5)[3 * call // horizon]
            yield draw() < weight, weight, float(draw() < 0.02 + 0.18 * call / horizon)

    return _played(TwoArmTest(Hypothesis.WORSE, 0.0), calls())


def ramp_pooled(seed: int, horizon: int) -> int | None:
    """The same ramp as a pooled z-test sees it, after every hundredth call."""
    draw = _generator(seed).random
    calls, failed = [0, 0], [0, 0]
    for call in range(1, horizon + 1):
        arm = draw() < (0.05, 0.25, 0.5)[3 * (call - 1) // horizon]
        calls[arm] += 1
        failed[arm] += draw() < 0.02 + 0.18 * (call - 1) / horizon
        if call % 100 == 0 and _z_test(calls, failed, Hypothesis.WORSE, 0.0):
            return call
    return None


def four_guards(seed: int, horizon: int) -> int | None:
    """Four guards without effect that mostly fail together, one group; about the call of a rollback."""
    draw = _generator(seed).random
    rates = {"errors": 0.02, "checks": 0.1, "refusals": 0.05, "judge": 0.2}
    group = new_guard_group(list(rates))
    for first in range(0, horizon, _SOME):
        losses: dict[str, list[GuardLoss]] = {name: [] for name in rates}
        for call in range(first, first + _SOME):
            together, canary = draw(), draw() < 0.1
            for name, rate in rates.items():
                failed = (together if draw() < 0.8 else draw()) < rate
                losses[name].append((call, (canary, 0.1, float(failed))))
        group.update_all(losses)
        if group.rejects(ALPHA):
            return first
    return None


def two_windows(seed: int, horizon: int, delay: int = 200) -> int | None:
    """An instant and a delayed guard without effect, correlated; the weight reacts to the instant one."""
    draw = _generator(seed).random
    instant, late = new_guard_group(["errors"]), new_guard_group(["thumbs"])
    waiting: list[GuardLoss] = []
    for first in range(0, horizon, _REACTS):
        weight, errors = _reacting(instant), list[GuardLoss]()
        for call in range(first, first + _REACTS):
            canary, failed = draw() < weight, draw() < 0.05
            errors.append((call, (canary, weight, float(failed))))
            thumbs = failed if draw() < 0.5 else draw() < 0.05
            waiting.append((call, (canary, weight, float(thumbs))))
        instant.update_all({"errors": errors})
        if first >= delay:
            late.update_all({"thumbs": waiting[first - delay : first - delay + _REACTS]})
        if instant.rejects(ALPHA, groups=2) or late.rejects(ALPHA, groups=2):
            return first
    return None


def _reacting(group: GuardGroup) -> float:
    return 0.25 if group.log_e < 0 else 0.05


def shadow(seed: int, broke: float, fixed: float, horizon: int) -> int | None:
    """Pairs until a paired test says worse, where these shares of pairs break and are repaired."""
    draw = _generator(seed).random
    test = paired_test(Hypothesis.WORSE, 0.0)
    for pair in range(1, horizon + 1):
        at = draw()
        test.update(1.0 if at < broke else -1.0 if at < broke + fixed else 0.0)
        if test.rejects(ALPHA):
            return pair
    return None


def shadow_not_worse(seed: int, margin: float, broke: float, fixed: float, horizon: int) -> int | None:
    """Pairs until the candidate is shown to be not worse by the margin."""
    draw, test = _generator(seed).random, PairedMarginTest(margin)
    for pair in range(1, horizon + 1):
        at = draw()
        test.update(1.0 if at < broke else -1.0 if at < broke + fixed else 0.0)
        if test.rejects(ALPHA):
            return pair
    return None


def shadow_peeked(seed: int, broke: float, fixed: float, horizon: int) -> int | None:
    """Pairs until an exact McNemar test, looked at after every tenth pair, is below 0.05."""
    draw = _generator(seed).random
    counts = [0, 0]
    for pair in range(1, horizon + 1):
        at = draw()
        if at < broke + fixed:
            counts[at < broke] += 1
        if pair % 10 == 0 and mcnemar(*counts) < ALPHA:
            return pair
    return None


def skewed_split(seed: int, weight: float, really: float, horizon: int) -> int | None:
    """Calls until the sample-ratio monitor alarms."""
    draw = _generator(seed).random
    monitor = SampleRatioTest()
    for call in range(horizon):
        monitor.update(draw() < really, weight)
        if monitor.alarmed():
            return call
    return None


def uncovered(seed: int, horizon: int) -> int | None:
    """1 where the one-sided bounds at 0.025 each ever exclude the true difference of 0.05, else None."""
    draw = _generator(seed).random
    arms = [draw() < 0.3 for _ in range(horizon)]
    calls = [(arm, 0.3, float(draw() < (0.15 if arm else 0.1))) for arm in arms]
    bounds = difference_bounds(calls, ALPHA / 2, margin=0.03, step=0.01)
    return None if 0.05 in bounds else 1

"""Rollouts that never happened: each function plays one from a seed and says what the engine would have done.

A seed gives the same rollout on every machine.  Rollouts stop where the engine decides, as real ones do.
"""

import math
import random
from collections.abc import Callable

from promptops.stats.confidence_sequences import difference_bounds
from promptops.stats.eprocess import Hypothesis, log_threshold, paired_test
from promptops.stats.guard_group import GuardGroup, new_guard_group
from promptops.stats.paired import mcnemar
from promptops.stats.rank_losses import Percentiles, ratio_losses
from promptops.stats.sample_ratio import SampleRatioTest
from promptops.stats.two_arm import NO_HISTORY, Prior, TwoArmTest, prior_from_history

Rollout = Callable[..., int | None]
ALPHA = 0.05
_SPREAD = 0.5  # of log latency: the 95th percentile is 2.3 times the median
_Z_ONE_SIDED = 1.644854


def _generator(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - worlds, not secrets


def _decided(test: TwoArmTest) -> bool:
    return test.wealth.highest >= log_threshold(ALPHA)


def errors(
    seed: int, question: Hypothesis, margin: float, weight: float, stable: float, canary: float, horizon: int
) -> int | None:
    """Canary calls until ``question`` is answered for 0/1 losses at these rates, None if it never is."""
    draw = _generator(seed).random
    test, seen = TwoArmTest(question, margin, prior_from_history(stable)), 0
    for _ in range(horizon):
        on_canary = draw() < weight
        seen += on_canary
        test.update(on_canary, weight, float(draw() < (canary if on_canary else stable)))
        if _decided(test):
            return seen
    return None


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
    draw = _generator(seed)
    test, seen, canary_calls = TwoArmTest(question, 0.0, Prior(0.5, 50.0)), Percentiles(), 0
    for _ in range(horizon):
        on_canary = draw.random() < weight
        canary_calls += on_canary
        value = draw.lognormvariate(7.0, _SPREAD) * (ratio if on_canary else 1.0)
        worse, not_worse = ratio_losses(seen, on_canary, value, margin)
        test.update(on_canary, weight, worse if question is Hypothesis.WORSE else not_worse)
        if _decided(test):
            return canary_calls
    return None


def ramp(seed: int, horizon: int) -> int | None:
    """Equal arms at 5, 25, 50 % while the base rate of both drifts from 2 to 20 %; the call of a rollback."""
    draw = _generator(seed).random
    test = TwoArmTest(Hypothesis.WORSE, 0.0, prior_from_history(0.02))
    for call in range(horizon):
        weight = (0.05, 0.25, 0.5)[3 * call // horizon]
        rate = 0.02 + 0.18 * call / horizon
        test.update(draw() < weight, weight, float(draw() < rate))
        if _decided(test):
            return call
    return None


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
    """Four guards without effect that mostly fail together, one group; the call of a rollback."""
    draw = _generator(seed).random
    rates = {"errors": 0.02, "checks": 0.1, "refusals": 0.05, "judge": 0.2}
    group = new_guard_group(list(rates), {name: prior_from_history(rate) for name, rate in rates.items()})
    for call in range(horizon):
        together = draw()
        losses = {name: float((together if draw() < 0.8 else draw()) < rate) for name, rate in rates.items()}
        group.update(draw() < 0.1, 0.1, losses)
        if group.rejects(ALPHA):
            return call
    return None


def two_windows(seed: int, horizon: int, delay: int = 200) -> int | None:
    """An instant and a delayed guard without effect, correlated; the weight reacts to the instant one."""
    draw = _generator(seed).random
    instant, late = new_guard_group(["errors"]), new_guard_group(["thumbs"])
    waiting: list[tuple[bool, float, float]] = []
    for call in range(horizon):
        weight = _reacting(instant)
        canary, failed = draw() < weight, draw() < 0.05
        instant.update(canary, weight, {"errors": float(failed)})
        waiting.append((canary, weight, float(failed if draw() < 0.5 else draw() < 0.05)))
        if call >= delay:
            arm, then, loss = waiting[call - delay]
            late.update(arm, then, {"thumbs": loss})
        if instant.rejects(ALPHA, groups=2) or late.rejects(ALPHA, groups=2):
            return call
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
    bounds = difference_bounds(calls, ALPHA / 2, NO_HISTORY, step=0.01)
    return None if 0.05 in bounds else 1

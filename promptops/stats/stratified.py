"""Differences step by step: never pooled over weights, which would be Simpson's paradox.

When the base rate drifts while the canary's weight rises, pooled means differ though no step's do.  Each
step is its own stratum, and the figure over all of them is the weighted mean of the steps' differences.
For display: an interval from here holds at one look; the verdict comes from the e-processes.

Source: Mantel and Haenszel, JNCI 1959 (weights n_c*n_s/(n_c + n_s)); Agresti and Caffo, The American
Statistician 2000, for intervals that stay sensible where an arm has no failure.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from itertools import accumulate
from operator import mul
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid, Undecided
from promptops.stats.distributions import two_sided_z
from promptops.stats.eprocess import state_reader
from promptops.stats.intervals import IntervalEstimate


def running_total(total: float, values: Iterable[float]) -> float:
    """The total after adding values one by one: the same, however they are cut into batches."""
    return deque(accumulate(values, initial=total), maxlen=1).pop()


@dataclass(slots=True)
class ArmTally:
    """Calls of one arm in one step: how many, the sum of their losses, the sum of the squares."""

    calls: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, loss: float) -> None:
        if not 0.0 <= loss <= 1.0:
            raise Invalid(f"a loss of {loss}: needs 0 <= loss <= 1")
        self.calls += 1
        self.total += loss
        self.squares += loss * loss

    @property
    def mean(self) -> float:
        """0 where there were no calls."""
        return self.total / self.calls if self.calls else 0.0

    @property
    def smoothed(self) -> tuple[float, float]:
        """Mean and its variance with one loss of 0 and one of 1 added."""
        calls = self.calls + 2
        mean = (self.total + 1.0) / calls
        return mean, ((self.squares + 1.0) / calls - mean * mean) / calls

    def to_json(self) -> list[float]:
        return [self.calls, self.total, self.squares]


@dataclass(slots=True)
class StepStratum:
    """One step of a rollout: a weight, and what both arms did while it was in force."""

    weight: float
    canary: ArmTally = field(default_factory=ArmTally)
    stable: ArmTally = field(default_factory=ArmTally)

    def add(self, canary: bool, loss: float) -> None:
        (self.canary if canary else self.stable).add(loss)

    def add_all(self, canary: Sequence[float], stable: Sequence[float]) -> None:
        """Add losses in [0, 1] of each arm, in their order."""
        for tally, losses in ((self.canary, canary), (self.stable, stable)):
            tally.calls += len(losses)
            tally.total = running_total(tally.total, losses)
            tally.squares = running_total(tally.squares, map(mul, losses, losses))

    def difference(self, confidence: float = 0.95) -> IntervalEstimate:
        """Canary's mean loss minus stable's, with the interval of Agresti and Caffo; needs calls of both."""
        if not self.canary.calls or not self.stable.calls:
            raise Undecided("a difference needs calls of both arms")
        (ours, spread), (theirs, other_spread) = self.canary.smoothed, self.stable.smoothed
        value = self.canary.mean - self.stable.mean
        half = two_sided_z(confidence) * math.sqrt(spread + other_spread)
        low, high = min(value, ours - theirs - half), max(value, ours - theirs + half)
        return IntervalEstimate(value, max(-1.0, low), min(1.0, high), self.canary.calls + self.stable.calls)

    def to_json(self) -> dict[str, Any]:
        return {"weight": self.weight, "canary": self.canary.to_json(), "stable": self.stable.to_json()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        canary, stable = read.numbers("canary", 3), read.numbers("stable", 3)
        return cls(read.number("weight"), _tally(canary), _tally(stable))


def _tally(numbers: Sequence[float]) -> ArmTally:
    calls, total, squares = numbers
    return ArmTally(int(calls), total, squares)


def mantel_haenszel(steps: Iterable[tuple[int, float, int, float]]) -> float | None:
    """The steps' differences weighted by ``n_c*n_s/(n_c + n_s)``; None without a step that has both arms.

    A step: the canary's calls and the sum of their losses, then stable's.
    """
    weights = value = 0.0
    for canary, canary_total, stable, stable_total in steps:
        if canary and stable:
            weights += canary * stable / (canary + stable)
            value += (canary_total * stable - stable_total * canary) / (canary + stable)
    return value / weights if weights else None


def stratified_difference(steps: Sequence[StepStratum], confidence: float = 0.95) -> IntervalEstimate:
    """The steps' differences, weighted by ``n_c*n_s/(n_c + n_s)``; needs a step with calls of both arms."""
    both = [step for step in steps if step.canary.calls and step.stable.calls]
    if not both:
        raise Undecided("no step has calls of both arms yet")
    sizes = [step.canary.calls * step.stable.calls / (step.canary.calls + step.stable.calls) for step in both]
    shares = [size / math.fsum(sizes) for size in sizes]
    value = math.fsum(s * (step.canary.mean - step.stable.mean) for s, step in zip(shares, both, strict=True))
    variance = math.fsum(
        s * s * (step.canary.smoothed[1] + step.stable.smoothed[1])
        for s, step in zip(shares, both, strict=True)
    )
    half = two_sided_z(confidence) * math.sqrt(variance)
    calls = sum(step.canary.calls + step.stable.calls for step in both)
    return IntervalEstimate(value, max(-1.0, value - half), min(1.0, value + half), calls)

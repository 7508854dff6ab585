"""Pairs of control and candidate on the same case, counted: what one slice needs to be judged."""

import math
from collections import Counter
from dataclasses import field
from statistics import NormalDist

from promptops.dataclass import dataclass
from promptops.evaluation.result import ScoreSlice, Slice
from promptops.stats.distributions import student_quantile
from promptops.stats.intervals import IntervalEstimate
from promptops.stats.paired import mcnemar, paired_rates, sign_flip

CONFIDENCE = 0.95
_MAX_SIGN_FLIPS = 1_000  # differences that signs are drawn for; beyond, the mean is normal enough
_MIN_PAIRS = 2  # pairs that a spread needs


@dataclass(slots=True)
class PairCounts:
    """Differences in passes between two sides, each a whole number of ``trials`` and so of few values."""

    trials: int
    differences: Counter[int] = field(default_factory=Counter)
    broke: int = 0
    fixed: int = 0

    def add(self, difference: int, control_passed: bool, candidate_passed: bool) -> None:
        self.differences[difference] += 1
        self.broke += control_passed and not candidate_passed
        self.fixed += candidate_passed and not control_passed

    @property
    def count(self) -> int:
        return self.differences.total()

    def slice(self, name: str) -> Slice:
        estimate = self._single() if self.trials == 1 else self._repeated()
        p = mcnemar(self.broke, self.fixed) if self.trials == 1 else self._sign_flip()
        return Slice(
            name=name,
            pairs=self.count,
            difference=estimate.value,
            low=estimate.low,
            high=estimate.high,
            broke=self.broke,
            fixed=self.fixed,
            p=p,
            p_adjusted=p,
        )

    def _single(self) -> IntervalEstimate:
        if not self.count:
            return IntervalEstimate(0.0, -1.0, 1.0, 0)
        failures = paired_rates(self.broke, self.fixed, self.count, CONFIDENCE)
        return IntervalEstimate(0.0 - failures.value, -failures.high, -failures.low, self.count)

    def _repeated(self) -> IntervalEstimate:
        values = {value / self.trials: number for value, number in self.differences.items()}
        if len(values) < _MIN_PAIRS:  # no spread to be seen, which does not mean that there is none
            cautious = self._single()
            mean = next(iter(values), 0.0)
            return IntervalEstimate(mean, min(mean, cautious.low), max(mean, cautious.high), self.count)
        return mean_estimate(values)

    def _sign_flip(self) -> float:
        moved = (
            [value for value in self.differences.elements() if value]
            if self._nonzero <= _MAX_SIGN_FLIPS
            else []
        )
        if moved or not self._nonzero:
            return sign_flip([float(value) for value in moved])
        return normal_p({float(value): number for value, number in self.differences.items()})

    @property
    def _nonzero(self) -> int:
        return self.count - self.differences[0]


def mean_estimate(values: dict[float, int]) -> IntervalEstimate:
    """The mean of values that were counted, with Student's interval."""
    count, mean, variance = _moments(values)
    half = student_quantile(CONFIDENCE, count - 1) * math.sqrt(variance / count)
    return IntervalEstimate(mean, max(-1.0, mean - half), min(1.0, mean + half), count)


def normal_p(values: dict[float, int]) -> float:
    count, mean, variance = _moments(values)
    return two_sided_p(mean, variance, count)


def two_sided_p(mean: float, variance: float, count: int) -> float:
    if variance <= 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return 2.0 * NormalDist().cdf(-abs(mean) / math.sqrt(variance / count))


def _moments(values: dict[float, int]) -> tuple[int, float, float]:
    count = sum(values.values())
    mean = math.fsum(value * number for value, number in values.items()) / count
    squares = math.fsum(number * (value - mean) ** 2 for value, number in values.items())
    return count, mean, squares / (count - 1)


@dataclass(slots=True)
class ScoreDifferences:
    """Differences of a score, by Welford's sums; the first thousand are kept for an exact test."""

    count: int = 0
    control: float = 0.0
    candidate: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    differences: list[float] = field(default_factory=list)

    def add(self, control: float, candidate: float) -> None:
        difference = candidate - control
        self.count += 1
        self.control += control
        self.candidate += candidate
        step = difference - self.mean
        self.mean += step / self.count
        self.squares += step * (difference - self.mean)
        if len(self.differences) <= _MAX_SIGN_FLIPS:
            self.differences.append(difference)

    def slice(self, name: str) -> ScoreSlice | None:
        """None for fewer than two pairs, of which no interval is known."""
        if self.count < _MIN_PAIRS:
            return None
        variance = self.squares / (self.count - 1)
        half = student_quantile(CONFIDENCE, self.count - 1) * math.sqrt(variance / self.count)
        whole = self.count <= _MAX_SIGN_FLIPS
        p = sign_flip(self.differences) if whole else two_sided_p(self.mean, variance, self.count)
        return ScoreSlice(
            name=name,
            pairs=self.count,
            control=self.control / self.count,
            candidate=self.candidate / self.count,
            difference=self.mean,
            low=self.mean - half,
            high=self.mean + half,
            p=p,
            p_adjusted=p,
        )

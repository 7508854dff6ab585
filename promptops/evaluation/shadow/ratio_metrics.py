"""Latency, cost, tokens, length: whether the candidate's value is more than so many times the control's.

Of each pair only the sign counts: D = sign(candidate/g - control), a paired sign test on every look. Its
confidence sequence is of the median ratio: the g that are not ruled out.
Source: the bets of ``stats.eprocess``; Howard and Ramdas, Bernoulli 2022 (arXiv 1906.09712) for quantiles.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import field
from statistics import median

from promptops.dataclass import dataclass
from promptops.evaluation.shadow.result import MetricComparison
from promptops.stats import eprocess
from promptops.stats.eprocess import paired_test
from promptops.stats.intervals import Interval, last_index_where
from promptops.stats.verdicts import (
    COST_WORDING,
    LATENCY_WORDING,
    VerdictDetails,
    Wording,
    decide_verdict,
    verdict_sentence,
)

DEFAULT_RATIO_MARGIN = 1.20
ALPHA = 0.05
_STEP = math.log1p(0.01)
_MAX_STEPS = 418  # steps of one per cent: a factor of 64
WORDINGS = {
    "latency": LATENCY_WORDING,
    "cost": COST_WORDING,
    "tokens": Wording("answers with", "more tokens", "fewer tokens", "percent"),
    "length": Wording("answers with", "more text", "less text", "percent"),
}


@dataclass(slots=True)
class RatioMetric:
    """Values of both sides, pair by pair; pairs without one of them are left out."""

    name: str
    control: "array[float]" = field(default_factory=lambda: array("d"))
    candidate: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, control: float | None, candidate: float | None) -> None:
        if control is not None and candidate is not None:
            self.control.append(control)
            self.candidate.append(candidate)

    def question(
        self, control: str, candidate: str, margin: float = DEFAULT_RATIO_MARGIN
    ) -> MetricComparison | None:
        """None where nothing was measured on both sides, or nothing but zeros."""
        if not any(self.control) and not any(self.candidate):
            return None
        worse, within = (
            self._rejects(eprocess.Hypothesis.WORSE, 1.0),
            self._rejects(eprocess.Hypothesis.NOT_WORSE, margin),
        )
        better = self._rejects(eprocess.Hypothesis.NOT_WORSE, 1.0)
        word = decide_verdict(worse=worse, not_worse=within, better=better)
        bounds = self.bounds()
        finding = VerdictDetails(
            verdict=word,
            subject=candidate,
            against=control,
            wording=WORDINGS[self.name],
            bounds=bounds,
            count=len(self.control),
            margin=margin,
            counted="pairs",
        )
        return MetricComparison(
            name=self.name,
            verdict=str(word),
            sentence=verdict_sentence(finding),
            margin=margin,
            low=bounds.low,
            high=bounds.high,
            pairs=len(self.control),
            control=median(self.control),
            candidate=median(self.candidate),
            not_worse=within,
        )

    def bounds(self) -> Interval:
        """On the median ratio, each holding at all times with probability 0.95; open ends are 1/64 and 64."""

        def lower(index: int) -> bool:
            return self._rejects(eprocess.Hypothesis.WORSE, math.exp(index * _STEP))

        def upper(index: int) -> bool:
            return self._rejects(eprocess.Hypothesis.NOT_WORSE, math.exp(-index * _STEP))

        low, high = (
            last_index_where(lower, -_MAX_STEPS, _MAX_STEPS),
            -last_index_where(upper, -_MAX_STEPS, _MAX_STEPS),
        )
        return Interval(math.exp(low * _STEP), math.exp(high * _STEP))

    def _rejects(self, question: eprocess.Hypothesis, ratio: float) -> bool:
        test = paired_test(question, 0.0)
        for sign in self._signs(ratio):
            test.update(sign)
            if test.rejects(ALPHA):
                return True
        return False

    def _signs(self, ratio: float) -> Iterable[float]:
        for before, after in zip(self.control, self.candidate, strict=True):
            there = after / ratio
            yield float(there > before) - float(there < before)

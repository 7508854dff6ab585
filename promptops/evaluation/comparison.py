"""The candidate held against the control, pair by pair: slices, scores, and the verdict.

Looked at once, when all is in, the verdict rests on the paired interval and the exact test together. Where
calls are to stop as soon as it is in, it rests on e-processes, which may be looked at after every pair.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from promptops.evaluation.case_listing import TopRegressions
from promptops.evaluation.paired_counts import PairCounts, ScoreDifferences, count_passes
from promptops.evaluation.result import EvalComparison, ScoreSlice, Slice
from promptops.evaluation.summary import WEIGHTED, results_by_check
from promptops.evaluation.trials import CaseTrials, TrialRun
from promptops.registry import CheckResult
from promptops.stats.confidence_sequences import mean_bounds
from promptops.stats.eprocess import Hypothesis, MeanTest, e_value, paired_test
from promptops.stats.intervals import Interval
from promptops.stats.multiple_testing import benjamini_hochberg
from promptops.stats.verdicts import CHECKS_WORDING, Verdict, VerdictDetails, decide_verdict, verdict_sentence

ALPHA = 0.05
_SCORE_WEIGHT = 1e-3  # of the loss: what scores say where as many trials passed
Tested = TypeVar("Tested", Slice, ScoreSlice)


@dataclass(slots=True)
class SequentialPairedTest:
    """Three bets on the difference in losses; each may be looked at after every pair."""

    margin: float
    worse: MeanTest = field(init=False)
    not_worse: MeanTest = field(init=False)
    better: MeanTest = field(init=False)
    losses: "array[float]" = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.worse = paired_test(Hypothesis.WORSE, 0.0)
        self.not_worse = paired_test(Hypothesis.NOT_WORSE, self.margin)
        self.better = paired_test(Hypothesis.NOT_WORSE, 0.0)

    def add(self, loss: float) -> None:
        self.losses.append(loss)
        for test in (self.worse, self.not_worse, self.better):
            test.update(loss)

    @property
    def verdict(self) -> Verdict:
        return decide_verdict(
            worse=self.worse.rejects(ALPHA),
            not_worse=self.within_margin,
            better=self.better.rejects(ALPHA),
        )

    @property
    def within_margin(self) -> bool:
        return self.not_worse.rejects(ALPHA)

    @property
    def decided(self) -> bool:
        return self.verdict is not Verdict.UNDECIDED

    @property
    def bounds(self) -> Interval:
        return mean_bounds(self.losses, ALPHA, -1.0, 1.0)

    @property
    def e_values(self) -> dict[str, float]:
        tests = {"worse": self.worse, "not worse": self.not_worse, "better": self.better}
        return {name: e_value(test.log_e) for name, test in tests.items()}


@dataclass(slots=True)
class PairedComparison:
    """Counts pairs. ``evidence`` is collected only where an early stop is wanted."""

    trials: int
    margin: float
    evidence: SequentialPairedTest | None = None
    whole: PairCounts = field(init=False)
    tags: dict[str, PairCounts] = field(default_factory=dict)
    checks: dict[str, PairCounts] = field(default_factory=dict)
    scores: dict[str, ScoreDifferences] = field(default_factory=dict)
    broke: TopRegressions = field(default_factory=TopRegressions)
    fixed: TopRegressions = field(default_factory=TopRegressions)

    def __post_init__(self) -> None:
        self.whole = PairCounts(self.trials)

    def add(self, answered: CaseTrials) -> None:
        control, candidate = (count_passes([one.passed for one in side]) for side in answered.sides)
        for pairs in (self.whole, *self._of_tags(answered.case.tags)):
            pairs.add(candidate[0] - control[0], control[1], candidate[1])
        loss = (control[0] - candidate[0]) / self.trials
        if self.evidence:
            self.evidence.add(loss)
        graded = self._add_checks(*answered.sides)
        if control[1] != candidate[1]:
            (self.broke if control[1] else self.fixed).add(answered, abs(loss) + _SCORE_WEIGHT * abs(graded))

    def _of_tags(self, tags: Iterable[str]) -> list[PairCounts]:
        return [self.tags.setdefault(tag, PairCounts(self.trials)) for tag in dict.fromkeys(tags)]

    def _add_checks(self, control: Sequence[TrialRun], candidate: Sequence[TrialRun]) -> float:
        """Checks that were made on every answer of both sides. Says by what share more of them failed."""
        before, after = results_by_check(control), results_by_check(candidate)
        share = 0.0
        for name in before.keys() & after.keys():
            old, new = before[name], after[name]
            if len(old) == len(new) == self.trials:
                (old_count, old_most), (new_count, new_most) = _count_passed(old), _count_passed(new)
                pairs = self.checks.setdefault(name, PairCounts(self.trials))
                pairs.add(new_count - old_count, old_most, new_most)
                share += (old_count - new_count) / self.trials / len(before)
                self._add_scores(name, [one.value for one in old], [one.value for one in new])
        self._add_scores(WEIGHTED, [one.weighted for one in control], [one.weighted for one in candidate])
        return share

    def _add_scores(self, name: str, old: Sequence[float | None], new: Sequence[float | None]) -> None:
        before, after = _mean(old), _mean(new)
        if before is not None and after is not None:
            self.scores.setdefault(name, ScoreDifferences()).add(before, after)

    def comparison(self, control: str, candidate: str) -> EvalComparison:
        whole = self.whole.slice("all")
        tags = [pairs.slice(name) for name, pairs in sorted(self.tags.items())]
        checks = [pairs.slice(name) for name, pairs in sorted(self.checks.items())]
        adjusted = _adjust_p_values([*tags, *checks])
        tags, checks = adjusted[: len(tags)], adjusted[len(tags) :]
        scores = [found for name, each in sorted(self.scores.items()) if (found := each.slice(name))]
        word, within, bounds = self._verdict(whole)
        finding = VerdictDetails(
            verdict=word,
            subject=candidate,
            against=control,
            wording=CHECKS_WORDING,
            bounds=bounds if whole.pairs else None,
            count=whole.pairs,
            margin=self.margin,
            counted="cases",
        )
        return EvalComparison(
            verdict=str(word),
            sentence=verdict_sentence(finding),
            margin=self.margin,
            within_margin=within,
            whole=whole,
            tags=tuple(tags),
            checks=tuple(checks),
            scores=tuple(_adjust_p_values(scores)),
            worse_slices=_hidden_regressions(whole, [*tags, *checks]),
            broke=self.broke.worst_first(),
            fixed=self.fixed.worst_first(),
            pairs_used=whole.pairs,
            e_values=self.evidence.e_values if self.evidence else {},
        )

    def _verdict(self, whole: Slice) -> tuple[Verdict, bool, Interval]:
        if self.evidence:
            return self.evidence.verdict, self.evidence.within_margin, self.evidence.bounds
        losses = Interval(-whole.high, -whole.low)
        within = losses.high <= self.margin
        clear = whole.p <= ALPHA
        word = decide_verdict(
            worse=clear and losses.low > 0, not_worse=within, better=clear and losses.high < 0
        )
        return word, within, losses


def _count_passed(said: Sequence[CheckResult]) -> tuple[int, bool]:
    return count_passes([each.passed for each in said])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _adjust_p_values(slices: Sequence[Tested]) -> list[Tested]:
    """For many slices: the share of false alarms among those at or below 0.05 stays there."""
    found = benjamini_hochberg([each.p for each in slices])
    return [replace(each, p_adjusted=p) for each, p in zip(slices, found, strict=True)]


def _hidden_regressions(whole: Slice, slices: Sequence[Slice]) -> tuple[str, ...]:
    """Slices that got worse while the whole did not, the clearest first.

    By their own p-value: a warning that a person looks into may be false more often than a verdict.
    """
    if whole.difference < 0 and whole.p <= ALPHA:
        return ()
    down = [each for each in slices if each.difference < 0 and each.p <= ALPHA]
    return tuple(each.name for each in sorted(down, key=lambda each: each.p))

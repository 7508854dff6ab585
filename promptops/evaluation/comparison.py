"""The candidate compared with the control, pair by pair: slices, scores, regressions, and the verdict.

A pair is one case of a golden set or one logged input. Looked at once, when all pairs are in, the verdict
rests on the paired interval and the exact test together. Where calls are to stop as soon as it is in, it
rests on e-processes, which may be looked at after every pair.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Generic, TypeVar

from promptops.dataclass import dataclass
from promptops.evaluation.paired_counts import PairCounts, ScoreDifferences
from promptops.evaluation.result import ScoreSlice, Slice
from promptops.evaluation.slices import proven_worse
from promptops.evaluation.top_regressions import Example, TopRegressions
from promptops.stats.eprocess import Hypothesis, MeanTest, paired_test
from promptops.stats.intervals import Interval
from promptops.stats.multiple_testing import holm
from promptops.stats.sequential_pairs import ALPHA, SequentialPairedTest
from promptops.stats.verdicts import CHECKS_WORDING, Verdict, VerdictDetails, decide_verdict

Tested = TypeVar("Tested", Slice, ScoreSlice)


@dataclass(frozen=True, slots=True)
class PairSide:
    """Trials of one side that passed, in all and by each check that was made on every trial."""

    passed: int
    checks: Mapping[str, int]
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSlices:
    """``worse_slices``: got worse though the whole did not, the clearest first.

    ``worse_checks``: by more than the margin may be, whatever the whole did; ``thin``: sentences about tags
    with too few pairs to tell, where the whole is not worse.
    """

    whole: Slice
    tags: tuple[Slice, ...]
    checks: tuple[Slice, ...]
    scores: tuple[ScoreSlice, ...]
    worse_slices: tuple[str, ...]
    worse_checks: tuple[str, ...]
    thin: tuple[str, ...]


@dataclass(slots=True)
class PairedComparison(Generic[Example]):
    """Counts pairs of ``trials`` answers a side. ``evidence`` is collected where one may stop early.

    ``one_look``: all pairs are made whatever the evidence says on the way.
    """

    margin: float
    trials: int = 1
    evidence: SequentialPairedTest | None = None
    one_look: bool = False
    harm: dict[tuple[str, str], MeanTest] = field(default_factory=dict)  # of ("tag" or "check", name)
    whole: PairCounts = field(init=False)
    tags: dict[str, PairCounts] = field(default_factory=dict)
    checks: dict[str, PairCounts] = field(default_factory=dict)
    scores: dict[str, ScoreDifferences] = field(default_factory=dict)
    regressed: TopRegressions[Example] = field(default_factory=TopRegressions)
    improved: TopRegressions[Example] = field(default_factory=TopRegressions)

    def __post_init__(self) -> None:
        self.whole = PairCounts(self.trials)

    def add(
        self,
        control: PairSide,
        candidate: PairSide,
        *,
        tags: Iterable[str],
        severity: float,
        example: Callable[[], Example],
    ) -> None:
        """``severity`` orders the ``example``s of pairs that one side passes and the other does not."""
        difference = candidate.passed - control.passed
        passed = self._is_pass(control.passed), self._is_pass(candidate.passed)
        self.whole.add(difference, *passed)
        for tag in dict.fromkeys(tags):
            self._counts(self.tags, tag).add(difference, *passed)
            self._add_harm(("tag", tag), -difference)
        if self.evidence:
            self.evidence.add((control.passed - candidate.passed) / self.trials)
        for name in control.checks.keys() & candidate.checks.keys():
            before, after = control.checks[name], candidate.checks[name]
            counts = self._counts(self.checks, name)
            counts.add(after - before, self._is_pass(before), self._is_pass(after))
            self._add_harm(("check", name), before - after)
        for name in control.scores.keys() & candidate.scores.keys():
            differences = self.scores.setdefault(name, ScoreDifferences())
            differences.add(control.scores[name], candidate.scores[name])
        if passed[0] != passed[1]:
            (self.regressed if passed[0] else self.improved).add(severity, example)

    def _add_harm(self, slice_: tuple[str, str], lost: int) -> None:
        if self.evidence and not self.one_look:
            self.harm.setdefault(slice_, paired_test(Hypothesis.WORSE, 0.0)).update(lost / self.trials)

    def _is_pass(self, passed: int) -> bool:
        return 2 * passed > self.trials

    def _counts(self, slices: dict[str, PairCounts], name: str) -> PairCounts:
        return slices.setdefault(name, PairCounts(self.trials))

    def slices(self, *, at_end: bool = False) -> ComparedSlices:
        """With p-values adjusted over the tags and checks together, and over the scores.

        ``at_end``: all pairs that were planned are in.
        """
        whole = self.whole.slice("all")
        named = _adjust_p_values([*_slices(self.tags), *_slices(self.checks)])
        keys = [("tag", name) for name in sorted(self.tags)] + [
            ("check", name) for name in sorted(self.checks)
        ]
        log_e = {place: self.harm[key].log_e for place, key in enumerate(keys) if key in self.harm}
        early = self.evidence is not None and not self.one_look
        worse, thin = proven_worse(named, log_e if early else None, len(self.tags), at_end=at_end)
        whole_is_worse = whole.difference < 0 and whole.p <= ALPHA
        checks = named[len(self.tags) :]
        scores = [each.slice(name) for name, each in sorted(self.scores.items())]
        return ComparedSlices(
            whole=whole,
            tags=tuple(named[: len(self.tags)]),
            checks=tuple(checks),
            scores=tuple(_adjust_p_values([each for each in scores if each is not None])),
            worse_slices=() if whole_is_worse else tuple(each.name for each in worse),
            worse_checks=tuple(each.name for each in worse if each in checks and -each.low > self.margin),
            thin=() if whole_is_worse else tuple(thin),
        )

    def verdict(self, control: str, candidate: str) -> tuple[VerdictDetails, bool]:
        """What is said of all pairs, and whether the candidate is at most the margin worse."""
        if self.evidence:
            details = self.evidence.details(control, candidate, CHECKS_WORDING, "cases")
            return details, self.evidence.within_margin
        whole = self.whole.slice("all")
        losses = Interval(-whole.high, -whole.low)
        within, clear = losses.high <= self.margin, whole.p <= ALPHA
        details = VerdictDetails(
            verdict=decide_verdict(
                worse=clear and losses.low > 0, not_worse=within, better=clear and losses.high < 0
            ),
            subject=candidate,
            against=control,
            wording=CHECKS_WORDING,
            bounds=losses if whole.pairs else None,
            count=whole.pairs,
            margin=self.margin,
            counted="cases",
        )
        return details, within

    @property
    def decided(self) -> bool:
        return self.evidence is not None and self.evidence.verdict is not Verdict.UNDECIDED


def _slices(counts: Mapping[str, PairCounts]) -> list[Slice]:
    return [each.slice(name) for name, each in sorted(counts.items())]


def _adjust_p_values(slices: Sequence[Tested]) -> list[Tested]:
    """For many slices: the chance that even one of those at or below 0.05 is a false alarm stays there."""
    adjusted = holm([each.p for each in slices])
    return [replace(each, p_adjusted=p) for each, p in zip(slices, adjusted, strict=True)]

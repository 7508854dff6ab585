"""Pairs counted one after another, looked at after each: verdicts, slices, what broke and what was fixed."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from promptops.evaluation.comparison import ALPHA, SequentialPairedTest
from promptops.evaluation.paired_counts import PairCounts
from promptops.evaluation.result import Slice
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions
from promptops.evaluation.shadow.pair import ARMS, ShadowPair
from promptops.evaluation.shadow.ratio_metrics import RatioMetric
from promptops.evaluation.shadow.result import Excluded, MetricComparison, ShadowComparison, SideInfo
from promptops.evaluation.shadow.similarity import SimilarityCounter
from promptops.stats.confidence_sequences import mean_bounds
from promptops.stats.multiple_testing import benjamini_hochberg
from promptops.stats.verdicts import CHECKS_WORDING, ERRORS_WORDING, VerdictDetails, Wording, verdict_sentence

Primary = Literal["checks", "judge", "errors"]
MAX_LISTED_PAIRS = 100
_MAX_CHANGED = 20
_TRAIL_POINTS = 24  # of the picture of the evidence
JUDGE_WORDING = Wording("loses", "more often", "less often", "points")
UNANSWERED_WORDING = Wording("goes unanswered", "more often", "less often", "points")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRunInfo:
    """What surrounds the counts of one comparison."""

    shadow_id: str
    prompt: str
    control: SideInfo
    candidate: SideInfo
    planned: int
    seed: int
    left: Excluded = field(default_factory=Excluded)
    mode: str = "replay"
    started_at: str = ""


@dataclass(slots=True)
class _TopPairs:
    """So many pairs of the largest loss, the earlier first among equals."""

    limit: int
    total: int = 0
    _heap: list[tuple[float, int, ShadowPair]] = field(default_factory=list)

    def add(self, pair: ShadowPair, loss: float) -> None:
        self.total += 1
        entry = (loss, -pair.number, pair)
        if len(self._heap) < self.limit:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    def worst_first(self) -> tuple[ShadowPair, ...]:
        return tuple(pair for _, _, pair in sorted(self._heap, key=lambda each: each[:2], reverse=True))


@dataclass(slots=True)
class RunningComparison:
    """``primary``: what the verdict is about. Losses are 1 for a failed side, so candidate minus control."""

    primary: Primary
    margin: float
    semantic: EmbeddingOptions | None = None
    evidence: SequentialPairedTest = field(init=False)
    judged: SequentialPairedTest = field(init=False)
    answer_test: SequentialPairedTest = field(init=False)
    whole: PairCounts = field(default_factory=lambda: PairCounts(1))
    tags: dict[str, PairCounts] = field(default_factory=dict)
    checks: dict[str, PairCounts] = field(default_factory=dict)
    broke: _TopPairs = field(default_factory=lambda: _TopPairs(MAX_LISTED_PAIRS))
    fixed: _TopPairs = field(default_factory=lambda: _TopPairs(MAX_LISTED_PAIRS))
    changed: _TopPairs = field(default_factory=lambda: _TopPairs(_MAX_CHANGED))
    alike: SimilarityCounter = field(init=False)
    ratios: tuple[RatioMetric, ...] = field(
        default_factory=lambda: tuple(RatioMetric(name) for name in ("latency", "cost", "tokens", "length"))
    )
    unanswered: dict[str, "Counter[str]"] = field(default_factory=lambda: {arm: Counter() for arm in ARMS})
    pairs: int = 0
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.alike = SimilarityCounter(self.semantic)
        self.evidence, self.judged, self.answer_test = (SequentialPairedTest(self.margin) for _ in range(3))

    def add(self, pair: ShadowPair) -> None:
        control, candidate = pair.control, pair.candidate
        self.answer_test.add(float(control.answered) - float(candidate.answered))
        if not pair.answered:
            for arm in ARMS:
                side = getattr(pair, arm)
                if not side.answered:
                    self.unanswered[arm][side.error] += 1
            return
        self.pairs += 1
        self._count(pair)
        self.alike.add(pair)
        if pair.preference is not None:
            self.judged.add(1.0 - 2.0 * pair.preference)
        for each in self.ratios:
            each.add(_measure(each.name, pair, "control"), _measure(each.name, pair, "candidate"))

    def _count(self, pair: ShadowPair) -> None:
        before, after = pair.control.passed, pair.candidate.passed
        self.passed[0] += before
        self.passed[1] += after
        difference = int(after) - int(before)
        self.evidence.add(float(-difference))
        for pairs in (
            self.whole,
            *(self.tags.setdefault(tag, PairCounts(1)) for tag in dict.fromkeys(pair.tags)),
        ):
            pairs.add(difference, before, after)
        for name in pair.control.checks.keys() & pair.candidate.checks.keys():
            old, new = pair.control.checks[name], pair.candidate.checks[name]
            self.checks.setdefault(name, PairCounts(1)).add(int(new) - int(old), old, new)
        if difference:
            (self.broke if before else self.fixed).add(pair, _severity(pair))
        elif pair.control.output != pair.candidate.output:
            self.changed.add(pair, _severity(pair))

    @property
    def primary_test(self) -> SequentialPairedTest:
        return self.judged if self.primary == "judge" else self.evidence

    @property
    def decided(self) -> bool:
        return self.primary_test.decided

    def result(self, frame: ShadowRunInfo, *, stopped: str | None, spent_usd: float) -> ShadowComparison:
        labels = frame.control.label, frame.candidate.label
        questions = self._questions(*labels)
        slices = _adjust_p_values([*_slices(self.tags), *_slices(self.checks)])
        tags = tuple(slices[: len(self.tags)])
        whole = self.whole.slice("all")
        return ShadowComparison(
            shadow_id=frame.shadow_id,
            prompt=frame.prompt,
            control=frame.control,
            candidate=frame.candidate,
            verdict=questions[0].verdict,
            sentence=questions[0].sentence,
            questions=questions,
            whole=whole,
            tags=tags,
            checks=tuple(slices[len(self.tags) :]),
            worse_slices=_hidden_regressions(whole, slices),
            broke=self.broke.worst_first(),
            fixed=self.fixed.worst_first(),
            broke_total=self.broke.total,
            fixed_total=self.fixed.total,
            changed=self.changed.worst_first(),
            likeness=self.alike.result(),
            pairs=self.pairs,
            unanswered={arm: dict(counts) for arm, counts in self.unanswered.items() if counts},
            planned=frame.planned,
            left=frame.left,
            margin=self.margin,
            spent_usd=spent_usd,
            seed=frame.seed,
            mode=frame.mode,
            stopped=stopped,
            started_at=frame.started_at,
            noise=self._noise() if frame.mode == "aa" else {},
        )

    def _questions(self, control: str, candidate: str) -> tuple[MetricComparison, ...]:
        about = "errors" if self.primary == "errors" else "checks"
        wording = ERRORS_WORDING if about == "errors" else CHECKS_WORDING
        rates = [1 - count / self.pairs for count in self.passed] if self.pairs else [None, None]
        quality = _compare_metric(about, self.evidence, wording, (control, candidate), (rates[0], rates[1]))
        found = [quality]
        if self.judged.losses:
            judged = _compare_metric("judge", self.judged, JUDGE_WORDING, (control, candidate), (None, None))
            found.insert(0 if self.primary == "judge" else 1, judged)
        if any(self.unanswered.values()):
            found.append(
                _compare_metric(
                    "unanswered", self.answer_test, UNANSWERED_WORDING, (control, candidate), (None, None)
                )
            )
        return (*found, *(asked for each in self.ratios if (asked := each.question(control, candidate))))

    def _noise(self) -> dict[str, float | None]:
        """How far a version differs from itself: what smaller differences drown in."""
        count, alike = self.pairs, self.alike
        flips = self.broke.total + self.fixed.total
        return {
            "answers_differ": 1 - alike.equal / alike.pairs if alike.pairs else None,
            "meaning_differs": 1 - alike.semantic / alike.pairs if alike.pairs else None,
            "flips": flips / count if count else None,
        }


def _measure(name: str, pair: ShadowPair, arm: str) -> float | None:
    side = getattr(pair, arm)
    if side.error is not None:
        return None
    match name:
        case "latency":
            value = side.latency_ms
        case "cost":
            value = side.cost_usd
        case "tokens":
            value = side.output_tokens
        case _:
            value = None if side.output is None else len(side.output)
    return None if value is None else float(value)


def _severity(pair: ShadowPair) -> float:
    """How much more of the checks the worse side fails; an error is all of them."""
    return abs(_failed_share(pair, "candidate") - _failed_share(pair, "control"))


def _failed_share(pair: ShadowPair, arm: str) -> float:
    side = getattr(pair, arm)
    if side.error is not None:
        return 1.0
    return 1 - sum(side.checks.values()) / len(side.checks) if side.checks else 0.0


def _compare_metric(
    name: str,
    evidence: SequentialPairedTest,
    wording: Wording,
    labels: tuple[str, str],
    rates: tuple[float | None, float | None],
) -> MetricComparison:
    bounds, count = evidence.bounds, len(evidence.losses)
    finding = VerdictDetails(
        verdict=evidence.verdict,
        subject=labels[1],
        against=labels[0],
        wording=wording,
        bounds=bounds if count else None,
        count=count,
        margin=evidence.margin,
        counted="pairs",
    )
    return MetricComparison(
        name=name,
        verdict=str(evidence.verdict),
        sentence=verdict_sentence(finding),
        margin=evidence.margin,
        low=bounds.low,
        high=bounds.high,
        pairs=count,
        control=rates[0],
        candidate=rates[1],
        not_worse=evidence.within_margin,
        e_values=evidence.e_values,
        trail=_trail(evidence),
    )


def _trail(evidence: SequentialPairedTest) -> tuple[tuple[int, float, float], ...]:
    """Bounds at a few points on the way, coarser than the final ones."""
    count = len(evidence.losses)
    points = (
        sorted({max(1, count * place // _TRAIL_POINTS) for place in range(1, _TRAIL_POINTS + 1)})
        if count
        else []
    )
    looks = [(point, mean_bounds(evidence.losses[:point], ALPHA, -1.0, 1.0, step=0.02)) for point in points]
    return tuple((point, bounds.low, bounds.high) for point, bounds in looks)


def _slices(pairs: dict[str, PairCounts]) -> list[Slice]:
    return [each.slice(name) for name, each in sorted(pairs.items())]


def _adjust_p_values(slices: Sequence[Slice]) -> list[Slice]:
    found = benjamini_hochberg([each.p for each in slices])
    return [replace(each, p_adjusted=p) for each, p in zip(slices, found, strict=True)]


def _hidden_regressions(whole: Slice, slices: Iterable[Slice]) -> tuple[str, ...]:
    """Slices that got worse though the whole did not, the clearest first."""
    if whole.difference < 0 and whole.p <= ALPHA:
        return ()
    down = [each for each in slices if each.difference < 0 and each.p <= ALPHA]
    return tuple(each.name for each in sorted(down, key=lambda each: each.p))

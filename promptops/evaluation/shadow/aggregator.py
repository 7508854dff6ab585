"""What is kept of the pairs of a shadow run: the comparison by checks, and what only two answers show."""

from collections import Counter
from dataclasses import field
from typing import Literal

from promptops.dataclass import dataclass
from promptops.evaluation.comparison import PairedComparison, PairSide
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions
from promptops.evaluation.shadow.pair import ARMS, ShadowAnswer, ShadowPair
from promptops.evaluation.shadow.ratio_metrics import RatioMetric
from promptops.evaluation.shadow.result import ExclusionCounts, MetricComparison, ShadowComparison, SideInfo
from promptops.evaluation.shadow.similarity import SimilarityCounter
from promptops.evaluation.top_regressions import TopRegressions
from promptops.stats.sequential_pairs import SequentialPairedTest
from promptops.stats.verdicts import CHECKS_WORDING, ERRORS_WORDING, Wording, verdict_sentence

Primary = Literal["checks", "judge", "errors"]
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
    left: ExclusionCounts = field(default_factory=ExclusionCounts)
    mode: str = "replay"
    started_at: str = ""


@dataclass(slots=True)
class ShadowAggregator:
    """``primary``: what the verdict is about. Losses are 1 for a failed side, so candidate minus control."""

    primary: Primary
    margin: float
    semantic: EmbeddingOptions | None = None
    one_look: bool = False
    evidence: SequentialPairedTest = field(init=False)
    comparison: PairedComparison[ShadowPair] = field(init=False)
    judge_test: SequentialPairedTest = field(init=False)
    answer_test: SequentialPairedTest = field(init=False)
    changed: TopRegressions[ShadowPair] = field(default_factory=lambda: TopRegressions(_MAX_CHANGED))
    similarity: SimilarityCounter = field(init=False)
    ratios: tuple[RatioMetric, ...] = field(
        default_factory=lambda: tuple(RatioMetric(name) for name in ("latency", "cost", "tokens", "length"))
    )
    unanswered: dict[str, "Counter[str]"] = field(default_factory=lambda: {arm: Counter() for arm in ARMS})
    truncated: "Counter[str]" = field(default_factory=Counter)
    pairs: int = 0
    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ARMS, 0))

    def __post_init__(self) -> None:
        self.similarity = SimilarityCounter(self.semantic)
        self.evidence, self.judge_test, self.answer_test = (
            SequentialPairedTest(self.margin) for _ in range(3)
        )
        self.comparison = PairedComparison(self.margin, evidence=self.evidence, one_look=self.one_look)

    def add(self, pair: ShadowPair) -> None:
        control, candidate = pair.control, pair.candidate
        self.answer_test.add(float(control.answered) - float(candidate.answered))
        if not pair.answered:
            for arm, side in zip(ARMS, (control, candidate), strict=True):
                if not side.answered:
                    self.unanswered[arm][side.error or ""] += 1
            return
        self.pairs += 1
        self.truncated.update(control=control.truncated, candidate=candidate.truncated)
        self._compare(pair)
        self.similarity.add(pair)
        if pair.preference is not None:
            self.judge_test.add(1.0 - 2.0 * pair.preference)
        for metric in self.ratios:
            metric.add(_measure(metric.name, control), _measure(metric.name, candidate))

    def _compare(self, pair: ShadowPair) -> None:
        control, candidate = _pair_side(pair.control), _pair_side(pair.candidate)
        self.passed["control"] += control.passed
        self.passed["candidate"] += candidate.passed
        severity = abs(_failed_share(pair.candidate) - _failed_share(pair.control))
        self.comparison.add(control, candidate, tags=pair.tags, severity=severity, example=lambda: pair)
        if control.passed == candidate.passed and pair.control.output != pair.candidate.output:
            self.changed.add(severity, lambda: pair)

    @property
    def primary_test(self) -> SequentialPairedTest:
        return self.judge_test if self.primary == "judge" else self.evidence

    @property
    def decided(self) -> bool:
        return self.primary_test.decided

    def result(self, info: ShadowRunInfo, *, stopped: str | None, spent_usd: float) -> ShadowComparison:
        questions = self._metrics(info.control.label, info.candidate.label)
        slices = self.comparison.slices(at_end=stopped == "all")
        regressed, improved = self.comparison.regressed, self.comparison.improved
        return ShadowComparison(
            shadow_id=info.shadow_id,
            prompt=info.prompt,
            control=info.control,
            candidate=info.candidate,
            verdict=questions[0].verdict,
            sentence=questions[0].sentence,
            questions=questions,
            whole=slices.whole,
            tags=slices.tags,
            checks=slices.checks,
            worse_slices=slices.worse_slices,
            worse_checks=slices.worse_checks,
            thin_slices=slices.thin,
            broke=regressed.worst_first(),
            fixed=improved.worst_first(),
            broke_total=regressed.total,
            fixed_total=improved.total,
            changed=self.changed.worst_first(),
            likeness=self.similarity.result(),
            pairs=self.pairs,
            unanswered={arm: dict(counts) for arm, counts in self.unanswered.items() if counts},
            truncated=dict(+self.truncated),
            planned=info.planned,
            left=info.left,
            margin=self.margin,
            spent_usd=spent_usd,
            seed=info.seed,
            mode=info.mode,
            stopped=stopped,
            started_at=info.started_at,
            noise=self._noise() if info.mode == "aa" else {},
        )

    def _metrics(self, control: str, candidate: str) -> tuple[MetricComparison, ...]:
        """What the verdict is about comes first."""
        labels = control, candidate
        quality = (
            _compare_metric("errors", self.evidence, ERRORS_WORDING, labels, self._failure_rates())
            if self.primary == "errors"
            else _compare_metric("checks", self.evidence, CHECKS_WORDING, labels, self._failure_rates())
        )
        metrics = [quality]
        if self.judge_test.losses:
            judged = _compare_metric("judge", self.judge_test, JUDGE_WORDING, labels)
            metrics.insert(0 if self.primary == "judge" else 1, judged)
        if any(self.unanswered.values()):
            metrics.append(_compare_metric("unanswered", self.answer_test, UNANSWERED_WORDING, labels))
        ratios = (metric.question(control, candidate) for metric in self.ratios)
        return (*metrics, *(ratio for ratio in ratios if ratio))

    def _failure_rates(self) -> tuple[float | None, float | None]:
        if not self.pairs:
            return None, None
        return 1 - self.passed["control"] / self.pairs, 1 - self.passed["candidate"] / self.pairs

    def _noise(self) -> dict[str, float | None]:
        """How far a version differs from itself: what smaller differences drown in."""
        count, similarity = self.pairs, self.similarity
        flips = self.comparison.regressed.total + self.comparison.improved.total
        return {
            "answers_differ": 1 - similarity.equal / similarity.pairs if similarity.pairs else None,
            "meaning_differs": 1 - similarity.semantic / similarity.pairs if similarity.pairs else None,
            "flips": flips / count if count else None,
        }


def _pair_side(answer: ShadowAnswer) -> PairSide:
    return PairSide(int(answer.passed), {name: int(passed) for name, passed in answer.checks.items()})


def _measure(name: str, answer: ShadowAnswer) -> float | None:
    if answer.error is not None:
        return None
    match name:
        case "latency":
            value = answer.latency_ms
        case "cost":
            value = answer.cost_usd
        case "tokens":
            value = answer.output_tokens
        case _:
            value = None if answer.output is None else len(answer.output)
    return None if value is None else float(value)


def _failed_share(answer: ShadowAnswer) -> float:
    """Of its checks; an error fails all of them."""
    if answer.error is not None:
        return 1.0
    return 1 - sum(answer.checks.values()) / len(answer.checks) if answer.checks else 0.0


def _compare_metric(
    name: str,
    test: SequentialPairedTest,
    wording: Wording,
    labels: tuple[str, str],
    rates: tuple[float | None, float | None] = (None, None),
) -> MetricComparison:
    bounds = test.bounds
    return MetricComparison(
        name=name,
        verdict=str(test.verdict),
        sentence=verdict_sentence(test.details(*labels, wording)),
        margin=test.margin,
        low=bounds.low,
        high=bounds.high,
        pairs=len(test.losses),
        control=rates[0],
        candidate=rates[1],
        not_worse=test.within_margin,
        e_values=test.e_values,
        trail=test.trail(_TRAIL_POINTS),
    )

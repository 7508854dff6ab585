"""Pairs counted one after another, looked at after each: verdicts, slices, what broke and what was fixed."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from promptops.evaluation.comparison import ALPHA, Evidence
from promptops.evaluation.paired_counts import Pairs
from promptops.evaluation.result import Slice
from promptops.evaluation.shadow.embedding_similarity import Semantic
from promptops.evaluation.shadow.pair import ARMS, Pair
from promptops.evaluation.shadow.ratio_metrics import Ratios
from promptops.evaluation.shadow.result import Comparison, Left, Party, Question
from promptops.evaluation.shadow.similarity import Alike
from promptops.stats.confidence_sequences import mean_bounds
from promptops.stats.multiple_testing import benjamini_hochberg
from promptops.stats.verdicts import CHECKS, ERRORS, Finding, Wording, sentence

Primary = Literal["checks", "judge", "errors"]
LISTED = 100
_CHANGED = 20
_POINTS = 24  # of the picture of the evidence
JUDGED = Wording("loses", "more often", "less often", "points")
UNANSWERED = Wording("goes unanswered", "more often", "less often", "points")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds the counts of one comparison."""

    shadow_id: str
    prompt: str
    control: Party
    candidate: Party
    planned: int
    seed: int
    left: Left = field(default_factory=Left)
    mode: str = "replay"
    started_at: str = ""


@dataclass(slots=True)
class _Worst:
    """So many pairs of the largest loss, the earlier first among equals."""

    limit: int
    total: int = 0
    _heap: list[tuple[float, int, Pair]] = field(default_factory=list)

    def add(self, pair: Pair, loss: float) -> None:
        self.total += 1
        entry = (loss, -pair.number, pair)
        if len(self._heap) < self.limit:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    def worst_first(self) -> tuple[Pair, ...]:
        return tuple(pair for _, _, pair in sorted(self._heap, key=lambda each: each[:2], reverse=True))


@dataclass(slots=True)
class Comparing:
    """``primary``: what the verdict is about. Losses are 1 for a failed side, so candidate minus control."""

    primary: Primary
    margin: float
    semantic: Semantic | None = None
    evidence: Evidence = field(init=False)
    judged: Evidence = field(init=False)
    answering: Evidence = field(init=False)
    whole: Pairs = field(default_factory=lambda: Pairs(1))
    tags: dict[str, Pairs] = field(default_factory=dict)
    checks: dict[str, Pairs] = field(default_factory=dict)
    broke: _Worst = field(default_factory=lambda: _Worst(LISTED))
    fixed: _Worst = field(default_factory=lambda: _Worst(LISTED))
    changed: _Worst = field(default_factory=lambda: _Worst(_CHANGED))
    alike: Alike = field(init=False)
    ratios: tuple[Ratios, ...] = field(
        default_factory=lambda: tuple(Ratios(name) for name in ("latency", "cost", "tokens", "length"))
    )
    unanswered: dict[str, "Counter[str]"] = field(default_factory=lambda: {arm: Counter() for arm in ARMS})
    pairs: int = 0
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.alike = Alike(self.semantic)
        self.evidence, self.judged, self.answering = (Evidence(self.margin) for _ in range(3))

    def add(self, pair: Pair) -> None:
        control, candidate = pair.control, pair.candidate
        self.answering.add(float(control.answered) - float(candidate.answered))
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

    def _count(self, pair: Pair) -> None:
        before, after = pair.control.passed, pair.candidate.passed
        self.passed[0] += before
        self.passed[1] += after
        difference = int(after) - int(before)
        self.evidence.add(float(-difference))
        for pairs in (self.whole, *(self.tags.setdefault(tag, Pairs(1)) for tag in dict.fromkeys(pair.tags))):
            pairs.add(difference, before, after)
        for name in pair.control.checks.keys() & pair.candidate.checks.keys():
            old, new = pair.control.checks[name], pair.candidate.checks[name]
            self.checks.setdefault(name, Pairs(1)).add(int(new) - int(old), old, new)
        if difference:
            (self.broke if before else self.fixed).add(pair, _severity(pair))
        elif pair.control.output != pair.candidate.output:
            self.changed.add(pair, _severity(pair))

    @property
    def decisive(self) -> Evidence:
        return self.judged if self.primary == "judge" else self.evidence

    @property
    def decided(self) -> bool:
        return self.decisive.decided

    def result(self, frame: Frame, *, stopped: str | None, spent_usd: float) -> Comparison:
        labels = frame.control.label, frame.candidate.label
        questions = self._questions(*labels)
        slices = _adjusted([*_slices(self.tags), *_slices(self.checks)])
        tags = tuple(slices[: len(self.tags)])
        whole = self.whole.slice("all")
        return Comparison(
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
            worse_slices=_hidden(whole, slices),
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

    def _questions(self, control: str, candidate: str) -> tuple[Question, ...]:
        about = "errors" if self.primary == "errors" else "checks"
        wording = ERRORS if about == "errors" else CHECKS
        rates = [1 - count / self.pairs for count in self.passed] if self.pairs else [None, None]
        quality = _asked(about, self.evidence, wording, (control, candidate), (rates[0], rates[1]))
        found = [quality]
        if self.judged.losses:
            judged = _asked("judge", self.judged, JUDGED, (control, candidate), (None, None))
            found.insert(0 if self.primary == "judge" else 1, judged)
        if any(self.unanswered.values()):
            found.append(_asked("unanswered", self.answering, UNANSWERED, (control, candidate), (None, None)))
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


def _measure(name: str, pair: Pair, arm: str) -> float | None:
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


def _severity(pair: Pair) -> float:
    """How much more of the checks the worse side fails; an error is all of them."""
    return abs(_failed(pair, "candidate") - _failed(pair, "control"))


def _failed(pair: Pair, arm: str) -> float:
    side = getattr(pair, arm)
    if side.error is not None:
        return 1.0
    return 1 - sum(side.checks.values()) / len(side.checks) if side.checks else 0.0


def _asked(
    name: str,
    evidence: Evidence,
    wording: Wording,
    labels: tuple[str, str],
    rates: tuple[float | None, float | None],
) -> Question:
    bounds, count = evidence.bounds, len(evidence.losses)
    finding = Finding(
        verdict=evidence.verdict,
        subject=labels[1],
        against=labels[0],
        wording=wording,
        bounds=bounds if count else None,
        count=count,
        margin=evidence.margin,
        counted="pairs",
    )
    return Question(
        name=name,
        verdict=str(evidence.verdict),
        sentence=sentence(finding),
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


def _trail(evidence: Evidence) -> tuple[tuple[int, float, float], ...]:
    """Bounds at a few points on the way, coarser than the final ones."""
    count = len(evidence.losses)
    points = sorted({max(1, count * place // _POINTS) for place in range(1, _POINTS + 1)}) if count else []
    looks = [(point, mean_bounds(evidence.losses[:point], ALPHA, -1.0, 1.0, step=0.02)) for point in points]
    return tuple((point, bounds.low, bounds.high) for point, bounds in looks)


def _slices(pairs: dict[str, Pairs]) -> list[Slice]:
    return [each.slice(name) for name, each in sorted(pairs.items())]


def _adjusted(slices: Sequence[Slice]) -> list[Slice]:
    found = benjamini_hochberg([each.p for each in slices])
    return [replace(each, p_adjusted=p) for each, p in zip(slices, found, strict=True)]


def _hidden(whole: Slice, slices: Iterable[Slice]) -> tuple[str, ...]:
    """Slices that got worse though the whole did not, the clearest first."""
    if whole.difference < 0 and whole.p <= ALPHA:
        return ()
    down = [each for each in slices if each.difference < 0 and each.p <= ALPHA]
    return tuple(each.name for each in sorted(down, key=lambda each: each.p))

"""What the labels of a prompt say: rates weighted by how items were drawn, codes, and drift of reviewers."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from promptops.dataclass import dataclass
from promptops.errors import Undecided
from promptops.registry import LabelRecord, RegistryDatabase, ReviewQueue, list_queues, read_review_labels
from promptops.stats.agreement import krippendorff_alpha
from promptops.stats.distributions import two_sided_z
from promptops.stats.intervals import IntervalEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRate:
    """Of the answers of a version that were drawn at random: how many passed, and the weighted rate."""

    digest: str
    version: str | None
    passed: int
    failed: int
    rate: IntervalEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerDrift:
    """What a reviewer said of the same answers before and again. ``alpha`` is None where it is undefined."""

    reviewer: str
    repeated: int
    same: int
    alpha: IntervalEstimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSummary:
    """``chosen``: labels of answers that were looked at for a reason, which are in no rate.

    ``rubrics``: labels by the digest of the questions that they answer.
    """

    prompt: str
    queues: Sequence[ReviewQueue]
    labels: int
    drawn: int
    chosen: int
    versions: Sequence[VersionRate]
    drift: Sequence[ReviewerDrift]
    reviewers: Mapping[str, int]
    rubrics: Mapping[str, int]


def summarize_reviews(registry: RegistryDatabase, prompt: str) -> ReviewSummary:
    labels = read_review_labels(registry, prompt)
    first = _latest(labels)
    drawn = [each for each in first if each.drawn]
    return ReviewSummary(
        prompt=prompt,
        queues=list_queues(registry, prompt),
        labels=len(first),
        drawn=len(drawn),
        chosen=len(first) - len(drawn),
        versions=_rates(drawn),
        drift=_drift([each for each in labels if each.repeats is not None]),
        reviewers=dict(Counter(each.label.reviewer for each in first).most_common()),
        rubrics=dict(Counter(each.label.rubric for each in first).most_common()),
    )


def _latest(labels: Iterable[LabelRecord]) -> list[LabelRecord]:
    """Of each answer the latest label, as two queues may have it; what came again to a reviewer is apart."""
    return list({each.seq: each for each in labels if each.repeats is None}.values())


def _rates(drawn: Iterable[LabelRecord]) -> list[VersionRate]:
    versions: dict[str, list[LabelRecord]] = {}
    for each in drawn:
        versions.setdefault(each.digest, []).append(each)
    return [
        VersionRate(
            digest=digest,
            version=labels[-1].version,
            passed=sum(each.label.passed for each in labels),
            failed=sum(not each.label.passed for each in labels),
            rate=weighted_rate([(each.label.passed, each.probability or 1.0) for each in labels]),
        )
        for digest, labels in sorted(versions.items(), key=lambda each: _version_number(each[1][-1].version))
    ]


def _version_number(version: str | None) -> int:
    """v9 before v10, and what is not released at the end."""
    number = (version or "").removeprefix("v")
    return int(number) if number.isdecimal() else 10**9


def weighted_rate(items: Sequence[tuple[bool, float]], confidence: float = 0.95) -> IntervalEstimate:
    """The share that passes in the population, from items with the probability of having been drawn.

    The estimate is Hájek's (each item stands for 1/probability others), the interval Wilson's at Kish's
    effective number of items. Source: Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992,
    5.7; Kish, Survey Sampling, 1965. 0 to 1 where there are none.
    """
    weights = [1.0 / probability for _, probability in items]
    if not weights:
        return IntervalEstimate(0.0, 0.0, 1.0, 0)
    total = math.fsum(weights)
    rate = math.fsum(w for w, (passed, _) in zip(weights, items, strict=True) if passed) / total
    effective = total * total / math.fsum(w * w for w in weights)
    z = two_sided_z(confidence)
    spread = z * z / effective
    centre = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(max(0.0, rate * (1 - rate)) / effective + spread / (4 * effective)) / (1 + spread)
    return IntervalEstimate(rate, max(0.0, centre - half), min(1.0, centre + half), len(items))


def _drift(repeated: Iterable[LabelRecord]) -> list[ReviewerDrift]:
    people: dict[str, list[tuple[bool, bool]]] = {}
    for each in repeated:
        if each.repeats is not None:
            people.setdefault(each.label.reviewer, []).append((each.repeats, each.label.passed))
    return [
        ReviewerDrift(
            reviewer=who,
            repeated=len(pairs),
            same=sum(before == after for before, after in pairs),
            alpha=_alpha(pairs),
        )
        for who, pairs in people.items()
    ]


def _alpha(pairs: Sequence[tuple[bool, bool]]) -> IntervalEstimate | None:
    try:
        return krippendorff_alpha(pairs)
    except Undecided:  # everything passed, or everything failed, both times
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCount:
    """How many failed answers have a code: in all, and by version (its number, else the digest)."""

    code: str
    labels: int
    versions: Mapping[str, int]
    notes: Sequence[str]  # some of the latest


def count_codes(registry: RegistryDatabase, prompt: str) -> list[CodeCount]:
    """The codes of a prompt, most frequent first; failures without one stand under an empty name."""
    found: dict[str, list[LabelRecord]] = {}
    for each in _latest(read_review_labels(registry, prompt)):
        if each.label.codes or not each.label.passed:
            for code in each.label.codes or ("",):
                found.setdefault(code, []).append(each)
    counts = [
        CodeCount(
            code=code,
            labels=len(labels),
            versions=dict(Counter(each.version or each.digest[:12] for each in labels)),
            notes=[each.label.note for each in reversed(labels) if each.label.note][:3],
        )
        for code, labels in found.items()
    ]
    return sorted(counts, key=lambda each: (not each.code, -each.labels, each.code))

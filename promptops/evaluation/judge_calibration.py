"""How far a judge can be trusted: agreement with people and with itself, and what it cannot see.

Labels are JSON lines: ``{"inputs": {…what the judge is given…}, "label": 4}``, or
``"labels": [4, 5, 3]`` where several people rated. A judge of pairs takes ``a`` and ``b`` among the inputs;
its labels are a, b and tie.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from promptops.checks.judge import (
    TIE,
    Judge,
    JudgeReplyError,
    JudgeScale,
    Label,
    consensus,
    judge_inputs,
    parse_label,
)
from promptops.checks.model_graded import PairwiseVotes, ask_judge, compare_pair
from promptops.checks.types import GraderClient
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Undecided
from promptops.stats.agreement import (
    Level,
    cohen_kappa,
    detectable_difference,
    krippendorff_alpha,
    raw_agreement,
)
from promptops.stats.correlation import pearson, spearman
from promptops.stats.intervals import IntervalEstimate, wilson_interval

KEYS = ("id", "inputs", "label", "labels")


@dataclass(frozen=True, slots=True)
class LabelledItem:
    inputs: Mapping[str, Any]
    labels: tuple[Label, ...]  # of people
    where: str


@dataclass(frozen=True, slots=True)
class JudgedItem:
    labels: tuple[Label, ...]
    votes: tuple[Label, ...]
    failures: tuple[str, ...] = ()
    flipped: int = 0

    @property
    def asked(self) -> int:
        return len(self.votes) + len(self.failures)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Each figure is None where it cannot be computed: too few items, one category throughout, one rater."""

    items: int
    judged: int  # items with at least one verdict
    votes: int  # asked for each item
    failure_rate: IntervalEstimate
    raw: IntervalEstimate | None
    kappa: IntervalEstimate | None
    alpha: IntervalEstimate | None
    people_alpha: IntervalEstimate | None
    correlation: IntervalEstimate | None
    rank_correlation: IntervalEstimate | None
    self_agreement: IntervalEstimate | None
    self_alpha: IntervalEstimate | None
    noise: float | None  # sd of one vote about its item's mean
    flipped: IntervalEstimate | None  # of a judge of pairs: votes that went by position
    cases: int
    detectable: float | None  # smallest difference between two versions over so many cases
    failures: Mapping[str, int]


def read_labels(path: str, lines: Iterable[bytes], judge: Judge) -> Iterator[LabelledItem]:
    """Raises Invalid, naming the line, at the first bad one."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                data = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Invalid(f"{where}: not JSON: {error}", hint="one labelled item a line") from None
            yield _parse_item(data, where, judge)


def _parse_item(data: Any, where: str, judge: Judge) -> LabelledItem:
    if not isinstance(data, dict) or not isinstance(data.get("inputs"), dict):
        raise Invalid(f"{where}: a labelled item is a mapping with `inputs` and `label`")
    if unknown := [key for key in data if key not in KEYS]:
        raise Invalid(f"{where}: unknown key `{unknown[0]}`", hint=f"known: {', '.join(KEYS)}")
    labels = data.get("labels", [data["label"]] if "label" in data else [])
    if not isinstance(labels, list) or not labels:
        raise Invalid(f"{where}: no label", hint='write `"label": 4`, or `"labels": [4, 5]`')
    try:
        judge_inputs(judge.prompt, data["inputs"])
        read = tuple(_parse_label(judge, label) for label in labels)
    except JudgeReplyError as error:
        message = str(error).replace("the judge answered", "the label is")
        raise Invalid(
            f"{where}: {message}", hint=f"labels are what the judge may say: {judge.scale}"
        ) from None
    except Invalid as error:
        raise Invalid(f"{where}: {error.message}", hint=error.hint) from None
    return LabelledItem(data["inputs"], read, where)


def _parse_label(judge: Judge, label: Any) -> Label:
    """People may rate between the judge's steps: the mean of several is not a whole number."""
    scale = judge.scale
    if judge.pairwise:
        if str(label).lower() not in ("a", "b", TIE):
            raise JudgeReplyError(f"the judge answered {label!r}, not one of a, b, {TIE}")
        return str(label).lower()
    inside = scale.kind == "score" and isinstance(label, float) and scale.low <= label <= scale.high
    return label if inside else parse_label(scale, {scale.member: label} if scale.member else label)


async def judge_items(
    judge: Judge,
    reference: str,
    items: Sequence[LabelledItem],
    client: GraderClient,
    *,
    votes: int,
    jobs: int,
) -> list[JudgedItem]:
    """Ask the judge about every item, so many at once."""
    limiter = asyncio.Semaphore(jobs)

    async def one(item: LabelledItem) -> JudgedItem:
        async with limiter:
            return await _judge_item(judge, reference, item, client, votes)

    return list(await asyncio.gather(*map(one, items)))


async def _judge_item(
    judge: Judge, reference: str, item: LabelledItem, client: GraderClient, votes: int
) -> JudgedItem:
    if judge.pairwise:
        pair = await compare_pair(judge, reference, item.inputs, client, check="calibrate", votes=votes)
        return JudgedItem(item.labels, _sides(pair), pair.failures, pair.flipped)
    ballot = await ask_judge(judge, reference, item.inputs, client, check="calibrate", votes=votes)
    return JudgedItem(item.labels, ballot.votes, ballot.failures)


def _sides(pair: PairwiseVotes) -> tuple[str, ...]:
    return tuple({1.0: "a", 0.0: "b"}.get(vote, TIE) for vote in pair.votes)


def calibrate(
    items: Sequence[JudgedItem], scale: JudgeScale, *, votes: int, cases: int | None = None
) -> Calibration:
    """Agreement of the judge's consensus with that of people, of people, and of the judge's votes."""
    whole = [each for each in items if each.votes]
    scores = scale.kind == "score"
    level: Level = "interval" if scores else "nominal"
    people = [_round_to_scale(_consensus(each.labels), scale) for each in whole]
    judge = [_consensus(each.votes) for each in whole]
    count = cases or len(items)
    failures = sum(len(each.failures) for each in items)
    replies = sum(each.asked for each in items)
    flips = sum(each.flipped for each in items)
    failed = wilson_interval(failures, max(1, replies))
    return Calibration(
        items=len(items),
        judged=len(whole),
        votes=votes,
        failure_rate=IntervalEstimate(failures / max(1, replies), failed.low, failed.high, replies),
        raw=_or_none(lambda: raw_agreement(people, judge)) if scale.values else None,
        kappa=_or_none(lambda: _kappa(people, judge, scale)),
        alpha=_or_none(lambda: krippendorff_alpha(list(zip(people, judge, strict=True)), level=level)),
        people_alpha=_or_none(lambda: krippendorff_alpha([each.labels for each in items], level=level)),
        correlation=_or_none(lambda: pearson(*_means(whole))) if scores else None,
        rank_correlation=_or_none(lambda: spearman(*_means(whole))) if scores else None,
        self_agreement=_self_agreement(whole),
        self_alpha=_or_none(lambda: krippendorff_alpha([each.votes for each in whole], level=level)),
        noise=_or_none(lambda: _noise(_numeric_votes(whole))),
        flipped=_share(flips, sum(len(each.votes) for each in items)) if flips else None,
        cases=count,
        detectable=_or_none(lambda: _detectable(whole, count)),
        failures=_count_failures(items),
    )


def _kappa(people: Sequence[Label], judge: Sequence[Label], scale: JudgeScale) -> IntervalEstimate:
    """Weighted by the square of the distance for scores, whose steps are in order."""
    if not scale.values:
        raise Undecided("kappa needs a scale of steps")
    if scale.kind == "choice":
        return cohen_kappa(people, judge)
    return cohen_kappa(people, judge, weights="quadratic", categories=scale.values)


def _round_to_scale(label: Label, scale: JudgeScale) -> Label:
    """The nearest step: the mean of several people's ratings lies between two."""
    if scale.kind == "choice" or not scale.values:
        return label
    return min(scale.values, key=lambda step: abs(float(step) - float(label)))


def _or_none(figure: Callable[[], Any]) -> Any:
    try:
        return figure()
    except Undecided:
        return None


def _consensus(labels: Sequence[Label]) -> Label:
    agreed = consensus(labels)
    assert agreed is not None  # noqa: S101 - only items with votes are looked at
    return agreed


def _means(whole: Sequence[JudgedItem]) -> tuple[list[float], list[float]]:
    return [_mean(each.labels) for each in whole], [_mean(each.votes) for each in whole]


def _mean(labels: Sequence[Label]) -> float:
    return sum(map(float, labels)) / len(labels)


def _self_agreement(whole: Sequence[JudgedItem]) -> IntervalEstimate | None:
    """The share of items on which all votes say the same."""
    repeated = [each for each in whole if len(each.votes) > 1]
    return _share(sum(len(set(each.votes)) == 1 for each in repeated), len(repeated))


def _share(part: int, whole: int) -> IntervalEstimate | None:
    if not whole:
        return None
    interval = wilson_interval(part, whole)
    return IntervalEstimate(part / whole, interval.low, interval.high, whole)


def _numeric_votes(whole: Sequence[JudgedItem]) -> list[list[float]]:
    """Votes as numbers: scores, or for each choice whether it was the one."""
    if whole and isinstance(whole[0].votes[0], str):
        choices = sorted({str(vote) for each in whole for vote in each.votes})
        noisiest = max(choices, key=lambda choice: _noise(_indicators(whole, choice)) if choices else 0.0)
        return _indicators(whole, noisiest)
    return [[float(vote) for vote in each.votes] for each in whole]


def _indicators(whole: Sequence[JudgedItem], choice: str) -> list[list[float]]:
    return [[float(vote == choice) for vote in each.votes] for each in whole]


def _noise(repeats: Sequence[Sequence[float]]) -> float:
    pairs = [(one, other) for scores in repeats for one, other in combinations(scores, 2)]
    repeated = [scores for scores in repeats if len(scores) > 1]
    if not pairs:
        raise Undecided("noise needs items that were judged at least twice")
    freedom = sum(len(scores) - 1 for scores in repeated)
    squares = sum((score - sum(scores) / len(scores)) ** 2 for scores in repeated for score in scores)
    return float((squares / freedom) ** 0.5)


def _detectable(whole: Sequence[JudgedItem], cases: int) -> float:
    repeats = _numeric_votes(whole)
    if not _noise(repeats):  # a pinned seed repeats its votes: that is not precision
        raise Undecided("votes that never differ say nothing about noise")
    return detectable_difference(repeats, cases)


def _count_failures(items: Sequence[JudgedItem]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for each in items:
        for failure in each.failures:
            reasons[failure] = reasons.get(failure, 0) + 1
    return dict(sorted(reasons.items(), key=lambda item: -item[1]))

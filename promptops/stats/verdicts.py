"""The four words, and the sentence each is shown as."""

import math
from enum import StrEnum
from typing import Literal

from promptops.dataclass import dataclass
from promptops.stats.intervals import Interval

_ROUNDING_TOLERANCE = (
    1e-6  # of the last digit shown: 0.012 is 1.2 points although its tenfold is 12.000000000000002
)


class Verdict(StrEnum):
    """Losses are larger for worse; a margin is how much worse is still accepted."""

    WORSE = "worse"
    NOT_WORSE = "not worse"  # by more than the margin
    BETTER = "better"
    UNDECIDED = "undecided"


def decide_verdict(*, worse: bool, not_worse: bool, better: bool = False) -> Verdict:
    """The word for what three tests have rejected: harm goes first, and better says more than not worse."""
    if worse:
        return Verdict.WORSE
    if better:
        return Verdict.BETTER
    return Verdict.NOT_WORSE if not_worse else Verdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class Wording:
    """How a metric is spoken of: "v13 ``verb`` at most 1.2 points ``more`` than v12".

    ``counted``, of what happens or does not: "v13 ``counted`` in 3 of 40 calls".
    """

    verb: str
    more: str
    less: str
    unit: Literal[
        "points", "percent", "plain"
    ]  # of a difference of rates; of a ratio; of a difference of scores
    counted: str = ""


ERRORS_WORDING = Wording("fails", "more often", "less often", "points", "failed")
WRONG_ANSWER_WORDING = Wording("answers wrong", "more often", "less often", "points", "answered wrong")
CHECKS_WORDING = Wording("fails checks", "more often", "less often", "points", "failed checks")
LATENCY_WORDING = Wording("typically takes", "more time", "less time", "percent")
COST_WORDING = Wording("typically costs", "more", "less", "percent")
SCORE_WORDING = Wording("scores", "lower", "higher", "plain")


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Calls of both sides, and how many of them were bad, where that is a number of calls."""

    subject: int
    against: int
    subject_bad: int | None = None
    against_bad: int | None = None


@dataclass(frozen=True, slots=True)
class VerdictDetails:
    """A verdict with what it rests on.

    ``bounds``: on the difference of losses (0.012 = 1.2 points) or on the ratio (1.08 = 8 %), each side
    holding with ``confidence``; None before anything was scored.  ``margin`` in the same terms.  ``count``
    of ``counted``.
    """

    verdict: Verdict
    subject: str
    against: str
    wording: Wording
    bounds: Interval | None
    count: int
    margin: float | None = None
    confidence: float = 0.95
    counted: str = "calls"
    arms: ArmCounts | None = None


def verdict_sentence(finding: VerdictDetails) -> str:
    """One line for a person: what was counted, then what follows from it.

    "v13 failed in 5 of 320 calls, v12 in 4 of 322: at most 1.2 points more often (95 %); limit 3"; without
    ``arms`` "v13 fails at most 1.2 points more often than v12 (95 %), from 640 calls; limit 3".  The bound
    that the verdict rests on is shown, rounded to the side that claims less.
    """
    counts = _counts(finding)
    if finding.bounds is None or not finding.count:
        if counts and finding.count:
            return f"{counts}: not compared yet"
        return f"{finding.subject} cannot be compared with {finding.against} yet: no {finding.counted} scored"
    low = finding.verdict is Verdict.WORSE
    words = finding.wording
    bound = _round_outwards(finding.bounds.low if low else finding.bounds.high, words.unit, up=not low)
    beyond = bound >= 0 if low else bound < 0
    direction = words.more if bound >= 0 else words.less
    amount = f"{'at least' if beyond else 'at most'} {_amount(abs(bound), words.unit)}"
    sure = f"({finding.confidence * 100:.4g} %)"
    if counts and words.counted:
        sentence = f"{counts}: {amount} {direction} {sure}"
    else:
        sentence = f"{finding.subject} {words.verb} {amount} {direction} than {finding.against} {sure}"
        sentence = (
            f"{counts}: {sentence}"
            if counts
            else f"{sentence}, from {_number_of(finding.count, finding.counted)}"
        )
    if finding.margin is not None and finding.verdict is not Verdict.BETTER:
        sentence += f"; limit {_number(_round_outwards(finding.margin, words.unit, up=True), words.unit)}"
    return sentence + "; undecided" * (finding.verdict is Verdict.UNDECIDED)


def _counts(finding: VerdictDetails) -> str:
    """What was counted on both sides."""
    arms, subject, against = finding.arms, finding.subject, finding.against
    if arms is None:
        return ""
    if arms.subject_bad is None or arms.against_bad is None or not finding.wording.counted:
        return f"{_number_of(arms.subject, finding.counted)} of {subject}, {arms.against:,} of {against}"
    return (
        f"{subject} {finding.wording.counted} in {arms.subject_bad:,} of "
        f"{_number_of(arms.subject, finding.counted)}, {against} in {arms.against_bad:,} of {arms.against:,}"
    )


def _number_of(count: int, counted: str) -> str:
    return f"{count:,} {_plural(counted, count)}"


def _round_outwards(value: float, unit: str, *, up: bool) -> float:
    """In the unit of the sentence, rounded up or down to its last digit."""
    scale = {"points": 1000.0, "percent": 100.0, "plain": 100.0}[unit]
    scaled = (value - 1.0 if unit == "percent" else value) * scale
    whole = math.ceil(scaled - _ROUNDING_TOLERANCE) if up else math.floor(scaled + _ROUNDING_TOLERANCE)
    return whole / (scale / 100.0) if unit == "points" else whole / (1.0 if unit == "percent" else scale)


def _number(value: float, unit: str) -> str:
    return f"{value:.1f}".removesuffix(".0") if unit == "points" else f"{value:.4g}"


def _amount(value: float, unit: str) -> str:
    written = _number(value, unit)
    if unit == "points":
        return f"{written} {'point' if written == '1' else 'points'}"
    return f"{written} %" if unit == "percent" else written


def _plural(counted: str, count: int) -> str:
    return counted[:-1] if count == 1 and counted.endswith("s") else counted

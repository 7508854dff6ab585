"""What all forms say in the same words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptops.cli.reports.numbers import NOTHING, milliseconds, percent, points, sign, usd, whole
from promptops.console import one_line
from promptops.evaluation.shadow.pair import Pair, Side
from promptops.evaluation.shadow.result import Comparison, Question
from promptops.evaluation.shadow.similarity import Likeness
from promptops.prompt.diff.values import shown

NAMES = {
    "checks": "fails checks",
    "errors": "errors",
    "judge": "judged pairs",
    "unanswered": "unanswered",
    "latency": "latency",
    "cost": "cost per call",
    "tokens": "output tokens",
    "length": "output length",
}
RATIOS = frozenset({"latency", "cost", "tokens", "length"})
_ENDED = {
    "verdict": "stopped when the verdict was in",
    "all": "all inputs were answered",
    "budget": "the budget ended it first",
    "interrupted": "interrupted",
    "failures": "call after call failed",
    "live": "it goes on",
    None: "under way, or killed",
}
MODES = {
    "replay": "both asked now",
    "recorded": "the control as it was answered then: drift of its provider is mixed in",
    "aa": "one version against itself: its noise",
    "live": "behind live traffic",
}


def headline(found: Comparison) -> str:
    return f"{found.candidate.label} against {found.control.label}: {found.verdict}"


def basis(found: Comparison) -> str:
    """How much it rests on, and why it ended."""
    parts = [
        f"{found.pairs:,} of {found.planned:,} pairs, {_ENDED[found.stopped]}",
        *([] if found.mode == "live" else [f"order of calls drawn with seed {found.seed}"]),
        MODES[found.mode],
        f"{usd(found.spent_usd)} spent",
    ]
    return "; ".join(parts)


def notes(found: Comparison) -> Iterator[str]:
    left = found.left
    if left.incompatible:
        yield f"{_inputs(left.incompatible)} left out that a version does not accept, for example:"
        for where, why in left.reasons[:2]:
            yield f"  {where}: {why}"
    if left.without_answer:
        yield f"{_inputs(left.without_answer)} left out whose answer was not kept"
    if left.doubled or left.of_same_unit:
        yield (
            f"of {left.considered:,} runs looked at, {left.doubled:,} have the inputs of a later one and "
            f"{left.of_same_unit:,} are of a unit already taken"
        )
    for arm, counts in found.unanswered.items():
        told = ", ".join(f"{number:,} {error}" for error, number in sorted(counts.items()))
        yield f"calls of the {arm} that no model answered, which are counted apart: {told}"
    if found.worse_slices:
        yield f"worse on {', '.join(found.worse_slices)}, though not on the whole"
    if found.questions[0].name == "errors":
        yield "the prompt has no checks: only errors are compared; --judge compares the answers"
    if found.noise:
        yield (
            f"noise floor: {percent(found.noise['answers_differ'])} of the answers differ, "
            f"{percent(found.noise['meaning_differs'])} in more than form, "
            f"{percent(found.noise['flips'])} flip"
        )


def _inputs(number: int) -> str:
    return "1 input" if number == 1 else f"{number:,} inputs"


def alike(found: Likeness) -> str:
    if not found.pairs:
        return "no answers to hold side by side"
    shares = [f"{percent(count / found.pairs)} {name}" for count, name in (
        (found.equal, "the same to the letter"), (found.normalised, "but for case and blanks"),
        (found.semantic, "in meaning"),
    )]  # fmt: skip
    return f"answers: {', '.join(shares)}; overlap of words {found.overlap or 0:.2f}{_closeness(found)}"


def _closeness(found: Likeness) -> str:
    close = found.closeness
    if close is None:
        return ""
    told = f"; {close.model} finds {close.alike:,} of {close.pairs:,} alike (cosine from {close.threshold:g})"
    return told if close.cosine is None else f"{told}; mean cosine {close.cosine:.2f} where words differ"


def value(question: Question, number: float | None) -> str:
    """A rate or a median, as the question has it."""
    if number is None:
        return NOTHING
    match question.name:
        case "latency":
            return milliseconds(number)
        case "cost":
            return usd(number)
        case "tokens" | "length":
            return whole(number)
    return percent(number)


def bounds(question: Question) -> str:
    """The confidence sequence: in points, or as a ratio."""
    if question.name in RATIOS:
        low = "…" if question.low < 1 / 60 else f"{question.low:.2f}"
        return f"{low} to {'…' if question.high > 60 else f'{question.high:.2f}'} ×"  # noqa: PLR2004
    return f"{_points(question.low)} to {_points(question.high)} points"


def _points(number: float) -> str:
    return f"{sign(number)}{abs(100 * number):.1f}"


def limit(question: Question) -> str:
    return f"{question.margin:.2f} ×" if question.name in RATIOS else f"{100 * question.margin:g} points"


def inputs_line(inputs: Mapping[str, Any], longest: int = 100) -> str:
    told = ", ".join(f"{name}={shown(each, longest)}" for name, each in inputs.items())
    return one_line(told)[:longest]


def answer(side: Side, longest: int | None = None) -> str:
    text = side.output if side.output is not None else "; ".join(side.problems) or "(not kept)"
    return text if longest is None else one_line(text)[:longest]


def why(pair: Pair) -> str:
    """What the worse side failed."""
    side = pair.candidate if pair.control.passed else pair.control
    return one_line("; ".join(side.problems))


# ---- the rows of tables, the same in every form


def question_rows(found: Comparison) -> list[tuple[str, ...]]:
    """Name, control, candidate, bounds, limit, verdict."""
    return [
        (
            NAMES[each.name],
            value(each, each.control),
            value(each, each.candidate),
            bounds(each),
            limit(each),
            each.verdict,
        )
        for each in found.questions
    ]


def slice_rows(found: Comparison, most: int) -> list[tuple[str, ...]]:
    """Name, pairs, difference in passes, broke, fixed, adjusted p; the worst first."""
    slices = sorted([*found.tags, *found.checks], key=lambda each: each.difference)[:most]
    return [
        (
            each.name,
            f"{each.pairs:,}",
            points(each.difference),
            f"{each.broke:,}",
            f"{each.fixed:,}",
            f"{each.p_adjusted:.3f}",
        )
        for each in slices
    ]


def overview_rows(found: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """Candidate, verdict, pairs, bounds, broke, fixed; and what the judge says, where one was asked."""
    judged = any(map(judge_of, found))
    return [
        (
            each.candidate.label,
            each.verdict,
            f"{each.pairs:,}",
            bounds(each.questions[0]),
            f"{each.broke_total:,}",
            f"{each.fixed_total:,}",
            *([judge_of(each) or NOTHING] if judged else []),
        )
        for each in found
    ]


def overview_heads(found: Sequence[Comparison], *heads: str) -> tuple[str, ...]:
    """The heads of ``overview_rows``; the last is the judge's."""
    return heads if any(map(judge_of, found)) else heads[:-1]


def judge_of(found: Comparison) -> str:
    """What a judge of pairs says; empty where none was asked."""
    return next((each.verdict for each in found.questions if each.name == "judge"), "")

"""What all forms say in the same words."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.numbers import (
    NO_VALUE,
    format_difference_interval,
    format_integer,
    format_milliseconds,
    format_percent,
    format_points,
    format_ratio_interval,
    format_usd,
)
from promptops.console import pluralize
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import MetricComparison, ShadowComparison
from promptops.evaluation.shadow.similarity import OutputSimilarity

METRIC_LABELS = {
    "checks": "fails checks",
    "errors": "errors",
    "judge": "judged pairs",
    "unanswered": "unanswered",
    "latency": "latency",
    "cost": "cost per call",
    "tokens": "output tokens",
    "length": "output length",
}
RATIO_METRICS = frozenset({"latency", "cost", "tokens", "length"})
_STOP_TEXTS = {
    "verdict": "stopped when the verdict was in",
    "all": "all inputs were answered",
    "budget": "the budget ended it first",
    "interrupted": "interrupted",
    "failures": "call after call failed",
    "live": "it goes on",
    None: "under way, or killed",
}
MODE_TEXTS = {
    "replay": "both asked now",
    "recorded": "the control as it was answered then: drift of its provider is mixed in",
    "aa": "one version against itself: its noise",
    "live": "behind live traffic",
}


def shadow_headline(found: ShadowComparison) -> str:
    return f"{found.candidate.label} against {found.control.label}: {found.verdict}"


def shadow_sample_size(found: ShadowComparison) -> str:
    """How much it rests on, and why it ended."""
    parts = [
        f"{found.pairs:,} of {found.planned:,} pairs, {_STOP_TEXTS[found.stopped]}",
        *([] if found.mode == "live" else [f"order of calls drawn with seed {found.seed}"]),
        MODE_TEXTS[found.mode],
        f"{format_usd(found.spent_usd)} spent",
    ]
    return "; ".join(parts)


def shadow_notes(found: ShadowComparison) -> Iterator[str]:
    left = found.left
    if left.incompatible:
        yield f"{pluralize(left.incompatible, 'input')} left out that a version does not accept, for example:"
        for where, why in left.reasons[:2]:
            yield f"  {where}: {why}"
    if left.without_answer:
        yield f"{pluralize(left.without_answer, 'input')} left out whose answer was not kept"
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
            f"noise floor: {format_percent(found.noise['answers_differ'])} of the answers differ, "
            f"{format_percent(found.noise['meaning_differs'])} in more than form, "
            f"{format_percent(found.noise['flips'])} flip"
        )


def similarity_text(found: OutputSimilarity) -> str:
    if not found.pairs:
        return "no answers to hold side by side"
    shares = [f"{format_percent(count / found.pairs)} {name}" for count, name in (
        (found.equal, "the same to the letter"), (found.normalised, "but for case and blanks"),
        (found.semantic, "in meaning"),
    )]  # fmt: skip
    overlap = f"overlap of words {found.overlap or 0:.2f}{_embedding_similarity_text(found)}"
    return f"answers: {', '.join(shares)}; {overlap}"


def _embedding_similarity_text(found: OutputSimilarity) -> str:
    close = found.closeness
    if close is None:
        return ""
    told = f"; {close.model} finds {close.alike:,} of {close.pairs:,} alike (cosine from {close.threshold:g})"
    return told if close.cosine is None else f"{told}; mean cosine {close.cosine:.2f} where words differ"


def format_metric_value(question: MetricComparison, number: float | None) -> str:
    """A rate or a median, as the question has it."""
    if number is None:
        return NO_VALUE
    match question.name:
        case "latency":
            return format_milliseconds(number)
        case "cost":
            return format_usd(number)
        case "tokens" | "length":
            return format_integer(number)
    return format_percent(number)


def format_bounds(question: MetricComparison) -> str:
    """The confidence sequence: in points, or as a ratio."""
    if question.name in RATIO_METRICS:
        return format_ratio_interval(question.low, question.high)
    return f"{format_difference_interval(question.low, question.high)} points"


def format_margin(question: MetricComparison) -> str:
    return (
        f"{question.margin:.2f} ×" if question.name in RATIO_METRICS else f"{100 * question.margin:g} points"
    )


PairGroup = tuple[str, str, Sequence[ShadowPair], int]


def pair_groups(found: ShadowComparison) -> tuple[PairGroup, ...]:
    """Name, title, the pairs that are listed, the worst first, and how many there are."""
    return (
        ("broke", "Broke", found.broke, found.broke_total),
        ("fixed", "Fixed", found.fixed, found.fixed_total),
        ("changed", "Other answers that differ", found.changed, len(found.changed)),
    )


# ---- the rows of tables, the same in every form


def metric_comparison_rows(found: ShadowComparison) -> list[tuple[str, ...]]:
    """Name, control, candidate, bounds, limit, verdict."""
    return [
        (
            METRIC_LABELS[each.name],
            format_metric_value(each, each.control),
            format_metric_value(each, each.candidate),
            format_bounds(each),
            format_margin(each),
            each.verdict,
        )
        for each in found.questions
    ]


def slice_rows(found: ShadowComparison, most: int) -> list[tuple[str, ...]]:
    """Name, pairs, difference in passes, broke, fixed, adjusted p; the worst first."""
    slices = sorted([*found.tags, *found.checks], key=lambda each: each.difference)[:most]
    return [
        (
            each.name,
            f"{each.pairs:,}",
            format_points(each.difference),
            f"{each.broke:,}",
            f"{each.fixed:,}",
            f"{each.p_adjusted:.3f}",
        )
        for each in slices
    ]


def field_rows(found: ShadowComparison) -> list[tuple[str, ...]]:
    """JSON fields: path, pairs in which it differs, examples."""
    return [(each.path, f"{each.pairs:,}", "; ".join(each.examples)) for each in found.likeness.fields]


def overview_rows(found: Sequence[ShadowComparison]) -> list[tuple[str, ...]]:
    """Candidate, verdict, pairs, bounds, broke, fixed; and what the judge says, where one was asked."""
    judged = any(map(judge_verdict, found))
    return [
        (
            each.candidate.label,
            each.verdict,
            f"{each.pairs:,}",
            format_bounds(each.questions[0]),
            f"{each.broke_total:,}",
            f"{each.fixed_total:,}",
            *([judge_verdict(each) or NO_VALUE] if judged else []),
        )
        for each in found
    ]


def overview_headers(found: Sequence[ShadowComparison], *heads: str) -> tuple[str, ...]:
    """The heads of ``overview_rows``; the last is the judge's."""
    return heads if any(map(judge_verdict, found)) else heads[:-1]


def judge_verdict(found: ShadowComparison) -> str:
    """What a judge of pairs says; empty where none was asked."""
    return next((each.verdict for each in found.questions if each.name == "judge"), "")

"""What all forms say in the same words."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.numbers import (
    NO_VALUE,
    format_difference_interval,
    format_integer,
    format_milliseconds,
    format_percent,
    format_ratio_interval,
    format_usd,
)
from promptops.cli.reports.tables import Cell, ReportTable, plain_cells, verdict_cell
from promptops.console import pluralize
from promptops.evaluation.result import Slice
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
_MAX_FIELDS = 15
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
    """The confidence sequence: in the unit of the limit, or as a ratio."""
    if question.name in RATIO_METRICS:
        return format_ratio_interval(question.low, question.high)
    return format_difference_interval(question.low, question.high)


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


# ---- tables


def metrics_table(found: ShadowComparison) -> ReportTable:
    rows = [
        [
            *plain_cells(
                METRIC_LABELS[each.name],
                format_metric_value(each, each.control),
                format_metric_value(each, each.candidate),
                format_bounds(each),
                format_margin(each),
            ),
            verdict_cell(each.verdict),
        ]
        for each in found.questions
    ]
    heads = plain_cells("", "control", "candidate", "worse by (95 %)", "limit", "verdict")
    return ReportTable(
        caption="Control and candidate", headers=heads, rows=rows, words=frozenset({0, len(heads) - 1})
    )


def slices_worst_first(found: ShadowComparison) -> list[tuple[str, Slice]]:
    kinds = [("tag", one) for one in found.tags] + [("check", one) for one in found.checks]
    return sorted(kinds, key=lambda pair: pair[1].difference)


def fields_table(found: ShadowComparison) -> ReportTable:
    """JSON fields: path, pairs in which it differs, examples."""
    rows = [
        [Cell(each.path, code=True), Cell(f"{each.pairs:,}"), Cell("; ".join(each.examples), code=True)]
        for each in found.likeness.fields[:_MAX_FIELDS]
    ]
    return ReportTable(
        caption="JSON fields that differ",
        headers=plain_cells("field", "pairs", "such as"),
        rows=rows,
        words=frozenset({0, 2}),
    )


def common_model(found: Sequence[ShadowComparison]) -> str:
    """The model that all candidates run on; empty where they differ."""
    models = {each.candidate.model for each in found}
    return models.pop() if len(models) == 1 else ""


def overview_table(found: Sequence[ShadowComparison]) -> ReportTable:
    """A row for each prompt; with what the judge says where one was asked."""
    judged, moved = any(map(judge_verdict, found)), common_model(found)
    rows = [
        [
            Cell(each.prompt if moved else each.candidate.label, code=True),
            verdict_cell(each.verdict),
            *plain_cells(
                f"{each.pairs:,}",
                format_bounds(each.questions[0]),
                f"{each.broke_total:,}",
                f"{each.fixed_total:,}",
            ),
            *[verdict_cell(judge_verdict(each) or NO_VALUE)] * judged,
        ]
        for each in found
    ]
    heads = ["candidate", "verdict", "pairs", "fails more by, points", "broke", "fixed"]
    heads += ["judged"] * judged
    return ReportTable(
        caption="Which prompts survive", headers=plain_cells(*heads), rows=rows, words=frozenset({0, 1, 6})
    )


def judge_verdict(found: ShadowComparison) -> str:
    """What a judge of pairs says; empty where none was asked."""
    return next((each.verdict for each in found.questions if each.name == "judge"), "")

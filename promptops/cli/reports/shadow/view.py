"""What all forms say in the same words."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.tables import Cell, ReportTable, plain_cells, verdict_cell
from promptops.escapes import escape_line
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import ExclusionCounts, MetricComparison, ShadowComparison
from promptops.evaluation.shadow.similarity import OutputSimilarity
from promptops.reports.numbers import (
    NO_VALUE,
    format_difference_interval,
    format_integer,
    format_milliseconds,
    format_percent,
    format_ratio_interval,
    format_usd,
    pluralize,
)
from promptops.stats.sequential_pairs import ALPHA

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
_MAX_THIN = 3  # slices with too few pairs that are spoken of
RATIO_METRICS = frozenset({"latency", "cost", "tokens", "length"})
_STOP_TEXTS = {
    "verdict": "stopped when the verdict was in",
    "all": "all inputs were answered",
    "shard": "one shard of them: the same command without --shard compares all",
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


def shadow_verdict(one: ShadowComparison) -> str:
    """The word, and what else is shown to be worse: "not worse on checks, worse on judge"."""
    first, *others = (each for each in one.questions if each.name not in RATIO_METRICS)
    proven = (
        each.name
        for each in others
        if each.verdict == "worse" and each.e_values.get("worse", 0.0) >= len(others) / ALPHA
    )
    worse = ", ".join(proven)
    return f"{one.verdict} on {first.name}, worse on {worse}" if worse else one.verdict


def shadow_headline(one: ShadowComparison) -> str:
    return f"{one.candidate.label} against {one.control.label}: {shadow_verdict(one)}"


def shadow_sample_size(one: ShadowComparison) -> str:
    """How much it rests on, and why it ended."""
    parts = [
        f"{one.pairs:,} of {one.planned:,} pairs, {_STOP_TEXTS[one.stopped]}",
        *([] if one.mode == "live" else [f"order of calls drawn with seed {one.seed}"]),
        MODE_TEXTS[one.mode],
        f"{format_usd(one.spent_usd)} spent",
    ]
    return "; ".join(parts)


def shadow_notes(one: ShadowComparison) -> Iterator[str]:
    yield from _left_out(one.left)
    for arm, counts in one.unanswered.items():
        errors = ", ".join(f"{number:,} {error}" for error, number in sorted(counts.items()))
        yield f"calls of the {arm} that no model answered, which are counted apart: {errors}"
    for arm, count in one.truncated.items():
        yield (
            f"{pluralize(count, 'answer')} of the {arm} cut off at the most tokens allowed: "
            "raise parameters.max_tokens"
        )
    if one.worse_slices:
        yield f"worse on {', '.join(one.worse_slices)}, though not on the whole"
    yield from map(escape_line, one.thin_slices[:_MAX_THIN])
    if one.questions[0].name == "errors":
        yield "the prompt has no checks: only errors are compared; --judge compares the answers"
    if one.noise:
        yield (
            f"noise floor: {format_percent(one.noise['answers_differ'])} of the answers differ, "
            f"{format_percent(one.noise['meaning_differs'])} in more than form, "
            f"{format_percent(one.noise['flips'])} flip"
        )


def _left_out(left: ExclusionCounts) -> Iterator[str]:
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
    if left.redacted:
        yield f"{pluralize(left.redacted, 'input')} left out as redacted; --select redacted=yes takes them"


def similarity_text(similarity: OutputSimilarity) -> str:
    if not similarity.pairs:
        return "no answers to hold side by side"
    shares = [f"{format_percent(count / similarity.pairs)} {name}" for count, name in (
        (similarity.equal, "the same to the letter"), (similarity.normalised, "but for case and blanks"),
        (similarity.semantic, "in meaning"),
    )]  # fmt: skip
    overlap = f"overlap of words {similarity.overlap or 0:.2f}{_embedding_similarity_text(similarity)}"
    return f"answers: {', '.join(shares)}; {overlap}"


def _embedding_similarity_text(similarity: OutputSimilarity) -> str:
    close = similarity.closeness
    if close is None:
        return ""
    text = f"; {close.model} finds {close.alike:,} of {close.pairs:,} alike (cosine from {close.threshold:g})"
    return text if close.cosine is None else f"{text}; mean cosine {close.cosine:.2f} where words differ"


def format_metric_value(metric: MetricComparison, number: float | None) -> str:
    """A rate or a median, as the metric has it."""
    if number is None:
        return NO_VALUE
    match metric.name:
        case "latency":
            return format_milliseconds(number)
        case "cost":
            return format_usd(number)
        case "tokens" | "length":
            return format_integer(number)
    return format_percent(number)


def format_bounds(metric: MetricComparison) -> str:
    """The confidence sequence: in the unit of the limit, or as a ratio."""
    if metric.name in RATIO_METRICS:
        return format_ratio_interval(metric.low, metric.high)
    return format_difference_interval(metric.low, metric.high)


def format_margin(metric: MetricComparison) -> str:
    return f"{metric.margin:.2f} ×" if metric.name in RATIO_METRICS else f"{100 * metric.margin:g} points"


PairGroup = tuple[str, str, Sequence[ShadowPair], int]


def pair_groups(one: ShadowComparison) -> tuple[PairGroup, ...]:
    """Name, title, the pairs that are listed, the worst first, and how many there are."""
    return (
        ("broke", "Broke", one.broke, one.broke_total),
        ("fixed", "Fixed", one.fixed, one.fixed_total),
        ("changed", "Other answers that differ", one.changed, len(one.changed)),
    )


# ---- tables


def metrics_table(one: ShadowComparison) -> ReportTable:
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
        for each in one.questions
    ]
    heads = plain_cells("", "control", "candidate", "worse by (95 %)", "limit", "verdict")
    return ReportTable(
        caption="Control and candidate", headers=heads, rows=rows, words=frozenset({0, len(heads) - 1})
    )


def fields_table(one: ShadowComparison) -> ReportTable:
    """JSON fields: path, pairs in which it differs, examples."""
    rows = [
        [Cell(each.path, code=True), Cell(f"{each.pairs:,}"), Cell("; ".join(each.examples), code=True)]
        for each in one.likeness.fields[:_MAX_FIELDS]
    ]
    return ReportTable(
        caption="JSON fields that differ",
        headers=plain_cells("field", "pairs", "such as"),
        rows=rows,
        words=frozenset({0, 2}),
    )


def common_model(comparisons: Sequence[ShadowComparison]) -> str:
    """The model that all candidates run on; empty where they differ."""
    models = {each.candidate.model for each in comparisons}
    return models.pop() if len(models) == 1 else ""


def overview_table(comparisons: Sequence[ShadowComparison]) -> ReportTable:
    """A row for each prompt; with what the judge says where one was asked."""
    judged, moved = any(map(judge_verdict, comparisons)), common_model(comparisons)
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
        for each in comparisons
    ]
    heads = ["candidate", "verdict", "pairs", "fails more by, points", "broke", "fixed"]
    heads += ["judged"] * judged
    return ReportTable(
        caption="Which prompts survive", headers=plain_cells(*heads), rows=rows, words=frozenset({0, 1, 6})
    )


def judge_verdict(one: ShadowComparison) -> str:
    """What a judge of pairs says; empty where none was asked."""
    return next((each.verdict for each in one.questions if each.name == "judge"), "")

"""An eval as a person reads it in a terminal."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import report_failure, report_flip
from promptops.cli.reports.cases.text import case_group_lines
from promptops.cli.reports.eval.view import (
    MetricRow,
    eval_headline,
    eval_notes,
    eval_sample_size,
    failed_cases,
    flaky_cases,
    metric_rows,
    score_lines,
    side_role,
    slice_warning,
    slices_worst_first,
)
from promptops.cli.reports.labels import VERDICT_MARKS
from promptops.cli.reports.lines import plain_text, wrapped
from promptops.cli.reports.numbers import (
    format_difference_interval,
    format_p_value,
    format_points,
    format_rate_interval,
)
from promptops.console import StyledLine, escape_line
from promptops.evaluation.result import EvalResult, VariantResult

_MAX_CASES = 10
_MAX_SLICES = 12
_MAX_FLAKY = 10


def render_eval_table(result: EvalResult, width: int = 80) -> str:
    return plain_text(eval_table_lines(result, width))


def eval_table_lines(result: EvalResult, width: int = 80) -> Iterator[StyledLine]:
    """Lines of pieces, each with the name of its colour or ""; none is wider than ``width`` columns."""
    yield from _head(result, width)
    yield from _sides(result, width)
    yield from _slices(result, width)
    yield from _scores(result, width)
    yield from _cases(result, width)
    yield from _flaky(result, width)


def _head(result: EvalResult, width: int) -> Iterator[StyledLine]:
    verdict = result.comparison.verdict if result.comparison else ""
    lead = verdict.upper() + ": " if verdict else ""
    colour = VERDICT_MARKS[verdict][1] if verdict in VERDICT_MARKS else "bold"
    for index, ((text, _),) in enumerate(wrapped(lead + eval_headline(result), width)):
        start = lead if index == 0 else ""
        yield [(start, colour), (text[len(start) :], "bold")]
    if warning := slice_warning(result):
        yield from wrapped(f"But {warning}.", width, "red")
    for text in [eval_sample_size(result), *eval_notes(result)]:
        yield from wrapped(text, width, "dim")


# ---- sides


def _sides(result: EvalResult, width: int) -> Iterator[StyledLine]:
    yield []
    if len(result.sides) <= 2:  # noqa: PLR2004 - side by side, the eye compares
        yield from _columns(result, width)
    else:
        yield from _rows(result, width)


def _columns(result: EvalResult, width: int) -> Iterator[StyledLine]:
    sides, shown = result.sides, metric_rows(result.sides)
    first = max(len("95 % interval"), *(len(metric.name) for metric in shown))
    room = (width - first - 2 - (14 if len(sides) > 1 else 0)) // len(sides) - 2
    names = [escape_line(side.label, room) for side in sides]
    roles = [side_role(index, result) for index in range(len(sides))]
    rows = [
        (metric.name, [metric.text(side) for side in sides], _change(metric, sides), "") for metric in shown
    ]
    rows.insert(1, ("95 % interval", [format_rate_interval(side.overall) for side in sides], ("", ""), "dim"))
    if any(side.pareto for side in sides):
        rows.append(("Pareto front", ["yes" if side.pareto else "" for side in sides], ("", ""), ""))
    cells = [len(cell) for _, texts, _, _ in rows for cell in texts]
    column = max([*cells, *map(len, names), *map(len, roles)])
    for texts in (roles, names):
        if any(texts):
            yield [(" " * first, ""), *(("  " + text.rjust(column), "bold") for text in texts)]
    for name, texts, (change, colour), fade in rows:
        row = "".join(f"  {text.rjust(column)}" for text in texts)
        yield [(name.ljust(first), "dim"), (row, fade), (f"  {change:>12}".rstrip(), colour)]


def _change(metric: MetricRow, sides: Sequence[VariantResult]) -> tuple[str, str]:
    difference = metric.difference(sides[0], sides[1]) if len(sides) > 1 else None
    told = metric.told(difference)
    if not difference or told == "same" or told.startswith("±"):
        return told, "dim"
    return told, "green" if difference * metric.better > 0 else "red"


def _rows(result: EvalResult, width: int) -> Iterator[StyledLine]:
    """A row for each side, named on a line of its own where the numbers leave no room."""
    shown = [metric for metric in metric_rows(result.sides) if metric.name != "tokens per passed"]
    head = ["PASSED", "INTERVAL", *(metric.short for metric in shown[1:])]
    cells = [
        [
            shown[0].text(side),
            format_rate_interval(side.overall),
            *(metric.text(side) for metric in shown[1:]),
        ]
        for side in result.sides
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    while sum(widths) + 2 * len(widths) > width and len(widths) > 2:  # noqa: PLR2004 - the rate stays
        widths.pop()
    marked = ["* " if side.pareto else "  " for side in result.sides]
    labels = [
        mark + escape_line(side.label, width - 2) for mark, side in zip(marked, result.sides, strict=True)
    ]
    first = max(map(len, labels))
    inline = first + sum(widths) + 2 * len(widths) <= width
    indent = " " * first if inline else ""
    yield [(indent + _right_aligned(head, widths), "dim")]
    for label, texts in zip(labels, cells, strict=True):
        if inline:
            yield [(label.ljust(first), "bold"), (_right_aligned(texts, widths), "")]
        else:
            yield [(label, "bold")]
            yield [(_right_aligned(texts, widths), "")]
    if any(side.pareto for side in result.sides):
        yield [("* on the Pareto front: no other side is both better and cheaper", "dim")]


def _right_aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"  {text.rjust(size)}" for text, size in zip(texts, widths, strict=False))


# ---- slices


def _slices(result: EvalResult, width: int) -> Iterator[StyledLine]:
    found = slices_worst_first(result.comparison) if result.comparison else []
    if not found:
        return
    yield []
    name = min(max(22, width - 58), max(len(escape_line(one.name)) + 6 for _, one in found[:_MAX_SLICES]))
    yield [(f"{'SLICE'.ljust(name)}     CHANGE             95 %  BROKE  FIXED  ADJUSTED P", "dim")]
    for kind, one in found[:_MAX_SLICES]:
        label = escape_line(f"{kind} {one.name}", name).ljust(name)
        spread = format_difference_interval(one.low, one.high)
        colour = "red" if one.difference < 0 else "green" if one.difference > 0 else ""
        change = format_points(one.difference).removesuffix(" points")
        yield [
            (f"{label}  ", ""),
            (change.rjust(9), colour),
            (
                f"  {spread.rjust(15)}  {one.broke:>5}  {one.fixed:>5}  {format_p_value(one.p_adjusted):>10}",
                "",
            ),
        ]
    if len(found) > _MAX_SLICES:
        yield [(f"and {len(found) - _MAX_SLICES} more that changed less", "dim")]


def _scores(result: EvalResult, width: int) -> Iterator[StyledLine]:
    said = list(score_lines(result.comparison)) if result.comparison else []
    for index, text in enumerate(said[:_MAX_SLICES]):
        if index == 0:
            yield []
        yield from wrapped(text, width)


# ---- cases


def _cases(result: EvalResult, width: int) -> Iterator[StyledLine]:
    if result.comparison is None:
        failed = [report_failure(case, trial) for case, trial in failed_cases(result)]
        overall = result.sides[0].overall
        total = overall.counted - overall.passed if failed else 0
        yield from case_group_lines("failed", "red", failed, total, width=width, most=_MAX_CASES)
        return
    whole = result.comparison.whole
    for title, colour, flips, total in (
        ("broke", "red", result.comparison.broke, whole.broke),
        ("fixed", "green", result.comparison.fixed, whole.fixed),
    ):
        reports = list(map(report_flip, flips))
        yield from case_group_lines(title, colour, reports, total, width=width, most=_MAX_CASES)


def _flaky(result: EvalResult, width: int) -> Iterator[StyledLine]:
    found = flaky_cases(result)
    if not found:
        return
    yield []
    yield [(f"flaky {len(found):,}", "yellow"), (" (passed and failed on the same input)", "dim")]
    for case, rates in found[:_MAX_FLAKY]:
        said = "  ".join(rate or "-" for rate in rates)
        yield [(f"  {escape_line(case.case_id, width - len(said) - 6)}", ""), (f"  {said} passed", "dim")]
    if len(found) > _MAX_FLAKY:
        yield [(f"  and {len(found) - _MAX_FLAKY:,} more", "dim")]

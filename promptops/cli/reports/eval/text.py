"""An eval as a person reads it in a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptops.cli.reports.eval.view import (
    MetricRow,
    differing_excerpts,
    eval_headline,
    eval_inputs_line,
    eval_notes,
    eval_sample_size,
    failed_cases,
    flaky_cases,
    metric_rows,
    score_lines,
    side_role,
    single_line,
    slice_warning,
    slices_worst_first,
    trial_answer,
    trial_failures,
    value_text,
)
from promptops.cli.reports.numbers import (
    format_difference_interval,
    format_p_value,
    format_points,
    format_rate_interval,
)
from promptops.evaluation.result import CaseFlip, EvalResult, VariantResult

StyledLine = list[tuple[str, str]]
_MAX_FLIPS = 10
_MAX_SLICES = 12
_MAX_FLAKY = 10
_VERDICTS = {"worse": "red", "better": "green", "not worse": "green", "undecided": "yellow"}


def render_eval_table(result: EvalResult, width: int = 80) -> str:
    return "\n".join("".join(text for text, _ in pieces) for pieces in eval_table_lines(result, width)) + "\n"


def eval_table_lines(result: EvalResult, width: int = 80) -> Iterator[StyledLine]:
    """Lines of pieces, each with the name of its colour or ""; none is wider than ``width`` columns."""
    yield from _head(result, width)
    yield from _sides(result, width)
    yield from _slices(result, width)
    yield from _scores(result, width)
    yield from _flips(result, width)
    yield from _failed(result, width)
    yield from _flaky(result, width)


def _head(result: EvalResult, width: int) -> Iterator[StyledLine]:
    verdict = result.comparison.verdict if result.comparison else ""
    lead = verdict.upper() + ": " if verdict else ""
    for index, text in enumerate(_wrapped(lead + eval_headline(result), width)):
        start = lead if index == 0 else ""
        yield [(start, _VERDICTS.get(verdict, "bold")), (text[len(start) :], "bold")]
    if said := slice_warning(result):
        yield from ([(text, "red")] for text in _wrapped(f"But {said}.", width))
    for text in [eval_sample_size(result), *eval_notes(result)]:
        yield from ([(part, "dim")] for part in _wrapped(text, width))


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


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
    names = [single_line(side.label, room) for side in sides]
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
        mark + single_line(side.label, width - 2) for mark, side in zip(marked, result.sides, strict=True)
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
    name = min(max(22, width - 58), max(len(single_line(one.name)) + 6 for _, one in found[:_MAX_SLICES]))
    yield [(f"{'SLICE'.ljust(name)}     CHANGE             95 %  BROKE  FIXED  ADJUSTED P", "dim")]
    for kind, one in found[:_MAX_SLICES]:
        label = single_line(f"{kind} {one.name}", name).ljust(name)
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
        yield from ([(part, "")] for part in _wrapped(text, width))


# ---- cases


def _flips(result: EvalResult, width: int) -> Iterator[StyledLine]:
    if not result.comparison:
        return
    whole = result.comparison.whole
    yield from _group("broke", "red", result.comparison.broke, whole.broke, width)
    yield from _group("fixed", "green", result.comparison.fixed, whole.fixed, width)


def _group(
    title: str, colour: str, flips: Sequence[CaseFlip], total: int, width: int
) -> Iterator[StyledLine]:
    total = max(total, len(flips))
    if not total:
        return
    yield []
    yield [(f"{title} {total:,}", colour)]
    for flip in flips[:_MAX_FLIPS]:
        yield from _flip(flip, width)
    yield from _more_line(total, len(flips))


def _more_line(total: int, listed: int) -> Iterator[StyledLine]:
    if total > (shown := min(listed, _MAX_FLIPS)):
        where = ": --format html shows more" if listed > shown else ""
        yield [(f"  and {total - shown:,} more{where}", "dim")]


def _flip(flip: CaseFlip, width: int) -> Iterator[StyledLine]:
    room = width - 6
    old, new = differing_excerpts(flip, room)
    yield _case_title(flip.case_id, flip.tags, width)
    yield from _case_inputs(flip.inputs, flip.expected, room)
    yield [("    - ", "dim"), (old, "" if flip.control.passed else "red")]
    yield from _reasons(trial_failures(flip.control), width)
    yield [("    + ", "dim"), (new, "" if flip.candidate.passed else "red")]
    yield from _reasons(trial_failures(flip.candidate), width)


def _case_title(case_id: str, tags: Iterable[str], width: int) -> StyledLine:
    name = single_line(case_id, width // 2)
    room = width - len(name) - 4
    return [(f"  {name}", "bold"), (f"  {single_line(', '.join(tags), room)}".rstrip(), "dim")]


def _case_inputs(inputs: Mapping[str, Any], expected: object, room: int) -> Iterator[StyledLine]:
    if inputs:
        yield [(f"      {eval_inputs_line(inputs, room)}", "dim")]
    if expected is not None:
        yield [("      expected ", "dim"), (single_line(value_text(expected), room - 9), "")]


def _reasons(reasons: Sequence[str], width: int) -> Iterator[StyledLine]:
    for reason in reasons[:3]:
        yield [(f"        {single_line(reason, width - 8)}", "yellow")]


def _failed(result: EvalResult, width: int) -> Iterator[StyledLine]:
    found = failed_cases(result)
    if not found:
        return
    total = max(len(found), result.sides[0].overall.counted - result.sides[0].overall.passed)
    yield []
    yield [(f"failed {total:,}", "red")]
    for case, trial in found[:_MAX_FLIPS]:
        yield _case_title(case.case_id, case.tags, width)
        yield from _case_inputs(case.inputs, case.expected, width - 6)
        yield [("    = ", "dim"), (single_line(trial_answer(trial), width - 6), "red")]
        yield from _reasons(trial_failures(trial), width)
    yield from _more_line(total, len(found))


def _flaky(result: EvalResult, width: int) -> Iterator[StyledLine]:
    found = flaky_cases(result)
    if not found:
        return
    yield []
    yield [(f"flaky {len(found):,}", "yellow"), (" (passed and failed on the same input)", "dim")]
    for case, rates in found[:_MAX_FLAKY]:
        said = "  ".join(rate or "-" for rate in rates)
        yield [(f"  {single_line(case.case_id, width - len(said) - 6)}", ""), (f"  {said} passed", "dim")]
    if len(found) > _MAX_FLAKY:
        yield [(f"  and {len(found) - _MAX_FLAKY:,} more", "dim")]

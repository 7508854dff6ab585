"""An eval as a person reads it in a terminal."""

from collections.abc import Iterator

from promptops.cli.reports.cases import report_failure, report_flip
from promptops.cli.reports.cases.text import case_group_lines
from promptops.cli.reports.eval.view import (
    eval_headline,
    eval_notes,
    eval_sample_size,
    failed_cases,
    flaky_cases,
    score_lines,
    sides_table,
    slice_warning,
)
from promptops.cli.reports.lines import plain_text, table_lines, wrapped
from promptops.cli.reports.tables import slices_table
from promptops.console import StyledLine, stdout_supports_colour
from promptops.escapes import escape_line
from promptops.evaluation.result import EvalResult
from promptops.reports.labels import VERDICT_MARKS

_MAX_CASES = 10
_MAX_SIDES = 50
_MAX_SLICES = 12
_MAX_FLAKY = 10


def render_eval_table(result: EvalResult, width: int = 80) -> str:
    return plain_text(eval_table_lines(result, width))


def eval_table_lines(result: EvalResult, width: int = 80, *, answers: bool = False) -> Iterator[StyledLine]:
    """Lines of pieces, each with the name of its colour or ""; none is wider than ``width`` columns."""
    yield from _head(result, width)
    yield from _tables(result, width)
    yield from _scores(result, width)
    if answers:
        from promptops.cli.reports.eval.answers import answers_lines

        yield from answers_lines(result, width, marks=not stdout_supports_colour())
    else:
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


def _tables(result: EvalResult, width: int) -> Iterator[StyledLine]:
    yield []
    yield from table_lines(sides_table(result, _MAX_SIDES), width)
    if result.comparison is None:
        return
    slices = slices_table(result.comparison.tags, result.comparison.checks, _MAX_SLICES)
    if slices.rows:
        yield []
        yield from table_lines(slices, width)


def _scores(result: EvalResult, width: int) -> Iterator[StyledLine]:
    texts = list(score_lines(result.comparison)) if result.comparison else []
    for index, text in enumerate(texts[:_MAX_SLICES]):
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
    cases = flaky_cases(result)
    if not cases:
        return
    yield []
    yield [(f"flaky {len(cases):,}", "yellow"), (" (passed and failed on the same input)", "dim")]
    for case, rates in cases[:_MAX_FLAKY]:
        trials = "  ".join(rate or "-" for rate in rates)
        yield [(f"  {escape_line(case.case_id, width - len(trials) - 6)}", ""), (f"  {trials} passed", "dim")]
    if len(cases) > _MAX_FLAKY:
        yield [(f"  and {len(cases) - _MAX_FLAKY:,} more", "dim")]

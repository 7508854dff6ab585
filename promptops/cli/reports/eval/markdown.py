"""An eval as a comment under a pull request."""

from collections.abc import Iterator

from promptops.cli.reports.cases import report_failure, report_flip
from promptops.cli.reports.cases.markdown import case_sections
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
from promptops.cli.reports.markdown import CommentSection, code_line, prose, render_comment, table_markdown
from promptops.cli.reports.tables import slices_table
from promptops.evaluation.result import EvalResult
from promptops.reports.labels import VERDICT_SYMBOLS

_MAX_CHANGES = 20
_MAX_SLICES = 15
_MAX_FLAKY = 10
_MAX_SIDES = 20


def render_eval_markdown(result: EvalResult) -> str:
    head = "\n".join(_head(result)) + "\n"
    tail = f"\n<sub>{code_line(result.eval_id)}, cases {code_line(result.cases_hash[:12])}</sub>\n"
    return render_comment("eval", head, _sections(result), tail)


# ---- what is always said


def _head(result: EvalResult) -> Iterator[str]:
    verdict = result.comparison.verdict if result.comparison else ""
    prompt = code_line(result.sides[0].prompt, 80)
    symbol = VERDICT_SYMBOLS.get(verdict)
    yield f"### {symbol} {prompt}: {verdict}" if symbol else f"### Eval of {prompt}"
    yield f"\n**{prose(eval_headline(result), 600)}**\n"
    if warning := slice_warning(result):
        yield f"> [!WARNING]\n> {prose(warning[0].upper() + warning[1:])}.\n"
    yield from (f"_{prose(text)}._  " for text in [eval_sample_size(result), *eval_notes(result)])
    if result.changed:
        yield "\n**What changed**\n"
        yield from (f"- {prose(text, 300)}" for text in result.changed[:_MAX_CHANGES])
    if len(result.changed) > _MAX_CHANGES:
        yield f"- and {len(result.changed) - _MAX_CHANGES} more"
    yield ""
    yield from table_markdown(sides_table(result, _MAX_SIDES))
    if compared := result.comparison:
        slices = slices_table(compared.tags, compared.checks, _MAX_SLICES)
        yield from (
            ["\n**Where it changed**, the most harmed first\n", *table_markdown(slices)]
            if slices.rows
            else []
        )
    if compared and compared.scores:
        yield "\n**Scores**\n"
        yield from (f"- {prose(text)}" for text in [*score_lines(compared)][:_MAX_SLICES])


# ---- what is shown while there is room


def _sections(result: EvalResult) -> Iterator[CommentSection]:
    if result.comparison:
        broke, fixed = (
            list(map(report_flip, flips)) for flips in (result.comparison.broke, result.comparison.fixed)
        )
        yield from case_sections("Broken", "broken cases", broke, result.comparison.whole.broke)
        yield from _flaky(result)
        yield from case_sections("Fixed", "fixed cases", fixed, result.comparison.whole.fixed)
        return
    failed = [report_failure(case, trial) for case, trial in failed_cases(result)]
    yield from case_sections("Failed", "failed cases", failed, len(failed))
    yield from _flaky(result)


def _flaky(result: EvalResult) -> Iterator[CommentSection]:
    cases = flaky_cases(result)
    if not cases:
        return
    rows = [
        f"- {code_line(case.case_id, 60)}: passed "
        + ", ".join(rate.replace("/", " of ") for rate in rates if rate)
        for case, rates in cases[:_MAX_FLAKY]
    ]
    more = len(cases) - _MAX_FLAKY
    rows += [f"- and {more:,} more"] if more > 0 else []
    heading = f"\n#### Flaky: {len(cases):,}\n\n"
    yield CommentSection("\n".join(rows) + "\n", "list of flaky cases", heading)

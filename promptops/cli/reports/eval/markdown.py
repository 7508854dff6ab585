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
    metric_rows,
    score_lines,
    side_role,
    slice_warning,
    slices_worst_first,
)
from promptops.cli.reports.labels import VERDICT_SYMBOLS
from promptops.cli.reports.markdown import CommentSection, code_line, prose, render_comment, table
from promptops.cli.reports.numbers import (
    format_difference_interval,
    format_p_value,
    format_points,
    format_rate_interval,
)
from promptops.evaluation.result import EvalResult

_MAX_CHANGES = 20
_MAX_SLICES = 15
_MAX_FLAKY = 10
_MAX_SIDES = 20
_MAX_METRICS = 40


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
    yield from _sides(result)
    yield from _slices(result)
    if result.comparison and result.comparison.scores:
        yield "\n**Scores**\n"
        yield from (f"- {prose(text)}" for text in [*score_lines(result.comparison)][:_MAX_SLICES])


def _sides(result: EvalResult) -> Iterator[str]:
    if len(result.sides) <= 2:  # noqa: PLR2004 - side by side, the eye compares
        yield from _columns(result)
    else:
        yield from _rows(result)


def _columns(result: EvalResult) -> Iterator[str]:
    sides, change = result.sides, len(result.sides) > 1
    labels = [f"{side_role(i, result)} {code_line(side.label, 80)}" for i, side in enumerate(sides)]
    rows = []
    for metric in metric_rows(sides)[:_MAX_METRICS]:
        texts = [metric.text(side) for side in sides]
        if metric.change == "points":
            texts = [
                f"{text} ({format_rate_interval(side.overall)})"
                for text, side in zip(texts, sides, strict=True)
            ]
        rows.append(
            [metric.name, *texts, *[metric.told(metric.difference(*sides))] * change]
            if change
            else [metric.name, *texts]
        )
    yield from table(["", *labels, *["change"] * change], rows, right=range(1, 4))


def _rows(result: EvalResult) -> Iterator[str]:
    sides = result.sides[:_MAX_SIDES]
    metrics = metric_rows(sides)[:_MAX_METRICS]
    rows = []
    for side in sides:
        rate = f"{metrics[0].text(side)} ({format_rate_interval(side.overall)})"
        texts = [rate, *(metric.text(side) for metric in metrics[1:])]
        rows.append([code_line(side.label, 80), *texts, "★" if side.pareto else ""])
    heads = ["", *(metric.name for metric in metrics), "Pareto front"]
    yield from table(heads, rows, right=range(1, len(metrics) + 1))
    if len(result.sides) > len(sides):
        yield f"\nand {len(result.sides) - len(sides)} more sides"


def _slices(result: EvalResult) -> Iterator[str]:
    slices = slices_worst_first(result.comparison) if result.comparison else []
    if not slices:
        return
    yield "\n**Where it changed**, the most harmed first\n"
    rows = [
        (
            f"{kind} {code_line(one.name, 60)}",
            f"**{format_points(one.difference)}**" if one.difference < 0 else format_points(one.difference),
            format_difference_interval(one.low, one.high),
            str(one.broke),
            str(one.fixed),
            format_p_value(one.p_adjusted).replace("<", "&lt;"),
        )
        for kind, one in slices[:_MAX_SLICES]
    ]
    yield from table(["slice", "change", "95 %", "broke", "fixed", "adjusted p"], rows, right=range(1, 6))
    if len(slices) > _MAX_SLICES:
        yield f"\nand {len(slices) - _MAX_SLICES} more that changed less"


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

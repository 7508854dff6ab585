"""An eval as a comment under a pull request.

GitHub makes mentions, issue links and addresses out of text wherever it stands, escaped or not, but
never inside code. So whatever is not a plain word goes into a code span, ``<code>`` or a fence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape as html_escape
from itertools import groupby
from typing import Any

from promptops.cli.reports.eval.view import (
    escape_unprintable,
    eval_headline,
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
from promptops.cli.reports.markdown import code_span, escape_prose, fence_for
from promptops.cli.reports.numbers import (
    format_difference_interval,
    format_p_value,
    format_points,
    format_rate_interval,
)
from promptops.evaluation.result import CaseFlip, CaseResult, EvalResult, TrialResult
from promptops.prompt.diff.word_diff import Segment, word_diff

MARKER = "<!-- promptops eval -->"  # by which a comment that is to be brought up to date is found
_BARS = re.compile(r"\\*\|")
_MAX_COMMENT_LENGTH = 60_000  # characters; GitHub takes 65,536
_MAX_TEXT_LENGTH = 2_500
_MAX_CHANGES = 20
_MAX_SLICES = 15
_MAX_FLAKY = 10
_MAX_SIDES = 20
_SIGNS = {"worse": "❌", "better": "✅", "not worse": "✅", "undecided": "❔"}


def render_eval_markdown(result: EvalResult) -> str:
    head = "\n".join(_head(result)) + "\n"
    tail = f"\n<sub>{_code_line(result.eval_id)}, cases {_code_line(result.cases_hash[:12])}</sub>\n"
    shown, left = _fit_sections(list(_sections(result)), _MAX_COMMENT_LENGTH - len(head) - len(tail) - 200)
    cut = f"\n_Left out, as the comment would be too long: {', '.join(left)}._\n" if left else ""
    return head + "".join(shown) + cut + tail


Section = tuple[str, str]  # what it is counted as when left out, its text


def _fit_sections(sections: Sequence[Section], room: int) -> tuple[list[str], list[str]]:
    shown: list[str] = []
    left: list[str] = []
    for kind, text in sections:
        room -= len(text)
        if room >= 0 and not left:
            shown.append(text)
        else:
            left.append(kind)
    # headings are counted as ""
    return shown, [f"{len(list(run))} {kind}" for kind, run in groupby(filter(None, left))]


# ---- what is always said


def _head(result: EvalResult) -> Iterator[str]:
    verdict = result.comparison.verdict if result.comparison else ""
    prompt = _code_line(result.sides[0].prompt, 80)
    yield MARKER
    yield f"### {_SIGNS[verdict]} {prompt}: {verdict}" if verdict in _SIGNS else f"### Eval of {prompt}"
    yield f"\n**{markdown_prose(single_line(eval_headline(result), 600))}**\n"
    if said := slice_warning(result):
        yield f"> [!WARNING]\n> {markdown_prose(said[0].upper() + said[1:])}.\n"
    yield from (f"_{markdown_prose(text)}._  " for text in [eval_sample_size(result), *eval_notes(result)])
    if result.changed:
        yield "\n**What changed**\n"
        yield from (f"- {markdown_prose(single_line(text, 300))}" for text in result.changed[:_MAX_CHANGES])
    if len(result.changed) > _MAX_CHANGES:
        yield f"- and {len(result.changed) - _MAX_CHANGES} more"
    yield ""
    yield from _sides(result)
    yield from _slices(result)
    if result.comparison and result.comparison.scores:
        yield "\n**Scores**\n"
        yield from (f"- {markdown_prose(text)}" for text in [*score_lines(result.comparison)][:_MAX_SLICES])


def _sides(result: EvalResult) -> Iterator[str]:
    sides = result.sides[:_MAX_SIDES]
    shown = metric_rows(sides)
    if len(sides) <= 2:  # noqa: PLR2004 - side by side, the eye compares
        change = len(sides) > 1
        roles = [f"{side_role(index, result)} " for index in range(len(sides))]
        yield _row(
            [
                "",
                *(f"{roles[i]}{_code_line(side.label, 80)}" for i, side in enumerate(sides)),
                *["change"] * change,
            ]
        )
        yield _row(["---", *["---:"] * (len(sides) + change)])
        for metric in shown:
            texts = [metric.text(side) for side in sides]
            if metric is shown[0]:
                texts = [
                    f"{text} ({format_rate_interval(side.overall)})"
                    for text, side in zip(texts, sides, strict=True)
                ]
            told = metric.told(metric.difference(*sides)) if change else ""
            yield _row([metric.name, *texts, *[told] * change])
        return
    yield _row(["", *(metric.name for metric in shown), "Pareto front"])
    yield _row(["---", *["---:"] * len(shown), ":---:"])
    for side in sides:
        rate = f"{shown[0].text(side)} ({format_rate_interval(side.overall)})"
        texts = [rate, *(metric.text(side) for metric in shown[1:])]
        yield _row([_code_line(side.label, 80), *texts, "★" if side.pareto else ""])
    if len(result.sides) > len(sides):
        yield f"\nand {len(result.sides) - len(sides)} more sides"


def _slices(result: EvalResult) -> Iterator[str]:
    found = slices_worst_first(result.comparison) if result.comparison else []
    if not found:
        return
    yield "\n**Where it changed**, the most harmed first\n"
    yield _row(["slice", "change", "95 %", "broke", "fixed", "adjusted p"])
    yield _row(["---", *["---:"] * 5])
    for kind, one in found[:_MAX_SLICES]:
        change = (
            f"**{format_points(one.difference)}**" if one.difference < 0 else format_points(one.difference)
        )
        counts = [str(one.broke), str(one.fixed), format_p_value(one.p_adjusted).replace("<", "&lt;")]
        yield _row(
            [
                f"{kind} {_code_line(one.name, 60)}",
                change,
                format_difference_interval(one.low, one.high),
                *counts,
            ]
        )
    if len(found) > _MAX_SLICES:
        yield f"\nand {len(found) - _MAX_SLICES} more that changed less"


def _row(cells: Sequence[str]) -> str:
    # a table is split at its bars before code spans are found, and readers differ on bars behind backslashes
    return f"| {' | '.join(_BARS.sub(_bar, cell) for cell in cells)} |"


def _bar(found: re.Match[str]) -> str:
    return "\\|" if found[0] == "|" else "¦"


# ---- what is shown while there is room


def _sections(result: EvalResult) -> Iterator[Section]:
    if result.comparison:
        whole = result.comparison.whole
        yield from _flips("broken", result.comparison.broke, whole.broke)
        yield from _flaky(result)
        yield from _flips("fixed", result.comparison.fixed, whole.fixed)
        return
    failed = failed_cases(result)
    if failed:
        yield "", f"\n#### Failed: {len(failed):,}\n"
    for case, trial in failed:
        yield "failed cases", _failed(case, trial)
    yield from _flaky(result)


def _flips(kind: str, flips: Sequence[CaseFlip], total: int) -> Iterator[Section]:
    if not flips:
        return
    listed = f", of which {len(flips):,} are listed" if total > len(flips) else ""
    yield "", f"\n#### {kind.capitalize()}: {max(total, len(flips)):,}{listed}\n"
    for flip in flips:
        yield f"{kind} cases", _flip(flip)


def _flip(flip: CaseFlip) -> str:
    old, new = (_truncate(trial_answer(trial)) for trial in (flip.control, flip.candidate))
    reasons = trial_failures(flip.candidate) if flip.control.passed else trial_failures(flip.control)
    body = [
        _case_facts(flip.case_id, flip.inputs, flip.expected),
        *_reasons(reasons),
        '<table><tr><th>control</th><th>candidate</th></tr><tr valign="top">',
        *(f"<td>{cell}</td>" for cell in _side_by_side(word_diff(old, new))),
        "</tr></table>",
    ]
    return _details(_summary(flip.case_id, flip.tags, reasons), body)


def _side_by_side(segments: Sequence[Segment]) -> list[str]:
    """Both texts as HTML, with what only one of them has marked."""
    # struck out is hard to read; where nothing is alike, all would be marked
    alike = any(tag == "=" and text.strip() for tag, text in segments)
    marks = {"=": "{}", "-": "<b>{}</b>", "+": "<b>{}</b>"} if alike else dict.fromkeys("=-+", "{}")
    # without empty lines, which would end the block of HTML
    return [
        "<pre>"
        + "".join(marks[tag].format(_html(text)) for tag, text in segments if tag in shown).replace(
            "\n", "<br>"
        )
        + "</pre>"
        for shown in ("=-", "=+")
    ]


def _failed(case: CaseResult, trial: TrialResult) -> str:
    reasons = trial_failures(trial)
    body = [
        _case_facts(case.case_id, case.inputs, case.expected),
        *_reasons(reasons),
        *fenced_block(_truncate(trial_answer(trial))),
    ]
    return _details(_summary(case.case_id, case.tags, reasons), body)


def _case_facts(case_id: str, inputs: Mapping[str, Any], expected: object) -> str:
    parts = [f"case: {case_id}"] if len(case_id) > 60 else []  # noqa: PLR2004 - the summary shortens it
    parts += [f"{name}: {value_text(value)}" for name, value in inputs.items()]
    if expected is not None:
        parts.append(f"expected: {value_text(expected)}")
    return "\n".join(fenced_block(_truncate("\n".join(parts))))


def _reasons(reasons: Sequence[str]) -> Iterator[str]:
    yield from (f"- {_code_line(reason, 300)}" for reason in reasons[:5])
    yield ""


def _summary(case_id: str, tags: Sequence[str], reasons: Sequence[str]) -> str:
    said = f"<code>{_html(single_line(case_id, 60))}</code>"
    said += "".join(f" · <code>{_html(single_line(tag, 30))}</code>" for tag in tags[:4])
    return said + (f" — <code>{_html(single_line(reasons[0], 80))}</code>" if reasons else "")


def _details(summary: str, body: Sequence[str]) -> str:
    return "\n".join([f"\n<details><summary>{summary}</summary>\n", *body, "\n</details>", ""])


def _flaky(result: EvalResult) -> Iterator[Section]:
    found = flaky_cases(result)
    if not found:
        return
    rows = [
        f"- {_code_line(case.case_id, 60)}: passed "
        + ", ".join(rate.replace("/", " of ") for rate in rates if rate)
        for case, rates in found[:_MAX_FLAKY]
    ]
    more = len(found) - _MAX_FLAKY
    rows += [f"- and {more:,} more"] if more > 0 else []
    yield "list of flaky cases", f"\n#### Flaky: {len(found):,}\n\n" + "\n".join(rows) + "\n"


# ---- text that stays text


def markdown_prose(text: str) -> str:
    """Words as they are, all else in code spans."""
    return escape_prose(single_line(text))


def _code_line(text: str, limit: int | None = None) -> str:
    return code_span(single_line(text, limit))


def fenced_block(text: str) -> list[str]:
    fence = fence_for(text)
    return [f"{fence}text", text, fence]


def _truncate(text: str) -> str:
    shown = escape_unprintable(text)
    more = len(shown) - _MAX_TEXT_LENGTH
    return shown if more <= 0 else f"{shown[:_MAX_TEXT_LENGTH]}… ({more:,} more characters)"


def _html(text: str) -> str:
    return html_escape(text, quote=False)

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
    answer,
    as_text,
    basis,
    failed_cases,
    flaky_cases,
    headline,
    line,
    metrics,
    notes,
    role,
    score_lines,
    visible,
    warning,
    why,
    worst_first,
)
from promptops.cli.reports.markdown import code_span, fence_for, plain_words
from promptops.cli.reports.numbers import between, chance, interval, points
from promptops.evaluation.result import CaseResult, EvalResult, Flip, Trial
from promptops.prompt.diff.word_diff import Segment, word_diff

MARKER = "<!-- promptops eval -->"  # by which a comment that is to be brought up to date is found
_BARS = re.compile(r"\\*\|")
_LONGEST = 60_000  # characters; GitHub takes 65,536
_LONGEST_TEXT = 2_500
_MOST_CHANGES = 20
_MOST_SLICES = 15
_MOST_FLAKY = 10
_MOST_SIDES = 20
_SIGNS = {"worse": "❌", "better": "✅", "not worse": "✅", "undecided": "❔"}


def markdown(result: EvalResult) -> str:
    head = "\n".join(_head(result)) + "\n"
    tail = f"\n<sub>{code(result.eval_id)}, cases {code(result.cases_hash[:12])}</sub>\n"
    shown, left = _fitting(list(_sections(result)), _LONGEST - len(head) - len(tail) - 200)
    cut = f"\n_Left out, as the comment would be too long: {', '.join(left)}._\n" if left else ""
    return head + "".join(shown) + cut + tail


Section = tuple[str, str]  # what it is counted as when left out, its text


def _fitting(sections: Sequence[Section], room: int) -> tuple[list[str], list[str]]:
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
    prompt = code(result.sides[0].prompt, 80)
    yield MARKER
    yield f"### {_SIGNS[verdict]} {prompt}: {verdict}" if verdict in _SIGNS else f"### Eval of {prompt}"
    yield f"\n**{prose(line(headline(result), 600))}**\n"
    if said := warning(result):
        yield f"> [!WARNING]\n> {prose(said[0].upper() + said[1:])}.\n"
    yield from (f"_{prose(text)}._  " for text in [basis(result), *notes(result)])
    if result.changed:
        yield "\n**What changed**\n"
        yield from (f"- {prose(line(text, 300))}" for text in result.changed[:_MOST_CHANGES])
    if len(result.changed) > _MOST_CHANGES:
        yield f"- and {len(result.changed) - _MOST_CHANGES} more"
    yield ""
    yield from _sides(result)
    yield from _slices(result)
    if result.comparison and result.comparison.scores:
        yield "\n**Scores**\n"
        yield from (f"- {prose(text)}" for text in [*score_lines(result.comparison)][:_MOST_SLICES])


def _sides(result: EvalResult) -> Iterator[str]:
    sides = result.sides[:_MOST_SIDES]
    shown = metrics(sides)
    if len(sides) <= 2:  # noqa: PLR2004 - side by side, the eye compares
        change = len(sides) > 1
        roles = [f"{role(index, result)} " for index in range(len(sides))]
        yield _row(
            ["", *(f"{roles[i]}{code(side.label, 80)}" for i, side in enumerate(sides)), *["change"] * change]
        )
        yield _row(["---", *["---:"] * (len(sides) + change)])
        for metric in shown:
            texts = [metric.text(side) for side in sides]
            if metric is shown[0]:
                texts = [
                    f"{text} ({interval(side.overall)})" for text, side in zip(texts, sides, strict=True)
                ]
            told = metric.told(metric.difference(*sides)) if change else ""
            yield _row([metric.name, *texts, *[told] * change])
        return
    yield _row(["", *(metric.name for metric in shown), "Pareto front"])
    yield _row(["---", *["---:"] * len(shown), ":---:"])
    for side in sides:
        rate = f"{shown[0].text(side)} ({interval(side.overall)})"
        texts = [rate, *(metric.text(side) for metric in shown[1:])]
        yield _row([code(side.label, 80), *texts, "★" if side.pareto else ""])
    if len(result.sides) > len(sides):
        yield f"\nand {len(result.sides) - len(sides)} more sides"


def _slices(result: EvalResult) -> Iterator[str]:
    found = worst_first(result.comparison) if result.comparison else []
    if not found:
        return
    yield "\n**Where it changed**, the most harmed first\n"
    yield _row(["slice", "change", "95 %", "broke", "fixed", "adjusted p"])
    yield _row(["---", *["---:"] * 5])
    for kind, one in found[:_MOST_SLICES]:
        change = f"**{points(one.difference)}**" if one.difference < 0 else points(one.difference)
        counts = [str(one.broke), str(one.fixed), chance(one.p_adjusted).replace("<", "&lt;")]
        yield _row([f"{kind} {code(one.name, 60)}", change, between(one.low, one.high), *counts])
    if len(found) > _MOST_SLICES:
        yield f"\nand {len(found) - _MOST_SLICES} more that changed less"


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


def _flips(kind: str, flips: Sequence[Flip], total: int) -> Iterator[Section]:
    if not flips:
        return
    listed = f", of which {len(flips):,} are listed" if total > len(flips) else ""
    yield "", f"\n#### {kind.capitalize()}: {max(total, len(flips)):,}{listed}\n"
    for flip in flips:
        yield f"{kind} cases", _flip(flip)


def _flip(flip: Flip) -> str:
    old, new = (_cut(answer(trial)) for trial in (flip.control, flip.candidate))
    reasons = why(flip.candidate) if flip.control.passed else why(flip.control)
    body = [
        _facts(flip.case_id, flip.inputs, flip.expected),
        *_reasons(reasons),
        '<table><tr><th>control</th><th>candidate</th></tr><tr valign="top">',
        *(f"<td>{cell}</td>" for cell in _beside(word_diff(old, new))),
        "</tr></table>",
    ]
    return _details(_summary(flip.case_id, flip.tags, reasons), body)


def _beside(segments: Sequence[Segment]) -> list[str]:
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


def _failed(case: CaseResult, trial: Trial) -> str:
    reasons = why(trial)
    body = [
        _facts(case.case_id, case.inputs, case.expected),
        *_reasons(reasons),
        *fenced(_cut(answer(trial))),
    ]
    return _details(_summary(case.case_id, case.tags, reasons), body)


def _facts(case_id: str, inputs: Mapping[str, Any], expected: object) -> str:
    parts = [f"case: {case_id}"] if len(case_id) > 60 else []  # noqa: PLR2004 - the summary shortens it
    parts += [f"{name}: {as_text(value)}" for name, value in inputs.items()]
    if expected is not None:
        parts.append(f"expected: {as_text(expected)}")
    return "\n".join(fenced(_cut("\n".join(parts))))


def _reasons(reasons: Sequence[str]) -> Iterator[str]:
    yield from (f"- {code(reason, 300)}" for reason in reasons[:5])
    yield ""


def _summary(case_id: str, tags: Sequence[str], reasons: Sequence[str]) -> str:
    said = f"<code>{_html(line(case_id, 60))}</code>"
    said += "".join(f" · <code>{_html(line(tag, 30))}</code>" for tag in tags[:4])
    return said + (f" — <code>{_html(line(reasons[0], 80))}</code>" if reasons else "")


def _details(summary: str, body: Sequence[str]) -> str:
    return "\n".join([f"\n<details><summary>{summary}</summary>\n", *body, "\n</details>", ""])


def _flaky(result: EvalResult) -> Iterator[Section]:
    found = flaky_cases(result)
    if not found:
        return
    rows = [
        f"- {code(case.case_id, 60)}: passed {', '.join(rate.replace('/', ' of ') for rate in rates if rate)}"
        for case, rates in found[:_MOST_FLAKY]
    ]
    more = len(found) - _MOST_FLAKY
    rows += [f"- and {more:,} more"] if more > 0 else []
    yield "list of flaky cases", f"\n#### Flaky: {len(found):,}\n\n" + "\n".join(rows) + "\n"


# ---- text that stays text


def prose(text: str) -> str:
    """Words as they are, all else in code spans."""
    return plain_words(line(text))


def code(text: str, limit: int | None = None) -> str:
    return code_span(line(text, limit))


def fenced(text: str) -> list[str]:
    fence = fence_for(text)
    return [f"{fence}text", text, fence]


def _cut(text: str) -> str:
    shown = visible(text)
    more = len(shown) - _LONGEST_TEXT
    return shown if more <= 0 else f"{shown[:_LONGEST_TEXT]}… ({more:,} more characters)"


def _html(text: str) -> str:
    return html_escape(text, quote=False)

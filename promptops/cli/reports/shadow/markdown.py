"""Shadow runs as a comment on a pull request: the verdict, the figures, and real answers side by side."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.eval.view import visible
from promptops.cli.reports.markdown import code_span, fence_for, plain_words
from promptops.cli.reports.shadow.view import (
    alike,
    answer,
    basis,
    inputs_line,
    notes,
    overview_heads,
    overview_rows,
    question_rows,
    slice_rows,
    why,
)
from promptops.console import one_line
from promptops.evaluation.shadow.pair import Pair
from promptops.evaluation.shadow.result import Comparison

MARKER = "<!-- promptops shadow -->"  # by which a comment that is to be brought up to date is found
_SIGNS = {"worse": "❌", "better": "✅", "not worse": "✅", "undecided": "❔"}
_LONGEST = 60_000  # characters; GitHub takes 65,536
_LONGEST_ANSWER = 1_500
_PAIRS = 10
_BESIDE_A_CHANGE = 3
_SLICES = 15
_FIELDS = 15


def markdown(found: Sequence[Comparison], *, table: bool = False) -> str:
    parts = [MARKER + "\n"]
    if table:
        parts.append("\n".join(_overview(found)) + "\n")
    for each in found:
        parts.append("\n".join(_head(each, small=table)) + "\n")
        parts += _details(each)
    return _fitting(parts)


def section(found: Comparison, *, details: bool) -> Iterator[str]:
    """A shadow run below the change that it tried; ``details``: with the worst pairs."""
    yield f"\n**Shadow run: {_SIGNS[found.verdict]} {plain_words(one_line(found.sentence))}**"
    yield from _body(found)
    if details:
        yield from _details(found, _BESIDE_A_CHANGE, "#####")


def _fitting(parts: Sequence[str]) -> str:
    room, shown = _LONGEST, []
    for part in parts:
        room -= len(part)
        if room < 0:
            shown.append("\n_The rest is left out, as the comment would be too long._\n")
            break
        shown.append(part)
    return "".join(shown)


def _overview(found: Sequence[Comparison]) -> Iterator[str]:
    yield "### Which prompts survive\n"
    rows = [
        (code_span(one_line(label)), f"{_SIGNS[verdict]} {verdict}", *rest)
        for label, verdict, *rest in overview_rows(found)
    ]
    heads = overview_heads(
        found, "candidate", "", "pairs", "fails more by (95 %)", "broke", "fixed", "judged"
    )
    yield from _table(heads, rows)


def _head(found: Comparison, *, small: bool) -> Iterator[str]:
    prompt = code_span(one_line(found.prompt))
    yield f"\n{'####' if small else '###'} {_SIGNS[found.verdict]} {prompt}: {found.verdict}\n"
    yield f"**{plain_words(one_line(found.sentence))}**"
    yield from _body(found)


def _body(found: Comparison) -> Iterator[str]:
    yield f"\n{plain_words(one_line(basis(found)))}\n"
    yield from (f"- {plain_words(one_line(told))}" for told in notes(found))
    yield ""
    yield from _table(
        ("", "control", "candidate", "worse by (95 %)", "limit", "verdict"), question_rows(found)
    )
    yield f"\n{plain_words(alike(found.likeness))}\n"


def _details(found: Comparison, most: int = _PAIRS, heading: str = "####") -> Iterator[str]:
    for title, pairs, total in (
        ("Broke", found.broke, found.broke_total),
        ("Fixed", found.fixed, found.fixed_total),
        ("Other answers that differ", found.changed, len(found.changed)),
    ):
        if total:
            shown = f", the worst {most}" if total > most else ""
            yield f"\n{heading} {title}: {total:,}{shown}\n"
            yield from map(_pair, pairs[:most])
    if found.likeness.fields:
        rows = [
            (
                code_span(each.path),
                f"{each.pairs:,}",
                "; ".join(code_span(one_line(told)) for told in each.examples),
            )
            for each in found.likeness.fields[:_FIELDS]
        ]
        yield (
            f"\n{heading} JSON fields that differ\n\n"
            + "\n".join(_table(("field", "pairs", "such as"), rows))
            + "\n"
        )
    slices = [(code_span(one_line(name)), *rest) for name, *rest in slice_rows(found, _SLICES)]
    if slices:
        heads = ("slice", "pairs", "passes", "broke", "fixed", "p, adjusted")
        yield f"\n{heading} Slices\n\n" + "\n".join(_table(heads, slices)) + "\n"
    yield f"\n<sub>{code_span(found.shadow_id)}</sub>\n"


def _pair(pair: Pair) -> str:
    summary = _html(inputs_line(pair.inputs))
    reason = f" — <code>{_html(why(pair)[:120])}</code>" if why(pair) else ""
    body = [f"\n<details><summary><code>{summary}</code>{reason}</summary>\n"]
    for name, side in (("control", pair.control), ("candidate", pair.candidate)):
        text = visible(answer(side))[:_LONGEST_ANSWER]
        fence = fence_for(text)
        body.append(f"{name}, {'passed' if side.passed else 'failed'}\n\n{fence}text\n{text}\n{fence}\n")
    return "\n".join([*body, "</details>\n"])


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(headers) + " |"
    yield "|" + "---|" * len(headers)
    for row in rows:
        yield "| " + " | ".join(each.replace("|", "\\|") for each in row) + " |"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

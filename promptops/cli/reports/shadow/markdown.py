"""Shadow runs as a comment on a pull request: the verdict, the figures, and real answers side by side."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.eval.view import escape_unprintable
from promptops.cli.reports.markdown import code_span, escape_prose, fence_for
from promptops.cli.reports.shadow.view import (
    metric_comparison_rows,
    overview_headers,
    overview_rows,
    pair_failures,
    shadow_inputs_line,
    shadow_notes,
    shadow_sample_size,
    side_answer,
    similarity_text,
    slice_rows,
)
from promptops.console import escape_line
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison

MARKER = "<!-- promptops shadow -->"  # by which a comment that is to be brought up to date is found
_SIGNS = {"worse": "❌", "better": "✅", "not worse": "✅", "undecided": "❔"}
_MAX_COMMENT_LENGTH = 60_000  # characters; GitHub takes 65,536
_MAX_ANSWER_LENGTH = 1_500
_MAX_PAIRS = 10
_MAX_PAIRS_IN_DIFF = 3
_MAX_SLICES = 15
_MAX_FIELDS = 15


def render_shadow_markdown(found: Sequence[ShadowComparison], *, table: bool = False) -> str:
    parts = [MARKER + "\n"]
    if table:
        parts.append("\n".join(_overview(found)) + "\n")
    for each in found:
        parts.append("\n".join(_head(each, small=table)) + "\n")
        parts += _details(each)
    return _fit_parts(parts)


def shadow_section(found: ShadowComparison, *, details: bool) -> Iterator[str]:
    """A shadow run below the change that it tried; ``details``: with the worst pairs."""
    yield f"\n**Shadow run: {_SIGNS[found.verdict]} {escape_prose(escape_line(found.sentence))}**"
    yield from _body(found)
    if details:
        yield from _details(found, _MAX_PAIRS_IN_DIFF, "#####")


def _fit_parts(parts: Sequence[str]) -> str:
    room, shown = _MAX_COMMENT_LENGTH, []
    for part in parts:
        room -= len(part)
        if room < 0:
            shown.append("\n_The rest is left out, as the comment would be too long._\n")
            break
        shown.append(part)
    return "".join(shown)


def _overview(found: Sequence[ShadowComparison]) -> Iterator[str]:
    yield "### Which prompts survive\n"
    rows = [
        (code_span(escape_line(label)), f"{_SIGNS[verdict]} {verdict}", *rest)
        for label, verdict, *rest in overview_rows(found)
    ]
    heads = overview_headers(
        found, "candidate", "", "pairs", "fails more by (95 %)", "broke", "fixed", "judged"
    )
    yield from _table(heads, rows)


def _head(found: ShadowComparison, *, small: bool) -> Iterator[str]:
    prompt = code_span(escape_line(found.prompt))
    yield f"\n{'####' if small else '###'} {_SIGNS[found.verdict]} {prompt}: {found.verdict}\n"
    yield f"**{escape_prose(escape_line(found.sentence))}**"
    yield from _body(found)


def _body(found: ShadowComparison) -> Iterator[str]:
    yield f"\n{escape_prose(escape_line(shadow_sample_size(found)))}\n"
    yield from (f"- {escape_prose(escape_line(told))}" for told in shadow_notes(found))
    yield ""
    yield from _table(
        ("", "control", "candidate", "worse by (95 %)", "limit", "verdict"), metric_comparison_rows(found)
    )
    yield f"\n{escape_prose(similarity_text(found.likeness))}\n"


def _details(found: ShadowComparison, most: int = _MAX_PAIRS, heading: str = "####") -> Iterator[str]:
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
                "; ".join(code_span(escape_line(told)) for told in each.examples),
            )
            for each in found.likeness.fields[:_MAX_FIELDS]
        ]
        yield (
            f"\n{heading} JSON fields that differ\n\n"
            + "\n".join(_table(("field", "pairs", "such as"), rows))
            + "\n"
        )
    slices = [(code_span(escape_line(name)), *rest) for name, *rest in slice_rows(found, _MAX_SLICES)]
    if slices:
        heads = ("slice", "pairs", "passes", "broke", "fixed", "p, adjusted")
        yield f"\n{heading} Slices\n\n" + "\n".join(_table(heads, slices)) + "\n"
    yield f"\n<sub>{code_span(found.shadow_id)}</sub>\n"


def _pair(pair: ShadowPair) -> str:
    summary = _html(shadow_inputs_line(pair.inputs))
    reason = f" — <code>{_html(pair_failures(pair)[:120])}</code>" if pair_failures(pair) else ""
    body = [f"\n<details><summary><code>{summary}</code>{reason}</summary>\n"]
    for name, side in (("control", pair.control), ("candidate", pair.candidate)):
        text = escape_unprintable(side_answer(side))[:_MAX_ANSWER_LENGTH]
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

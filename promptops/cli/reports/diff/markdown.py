"""Changes of prompts as a comment under a pull request.

Whatever comes from a prompt stands in a code span or a fence longer than any run of backticks in it, so
that it can neither become markup nor mention anybody.
"""

import re
from collections.abc import Iterator, Sequence

from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.diff.text import estimate_lines, review_facts, unified_diff_lines, word_diff_lines
from promptops.cli.reports.markdown import code_span, fence_for
from promptops.console import escape, escape_line
from promptops.prompt.diff import EFFECT_LABELS, TextDiff
from promptops.versions.rendered_preview import RenderedPreview

_MAX_COMMENT_LENGTH = 60_000  # characters; GitHub takes 65,536
_MAX_PREVIEWS = 5


def render_diff_markdown(told: Sequence[DiffReport], *, unified: bool, details: bool) -> str:
    if not told:
        return "No prompt changed."
    head = f"**{len(told)} prompt{'' if len(told) == 1 else 's'} changed**\n"
    sections = [_section(one, unified=unified, details=details) for one in told]
    return (
        head
        + "\n"
        + "\n".join(_fit_sections(sections, [_section(one, unified=unified, details=False) for one in told]))
    )


def _fit_sections(sections: Sequence[str], short: Sequence[str]) -> list[str]:
    """Give up the details of later prompts rather than the whole comment."""
    room = _MAX_COMMENT_LENGTH - sum(map(len, short))
    found = []
    for whole, brief in zip(sections, short, strict=True):
        room -= len(whole) - len(brief)
        if room >= 0:
            found.append(whole)
        else:
            room += len(whole) - len(brief)
            found.append(f"{brief}\n_Too long to show here: see `promptops diff`._\n")
    return found


def _section(one: DiffReport, *, unified: bool, details: bool) -> str:
    return "\n".join(_lines(one, unified=unified, details=details)) + "\n"


def _lines(one: DiffReport, *, unified: bool, details: bool) -> Iterator[str]:
    review = one.review
    yield f"#### {_code_line(review.pair.name)} {_escape_markdown(review.headline)}"
    yield ""
    for change in review.changes:
        if change.effect in ("breaking", "unclear"):
            yield f"> **{EFFECT_LABELS[change.effect].capitalize()}.**\n"
    for change in review.changes:
        for line in [*change.lines, *map(str, change.texts)]:
            yield f"- {change.kind}: {_code_line(line)}"
    for line in [*review_facts(review), *estimate_lines(one)]:
        yield (
            f"- {_code_line(line)}"
            if "sha256:" in line or line in review.notes
            else f"- {_escape_markdown(line)}"
        )
    if one.shadow:
        from promptops.cli.reports.shadow.markdown import shadow_section

        yield from shadow_section(one.shadow, details=details)
    if details:
        for text in [*(text for change in review.changes for text in change.texts), *review.files]:
            yield _details(str(text), [text], (), unified=unified)
        yield from _rendered(one.previews, unified=unified)


def _rendered(previews: Sequence[RenderedPreview], *, unified: bool) -> Iterator[str]:
    differing = [one for one in previews if one.lines or one.texts or one.notes]
    if previews:
        yield f"\nRendered: {len(differing)} of {len(previews)} differ."
    for one in differing[:_MAX_PREVIEWS]:
        yield _details(f"rendered {one.label}".strip(), one.texts, [*one.notes, *one.lines], unified=unified)


def _details(title: str, texts: Sequence[TextDiff], lines: Sequence[str], *, unified: bool) -> str:
    body = list(lines)
    for text in texts:
        body += [text.where] if len(texts) > 1 else []
        pieces = unified_diff_lines(text) if unified else word_diff_lines(text.segments, marks=True)
        body += ["".join(piece for piece, _ in line) for line in pieces]
    fence = fence_for("\n".join(body))
    kind = "diff" if unified else "text"
    shown = escape("\n".join(body))
    summary = _html(escape_line(title))
    return f"\n<details><summary>{summary}</summary>\n\n{fence}{kind}\n{shown}\n{fence}\n\n</details>"


def _code_line(text: str) -> str:
    return code_span(escape_line(text))


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|@#~&])", r"\\\1", escape_line(text))


def _html(text: str) -> str:
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("#", "&#35;")):
        text = text.replace(sign, name)
    return text

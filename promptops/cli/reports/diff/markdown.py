"""Changes of prompts as a comment under a pull request."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.diff.text import estimate_lines, review_facts, unified_diff_lines, word_diff_lines
from promptops.cli.reports.markdown import (
    CommentSection,
    code_line,
    details,
    fenced_block,
    html_code,
    prose,
    render_comment,
)
from promptops.prompt.diff import EFFECT_LABELS, TextDiff
from promptops.reports.numbers import pluralize
from promptops.versions.rendered_preview import RenderedPreview

_MAX_PREVIEWS = 5


def render_diff_markdown(
    reports: Sequence[DiffReport],
    *,
    unified: bool,
    full: bool,
    verdicts: Sequence[str] = (),
    evals: Sequence[CommentSection] = (),
) -> str:
    """``full``: with the texts that changed, of later prompts only while there is room.

    ``verdicts``: lines on what came of evals, which stand first.
    """
    head = f"**{pluralize(len(reports), 'prompt')} changed**\n\n" if reports else "No prompt changed.\n"
    head += "".join(f"{line}\n" for line in (*verdicts, "")) if verdicts else ""
    sections = [_section(one, unified=unified, full=full) for one in reports]
    return render_comment("diff", head, [*sections, *evals])


def _section(one: DiffReport, *, unified: bool, full: bool) -> CommentSection:
    short = "\n".join(_facts(one, full=False)) + "\n"
    if not full:
        return CommentSection(short, "prompts")
    whole = "\n".join([*_facts(one, full=True), *_texts(one, unified=unified)]) + "\n"
    return CommentSection(
        whole + "\n", "prompts", short=f"{short}\n_Too long to show here: see `promptops diff`._\n\n"
    )


def _facts(one: DiffReport, *, full: bool) -> Iterator[str]:
    review = one.review
    yield f"#### {code_line(review.pair.name)} {prose(review.headline)}\n"
    for change in review.changes:
        if change.effect in ("breaking", "unclear"):
            yield f"> **{EFFECT_LABELS[change.effect].capitalize()}.**\n"
    for change in review.changes:
        for line in [*change.lines, *map(str, change.texts)]:
            yield f"- {change.kind}: {code_line(line)}"
    for line in [*review_facts(review), *estimate_lines(one)]:
        as_code = "sha256:" in line or line in review.notes
        yield f"- {code_line(line) if as_code else prose(line)}"
    if one.shadow:
        from promptops.cli.reports.shadow.markdown import shadow_section

        yield from shadow_section(one.shadow, details=full)


def _texts(one: DiffReport, *, unified: bool) -> Iterator[str]:
    for text in [*(text for change in one.review.changes for text in change.texts), *one.review.files]:
        yield _folded(str(text), [text], (), unified=unified)
    yield from _rendered(one.previews, unified=unified)


def _rendered(previews: Sequence[RenderedPreview], *, unified: bool) -> Iterator[str]:
    differing = [preview for preview in previews if preview.lines or preview.texts or preview.notes]
    if previews:
        yield f"\nRendered: {len(differing)} of {len(previews)} differ."
    for preview in differing[:_MAX_PREVIEWS]:
        title = f"rendered {preview.label}".strip()
        yield _folded(title, preview.texts, [*preview.notes, *preview.lines], unified=unified)


def _folded(title: str, texts: Sequence[TextDiff], lines: Sequence[str], *, unified: bool) -> str:
    body = list(lines)
    for text in texts:
        body += [text.where] if len(texts) > 1 else []
        pieces = unified_diff_lines(text) if unified else word_diff_lines(text.segments, marks=True)
        body += ["".join(piece for piece, _ in line) for line in pieces]
    return details(html_code(title), [fenced_block("\n".join(body), "diff" if unified else "text")])

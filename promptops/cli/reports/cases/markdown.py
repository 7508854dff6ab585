"""Cases in a comment: folded, the answers side by side with what differs marked."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import CaseReport
from promptops.cli.reports.markdown import (
    CommentSection,
    code_line,
    details,
    fenced_block,
    html_code,
    html_text,
)
from promptops.prompt.diff.word_diff import Segment, word_diff
from promptops.reports.texts import clip

_MAX_TEXT_LENGTH = 2_500
_MAX_NAME_LENGTH = 60
_MAX_FAILURES = 5
_MAX_TAGS = 4


def case_sections(
    title: str, kind: str, reports: Sequence[CaseReport], total: int, *, level: int = 4
) -> Iterator[CommentSection]:
    """``kind``: what they are counted as; ``level``: of the heading."""
    total = max(total, len(reports))
    listed = f", of which {len(reports):,} are listed" if total > len(reports) else ""
    heading = f"\n{'#' * level} {title}: {total:,}{listed}\n"
    for report in reports:
        yield CommentSection(case_details(report), kind, heading)


def case_details(report: CaseReport) -> str:
    parts = [f"case: {report.name}"] if len(report.name) > _MAX_NAME_LENGTH else []
    parts += [f"{name}: {text}" for name, text in report.given]
    failures = [f"- {code_line(failure, 300)}" for failure in report.failures[:_MAX_FAILURES]]
    body = [fenced_block(clip("\n".join(parts), _MAX_TEXT_LENGTH)), *failures, "", *_answers(report)]
    return details(_summary(report), body)


def _summary(report: CaseReport) -> str:
    parts = [report.name, *report.tags[:_MAX_TAGS]]
    limits = [_MAX_NAME_LENGTH, *[30] * _MAX_TAGS]
    summary = " · ".join(html_code(part, limit) for part, limit in zip(parts, limits, strict=False))
    return summary + (f" — {html_code(report.failures[0], 80)}" if report.failures else "")


def _answers(report: CaseReport) -> Iterator[str]:
    texts = [clip(answer.text, _MAX_TEXT_LENGTH) for answer in report.answers]
    if len(texts) == 1:
        yield fenced_block(texts[0])
        return
    heads = (
        f"<th>{answer.title}, {'passed' if answer.passed else 'failed'}</th>" for answer in report.answers
    )
    yield f'<table><tr>{"".join(heads)}</tr><tr valign="top">'
    yield from (f"<td>{cell}</td>" for cell in _side_by_side(word_diff(texts[0], texts[1])))
    yield "</tr></table>"


def _side_by_side(segments: Sequence[Segment]) -> list[str]:
    """Both texts as HTML, with what only one of them has marked."""
    # struck out is hard to read; where nothing is alike, all would be marked
    alike = any(tag == "=" and text.strip() for tag, text in segments)
    mark = "<b>{}</b>" if alike else "{}"
    marks = {"=": "{}", "-": mark, "+": mark}
    # without empty lines, which would end the block of HTML
    return [
        "<pre>"
        + "".join(marks[tag].format(html_text(text)) for tag, text in segments if tag in shown).replace(
            "\n", "<br>"
        )
        + "</pre>"
        for shown in ("=-", "=+")
    ]

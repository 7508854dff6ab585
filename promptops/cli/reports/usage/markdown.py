"""A report on usage as a comment, or for reading in a terminal."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.markdown import CommentSection, code_line, markdown_table, prose, render_comment
from promptops.cli.reports.usage.view import TABLES, UsageReport, usage_headline
from promptops.reports.usage import TABLE_HEADERS

_MAX_ROWS = 40


def render_usage_markdown(report: UsageReport) -> str:
    usage = report.usage
    since, until = (text[:16].replace("T", " ") for text in (usage.since, usage.until))
    title = f"{code_line(report.title)}: {usage_headline(report)}"
    head = f"\n### {title}\n\n{since} to {until} UTC. {prose(report.counted)}\n"
    return render_comment("usage", head, _sections(report) if usage.cells else ())


def _sections(report: UsageReport) -> Iterator[CommentSection]:
    usage = report.usage
    rows = [(name, value, prose(note)) for name, value, note in usage.figures]
    yield CommentSection(f"\n{_lines(('', 'value', 'of'), rows)}\n", "figures")
    for by, title in TABLES:
        found = usage.table(by)
        cells = [(code_line(name, 80), *texts) for name, texts in found[:_MAX_ROWS]]
        more = f"\nand {len(found) - _MAX_ROWS} more\n" if len(found) > _MAX_ROWS else ""
        yield CommentSection(f"\n#### {title}\n\n{_lines((by, *TABLE_HEADERS), cells)}\n{more}", "tables")
    if checks := [(source, code_line(name, 80), text) for source, name, text in usage.checks()]:
        yield CommentSection(
            f"\n#### Checks and feedback\n\n{_lines(('by', 'name', 'good'), checks[:_MAX_ROWS])}\n", "tables"
        )


def _lines(heads: tuple[str, ...], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(markdown_table(heads, rows, range(1, len(heads))))

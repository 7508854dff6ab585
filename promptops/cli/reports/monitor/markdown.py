"""Checks as Markdown, for a comment or an issue (pure)."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.markdown import details, markdown_table, prose
from promptops.cli.reports.monitor.lines import HEADERS, alarm_head, alarm_lines, head_line, status_cells
from promptops.monitoring.check import TargetCheck


def checks_markdown(checks: Sequence[TargetCheck]) -> str:
    return "\n".join(line for check in checks for line in _check(check)).rstrip("\n")


def _check(check: TargetCheck) -> Iterator[str]:
    yield f"### {prose(head_line(check))}"
    yield ""
    for alarm in check.alarms:
        first, *others = alarm_lines(alarm)
        yield f"- **{prose(first)}**"
        yield from (f"  {prose(line)}" for line in others)
    for alarm in check.ended:
        yield f"- over: {prose(alarm_head(alarm))}"
    yield from (f"- {prose(text)}" for text in check.notes)
    if check.metrics:
        yield ""
        table = markdown_table(HEADERS, [status_cells(each) for each in check.metrics])
        yield details("Metrics", table)
    yield ""

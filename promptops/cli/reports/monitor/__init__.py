"""What ``monitor check`` has found, as text, JSON, Markdown and GitHub's annotations."""

from collections.abc import Sequence
from typing import Literal

from promptops.console import print_json_text, print_text
from promptops.monitoring.check import TargetCheck

CheckFormatName = Literal["text", "json", "markdown", "github"]


def print_checks(checks: Sequence[TargetCheck], form: CheckFormatName) -> None:
    if form == "json":
        from promptops.cli.reports.json_data import report_json

        print_json_text(report_json(list(checks)))
    elif form == "markdown":
        from promptops.cli.reports.monitor.markdown import checks_markdown

        print_text(checks_markdown(checks))
    elif form == "github":
        from promptops.cli.reports.lint.annotations import workflow_command
        from promptops.cli.reports.monitor.lines import alarm_lines

        for alarm in (alarm for check in checks for alarm in check.alarms):
            title = f"promptops monitor: {alarm.target}"
            print_text(workflow_command("warning", {"title": title}, "\n".join(alarm_lines(alarm))))
    else:
        from promptops.cli.reports.monitor.text import print_check

        for check in checks:
            print_check(check)

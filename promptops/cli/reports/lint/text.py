"""Findings as a person reads them in a terminal."""

import os

from promptops.cli.reports.lint.machine import text_line
from promptops.console import note, print_pieces
from promptops.lint import Finding, Report, Scope


def print_report(report: Report, scope: Scope) -> None:
    for finding in report.findings:
        _print_line(finding, shown(finding.path, scope))
    note(_summary(report))


def _print_line(finding: Finding, path: str) -> None:
    mark = f"{finding.severity}[{finding.rule}]"
    before, _, after = text_line(finding, path).partition(mark)
    colour = "red" if finding.severity == "error" else "yellow"
    print_pieces([(before, ""), (mark, colour), (after, "")])


def shown(path: str, scope: Scope) -> str:
    return os.path.relpath(os.path.join(scope.project.settings.top or ".", path))  # noqa: PTH118


def _summary(report: Report) -> str:
    prompts = _count(len(report.prompts), "prompt")
    found = f"{_count(report.count('error'), 'error')}, {_count(report.count('warning'), 'warning')}"
    branches = sum(one.branches for one in report.coverage)
    reached = sum(one.reached for one in report.coverage)
    share = f"; cases reach {reached} of {branches} branches" if branches else ""
    return f"{prompts}: {found}{share}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

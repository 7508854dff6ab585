"""Findings as a person reads them in a terminal."""

import os

from promptops.cli.reports.lint.annotations import finding_line
from promptops.console import note, pluralize, print_styled
from promptops.lint import LintFinding, LintReport, Scope


def print_lint_report(report: LintReport, scope: Scope) -> None:
    for finding in report.findings:
        _print_line(finding, lint_display_path(finding.path, scope))
    note(_summary(report))


def _print_line(finding: LintFinding, path: str) -> None:
    mark = f"{finding.severity}[{finding.rule}]"
    before, _, after = finding_line(finding, path).partition(mark)
    colour = "red" if finding.severity == "error" else "yellow"
    print_styled([(before, ""), (mark, colour), (after, "")])


def lint_display_path(path: str, scope: Scope) -> str:
    return os.path.relpath(os.path.join(scope.project.settings.top or ".", path))  # noqa: PTH118 - a string either way


def _summary(report: LintReport) -> str:
    counts = ", ".join(pluralize(report.count(severity), severity) for severity in ("error", "warning"))
    branches = sum(one.branches for one in report.coverage)
    reached = sum(one.reached for one in report.coverage)
    noun = "branch" if branches == 1 else "branches"
    share = f"; cases reach {reached} of {branches} {noun}" if branches else ""
    return f"{pluralize(len(report.prompts), 'prompt')}: {counts}{share}"

"""Findings as a person reads them in a terminal."""

import os
from collections import Counter

from promptops.cli.reports.lint.annotations import finding_line
from promptops.config.settings import Settings
from promptops.console import note, print_styled
from promptops.lint import LintFinding, LintReport
from promptops.reports.numbers import pluralize


def print_lint_report(report: LintReport, settings: Settings, *, alike_once: bool = False) -> None:
    """``alike_once``: what is found in several places is said at the first, with the number of the others."""
    times = Counter(map(_said, report.findings))
    first = {_said(finding): finding for finding in reversed(report.findings)}
    for finding in report.findings:
        if not alike_once:
            _print_line(finding, lint_display_path(finding.path, settings))
        elif finding is first[_said(finding)]:
            others = times[_said(finding)] - 1
            more = f" (and so in {pluralize(others, 'more place')})" if others else ""
            _print_line(finding, lint_display_path(finding.path, settings), more)
    note(_summary(report))


def _said(finding: LintFinding) -> tuple[str, str, str]:
    return finding.rule, finding.message, finding.hint


def _print_line(finding: LintFinding, path: str, more: str = "") -> None:
    mark = f"{finding.severity}[{finding.rule}]"
    before, _, after = finding_line(finding, path).partition(mark)
    colour = {"error": "red", "warning": "yellow", "note": "cyan"}[finding.severity]
    print_styled([(before, ""), (mark, colour), (after + more, "")])


def lint_display_path(path: str, settings: Settings) -> str:
    return os.path.relpath(os.path.join(settings.top or ".", path))  # noqa: PTH118 - a string either way


def _summary(report: LintReport) -> str:
    counts = ", ".join(pluralize(report.count(severity), severity) for severity in ("error", "warning"))
    if notes := report.count("note"):
        counts += f", {pluralize(notes, 'note')}"
    branches = sum(one.branches for one in report.coverage)
    reached = sum(one.reached for one in report.coverage)
    noun = "branch" if branches == 1 else "branches"
    share = f"; cases reach {reached} of {branches} {noun}" if branches else ""
    return f"{pluralize(len(report.prompts), 'prompt')}: {counts}{share}"

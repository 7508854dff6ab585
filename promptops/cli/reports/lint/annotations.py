"""Reports in the notations that programs read: GitHub's annotations and SARIF 2.1.0 (pure)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from promptops._version import __version__
from promptops.escapes import escape, escape_line
from promptops.lint.report import LintFinding, LintReport
from promptops.lint.rules import RULES

_LINE_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_VALUE_ESCAPES = {**_LINE_ESCAPES, ":": "%3A", ",": "%2C"}


def finding_line(finding: LintFinding, path: str) -> str:
    """One finding on one line; ``path`` is how the reader names the file."""
    hint = f" — {finding.hint}" if finding.hint else ""
    text = f"{finding.message}{hint}"
    return escape_line(f"{path}:{finding.line}:{finding.column}: {finding.severity}[{finding.rule}] {text}")


def github_annotation(finding: LintFinding) -> str:
    values = {
        "file": finding.path,
        "line": finding.line,
        "col": finding.column,
        "title": f"promptops {finding.rule}",
    }
    message = f"{finding.message}\n{finding.hint}" if finding.hint else finding.message
    return workflow_command("notice" if finding.severity == "note" else finding.severity, values, message)


def workflow_command(name: str, values: Mapping[str, Any], message: str) -> str:
    """A line that GitHub's runner shows as an annotation."""
    properties = ",".join(f"{key}={_escaped(str(value), _VALUE_ESCAPES)}" for key, value in values.items())
    return f"::{name} {properties}::{_escaped(message, _LINE_ESCAPES)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(letter) or escape(letter) for letter in text)


def sarif_log(report: LintReport) -> dict[str, Any]:
    order = {name: index for index, name in enumerate(RULES)}
    driver = {
        "name": "promptops",
        "semanticVersion": __version__,
        "rules": [
            {
                "id": name,
                "shortDescription": {"text": rule.summary},
                "defaultConfiguration": {"level": rule.severity},
            }
            for name, rule in RULES.items()
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(finding, order[finding.rule]) for finding in report.findings],
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }


def _sarif_result(finding: LintFinding, index: int) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": quote(finding.path), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    text = f"{finding.message} ({finding.hint})" if finding.hint else finding.message
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }

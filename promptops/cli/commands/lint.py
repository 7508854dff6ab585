"""``promptops lint``: what is wrong with prompts, before they are committed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import format_option, staged_option, strict_option
from promptops.cli.reports.lint.text import lint_display_path, print_lint_report
from promptops.console import note, print_json, print_table, print_text
from promptops.errors import Invalid
from promptops.lint import RULES, LintReport, Scope, lint_prompts, staged_scope, working_tree_scope

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE|NAME]...", help="Only these prompts, and those made of these files."),
]


class LintFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def lint(
    words: WordsArgument = None,
    staged: Annotated[bool, staged_option("Read the index, as git is about to commit it.")] = False,
    shape: Annotated[LintFormat, format_option("How findings are printed.")] = LintFormat.TEXT,
    as_json: JsonOption = False,
    strict: Annotated[bool, strict_option()] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what is mechanical and certain first.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules.")] = False,
) -> int:
    """Say what is wrong with prompts: the files, the model, parameters, variables, checks, cases.

    A rule's severity is set in promptops.yaml, `lint: {rules: {RULE: off}}`. A comment silences one
    finding: `# promptops: ignore[RULE] reason`, on its line or alone on the line above.
    """
    if rules:
        return _print_rules(as_json=as_json or shape is LintFormat.JSON)
    if fix and staged:
        raise Invalid("--fix changes files, and --staged reads the index alone", hint="give one of the two")
    scope_of = staged_scope if staged else working_tree_scope
    with scope_of(words or [], Path.cwd()) as scope:
        if fix:
            _fix(scope)
        report = lint_prompts(scope.names, scope.files, scope.project)
    _print(report, LintFormat.JSON if as_json else shape, scope)
    return int(bool(report.count("error") or (strict and report.count("warning"))))


def _fix(scope: Scope) -> None:
    from promptops.lint.fix import fix_files

    for path, changes in fix_files(scope.names, scope.files, scope.project.settings):
        note(f"fixed {lint_display_path(path, scope.project.settings)}: {changes}")


def _print(report: LintReport, shape: LintFormat, scope: Scope) -> None:
    if shape is LintFormat.JSON:
        print_json(report.as_json())
    elif shape is LintFormat.SARIF:
        from promptops.cli.reports.lint.annotations import sarif_log

        print_json(sarif_log(report))
    elif shape is LintFormat.GITHUB:
        from promptops.cli.reports.lint.annotations import github_annotation

        for finding in report.findings:
            print_text(github_annotation(finding))
    else:
        print_lint_report(report, scope.project.settings)


def _print_rules(*, as_json: bool) -> int:
    rows = [(name, rule.severity, rule.summary) for name, rule in RULES.items()]
    if as_json:
        print_json([dict(zip(("rule", "severity", "summary"), row, strict=True)) for row in rows])
    else:
        print_table(("RULE", "SEVERITY", "SUMMARY"), rows)
    return 0

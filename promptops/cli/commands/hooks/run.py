"""``promptops hooks run``: what a hook does, for plain git and for pre-commit.

Reads the index alone, and writes nothing but the commit's message, where trailers were asked for.
"""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.cli.hook_projects import (
    HookProject,
    find_revision_range,
    find_worktree_settings,
    hook_environment,
    touched_projects,
)
from promptops.cli.options.flags import strict_option
from promptops.config.settings import Settings
from promptops.console import note, print_styled
from promptops.errors import Invalid, PromptopsError
from promptops.escapes import escape_line

if TYPE_CHECKING:  # most commits touch no prompt and must not wait for more
    from promptops.versions.change_summary import ChangeSummary


class HookName(StrEnum):
    LINT = "lint"
    DIFF = "diff"
    PRE_COMMIT = "pre-commit"
    PRE_MERGE_COMMIT = "pre-merge-commit"
    COMMIT_MSG = "commit-msg"


HookArgument = Annotated[
    HookName, typer.Argument(metavar="HOOK", help="pre-commit, pre-merge-commit, commit-msg, lint or diff.")
]
FilesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[FILE]...", help="What git or pre-commit hands to the hook.")
]
StrictOption = Annotated[bool, strict_option()]


def hooks_run(hook: HookArgument, files: FilesArgument = None, strict: StrictOption = False) -> int:
    """Do what a hook does. Git and pre-commit call this; it can also be in a hook of your own.

    `lint` finds what is wrong with prompts that depend on a staged or named file, `diff` says what the
    commit changes, pre-commit does both, commit-msg adds what changes to the message as trailers.
    """
    start = Path.cwd()
    os.environ.update(hook_environment(os.environ, start))
    top = find_worktree_settings(start, os.environ)
    if hook is HookName.COMMIT_MSG:
        return _add_trailers(top, [start / file for file in files or []])
    named = [start / file for file in files or []] if hook is HookName.LINT else []
    with touched_projects(top, os.environ, find_revision_range(top, os.environ), named) as projects:
        refused = hook is not HookName.DIFF and [
            project for project in projects if _lint_fails(project, strict=strict)
        ]
        if refused:
            note("refused: correct this and `git add` it; git commit --no-verify skips the hooks")
        elif hook is not HookName.LINT:
            _print_changes(projects)
    return int(bool(refused))


def _lint_fails(project: HookProject, *, strict: bool) -> bool:
    from promptops.cli.reports.lint.text import print_lint_report
    from promptops.lint import lint_prompts

    with project.scope() as scope:
        report = lint_prompts(scope.names, scope.files, scope.project)
    if report.prompts or report.findings:
        print_lint_report(report, scope.project.settings)
    return bool(report.count("error") or (strict and report.findings))


def _print_changes(projects: Sequence[HookProject]) -> None:
    """Never refuses a commit: what is wrong with prompts is for lint to say."""
    try:
        for one in _reviews(projects):
            _print(one)
    except PromptopsError as error:
        note(f"cannot say what changes: {error.message}")


def _reviews(projects: Sequence[HookProject]) -> Iterator["ChangeSummary"]:
    if not projects:
        return
    from promptops.versions.change_summary import summarize_change

    for project in projects:
        changes = project.changes()
        for text in changes.notes:
            note(text)
        yield from map(summarize_change, changes.pairs)


def _print(one: "ChangeSummary") -> None:
    print_styled([(one.pair.name, "bold"), (f" {one.headline}", "")])
    for change in one.changes:
        for number, line in enumerate([*change.lines, *map(str, change.texts)]):
            print_styled([(f"  {change.kind if number == 0 else '':<12} ", "dim"), (line, "")])
    for text in one.notes:
        print_styled([(f"  {text}", "dim")])


def _add_trailers(top: Settings, files: Sequence[Path]) -> int:
    from promptops.git.trailers import is_amending, write_trailers

    if len(files) != 1:
        raise Invalid("commit-msg takes the file of the message", hint='git names it to its hook: "$@"')
    span = find_revision_range(top, os.environ, amending=is_amending(top, files[0].read_bytes()))
    try:
        with touched_projects(top, os.environ, span) as projects:
            lines = [_trailer(one) for one in _reviews(projects)]
    except PromptopsError as error:
        note(f"no trailers of what changes in prompts: {error.message}")
        return 0
    write_trailers(top, files[0], lines)
    return 0


def _trailer(one: "ChangeSummary") -> str:
    from promptops.prompt import short_digest

    sides = (one.pair.old.prompt, one.pair.new.prompt)
    digests = " -> ".join(dict.fromkeys(short_digest(prompt.digest) for prompt in sides if prompt))
    return escape_line(f"{one.pair.name} {one.headline}" + (f" ({digests})" if digests else ""))

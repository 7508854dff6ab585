"""``promptops init``: what a repository needs to hold prompts."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from promptops.cli.scaffold import (
    DIFF_CONFIG,
    has_gitattributes,
    start_project,
    write_gitattributes,
    write_promote_script,
    write_workflows,
)
from promptops.config.settings import current_settings
from promptops.console import note, print_text


class CiProvider(StrEnum):
    GITHUB = "github"
    SCRIPT = "script"


CiOption = Annotated[
    CiProvider | None,
    typer.Option(
        "--ci",
        metavar="github|script",
        help="Also write workflows for pull requests and releases, or a script that promotes by proof.",
    ),
]
DriverOption = Annotated[
    bool, typer.Option("--diff-driver", help="Also let plain git diff and git log -p show prompts well.")
]


def init(ci: CiOption = None, diff_driver: DriverOption = False) -> None:
    """Start a prompts folder in this repository: a first prompt with cases, and what git should ignore.

    Safe to repeat: what exists is left as it is. The workflows of --ci github need no key: one lints pull
    requests and comments what they change, safe for forks, and one ticks releases. --ci script writes
    promote.sh, which starts a canary and ticks until it is decided.
    """
    settings = current_settings()
    written = start_project(settings)
    written += write_workflows(settings) if ci is CiProvider.GITHUB else []
    written += write_promote_script(settings) if ci is CiProvider.SCRIPT else []
    written += write_gitattributes(settings) if diff_driver else []
    for path in written:
        print_text(f"wrote {os.path.relpath(path)}")
    if not written:
        print_text("nothing to do: this repository has all that it needs")
    if diff_driver:
        note(f"once in each clone: {DIFF_CONFIG}")
    elif not has_gitattributes(settings):
        note("to see prompts well in plain git diff: promptops init --diff-driver")
    if ci is CiProvider.GITHUB:
        note("evals of pull requests need a key: see promptops-eval.yml, or delete it")
        note("before the first canary: set the variable PROMPTOPS_EXPORTS, see promptops-release.yml")
    elif ci is CiProvider.SCRIPT:
        note("to bring a version live: sh promote.sh NAME@REV")
    if any(path.name == "sentiment.yaml" for path in written):
        note("next: promptops run sentiment -i text='What a lovely evening.'")
    elif ci and written:
        note(f"next: git add {' '.join(os.path.relpath(path) for path in written)} && git commit")
    else:
        note("next: promptops list")

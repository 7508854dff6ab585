"""``promptops release init``: make the branch that holds what is released."""

from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, project_release_context
from promptops.console import print_json, print_text
from promptops.git.repo import STATE_BRANCH
from promptops.release.context import open_optional_registry

OwnersOption = Annotated[
    list[str] | None,
    typer.Option("--codeowners", metavar="@TEAM", help="Who reviews proposed releases; may be repeated."),
]


def release_init(
    codeowners: OwnersOption = None, local: LocalOption = False, as_json: JsonOption = False
) -> None:
    """Make the branch promptops-state, with a README and, if wanted, a CODEOWNERS file.

    It is not needed: the first release makes the branch too.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        commit = context.ledger.init(codeowners=tuple(codeowners or ()))
    if as_json:
        print_json({"branch": STATE_BRANCH, "commit": commit})
    else:
        print_text(f"{STATE_BRANCH} is at {commit[:12]}" if commit else f"{STATE_BRANCH} is there already")

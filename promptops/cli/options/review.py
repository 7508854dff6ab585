"""What verbs of review have in common: who reviews, and how rates are written."""

from typing import Annotated

import typer

from promptops.config.settings import Settings
from promptops.errors import Invalid

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The prompt.")]


def reviewer_name(settings: Settings) -> str:
    """Who is at the terminal, as git says. Raises Invalid where it does not know."""
    from promptops.git.state_branch import read_git_identity

    actor = read_git_identity(settings).actor
    if not actor:
        hint = 'git config user.name "Ada"; git config user.email ada@example.org'
        raise Invalid("git does not know who you are", hint=hint)
    return actor

"""``promptops rollback``: back to what was served before."""

from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    desk_here,
    unpushed,
    written_content,
)
from promptops.console import print_json, print_text
from promptops.release.actions.rollback import Withdrawn
from promptops.release.actions.rollback import rollback as rollback_
from promptops.release.context import at_hand, named_target

BackOption = Annotated[
    str | None, typer.Option("--to", metavar="REV", help="v12 or a commit; else the version before.")
]


def rollback(
    name: TargetArgument,
    to: BackOption = None,
    reason: ReasonOption = "",
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> int:
    """Undo: end the active canary, or serve the version before again. It holds at once, also offline.

    Exit code 5 says that the remote could not be told: other machines still serve the version.
    """
    with desk_here(local=local, registry=at_hand) as desk:
        done = rollback_(desk, named_target(desk, name), to=to, reason=reason)
    if as_json:
        print_json({**written_content(done.target, done.written), "taken": done.taken.version})
    else:
        print_text(f"{done.written.message}\n{done.stable.version} serves all calls of {done.target}")
    return here_only(done)


def here_only(done: Withdrawn) -> int:
    return unpushed(
        done.written, f"rolled back on this machine only; others still serve {done.taken.version}"
    )

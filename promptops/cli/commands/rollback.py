"""``promptops rollback``: back to what was served before."""

from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import to_option
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    print_removal,
    project_release_context,
)
from promptops.release.actions.rollback import roll_back as rollback_
from promptops.release.context import open_optional_registry, resolve_target

BackOption = Annotated[
    str | None,
    to_option("A version that has served before, v12 or a commit; else the last one.", metavar="REV"),
]


def rollback(
    name: TargetArgument,
    to: BackOption = None,
    reason: ReasonOption = "",
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> int:
    """Undo: end the active canary, or serve the version before again. It holds at once, also offline.

    Exit code 5 says that the remote could not be updated: other machines still serve the version.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        done = rollback_(context, resolve_target(context, name), to=to, reason=reason)
    return print_removal(done, "rolled back on this machine only; others still serve", as_json=as_json)

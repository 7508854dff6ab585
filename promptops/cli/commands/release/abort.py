"""``promptops release abort``."""

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
from promptops.release.actions.rollback import abort
from promptops.release.context import at_hand, named_target


def release_abort(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """End a canary; what was stable stays. It holds at once, also offline.

    Exit code 5 says that the remote could not be told: other machines still show the canary.
    """
    with desk_here(local=local, registry=at_hand) as desk:
        done = abort(desk, named_target(desk, name), reason=reason)
    if as_json:
        print_json({**written_content(done.target, done.written), "taken": done.taken.version})
    else:
        print_text(f"{done.written.message}\n{done.stable.version} serves all calls of {done.target}")
    return unpushed(done.written, f"aborted on this machine only; others still show {done.taken.version}")

"""``promptops release resume``."""

from promptops.commands.options import JsonOption
from promptops.commands.release_options import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    desk_here,
    told,
)
from promptops.release.by_hand import resume
from promptops.release.desk import at_hand, named_target


def release_resume(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Let a paused canary go on at the step where it was.

    One whose evidence is invalid goes on with new evidence, and needs --reason.
    """
    with desk_here(local=local, registry=at_hand) as desk:
        target = named_target(desk, name)
        return told(target, resume(desk, target, reason=reason), as_json=as_json)

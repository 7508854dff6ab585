"""``promptops release resume``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, desk_here, told
from promptops.release.actions.manual import resume
from promptops.release.context import at_hand, named_target


def release_resume(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Let a paused canary go on at the step where it was.

    One whose evidence is invalid goes on with new evidence, and needs --reason.
    """
    with desk_here(local=local, registry=at_hand) as desk:
        target = named_target(desk, name)
        return told(target, resume(desk, target, reason=reason), as_json=as_json)

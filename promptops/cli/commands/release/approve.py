"""``promptops release approve``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, desk_here, told
from promptops.release.actions.manual import approve
from promptops.release.context import at_hand, named_target


def release_approve(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Say yes to the step that waits for a person; the canary goes on to the next one."""
    with desk_here(local=local, registry=at_hand) as desk:
        target = named_target(desk, name)
        return told(target, approve(desk, target, reason=reason), as_json=as_json)

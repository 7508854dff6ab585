"""``promptops release approve``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, move_by_hand
from promptops.release.actions.manual import approve


def release_approve(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Approve the step that waits for a person; the canary goes on to the next one."""
    return move_by_hand(approve, name, reason, local=local, as_json=as_json)

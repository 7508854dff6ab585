"""``promptops release pause``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, move_by_hand
from promptops.release.actions.manual import pause


def release_pause(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Keep a canary at its weight. It is still rolled back when it does harm."""
    return move_by_hand(pause, name, reason, local=local, as_json=as_json)

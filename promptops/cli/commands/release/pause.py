"""``promptops release pause``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, desk_here, told
from promptops.release.actions.manual import pause
from promptops.release.context import at_hand, named_target


def release_pause(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Keep a canary at its weight. Harm still takes it back."""
    with desk_here(local=local, registry=at_hand) as desk:
        target = named_target(desk, name)
        return told(target, pause(desk, target, reason=reason), as_json=as_json)

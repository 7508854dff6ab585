"""``promptops shadow off``: leave a channel without a shadow."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ProposeOption,
    ReasonOption,
    TargetArgument,
    desk_here,
    told,
)
from promptops.release.actions.shadow import take_off
from promptops.release.context import named_target


def shadow_off(
    name: TargetArgument,
    reason: ReasonOption = "",
    local: LocalOption = False,
    propose: ProposeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take a channel's shadow away. What it has answered stays."""
    with desk_here(local=local, propose=propose) as desk:
        target = named_target(desk, name)
        return told(target, take_off(desk, target, reason), as_json=as_json)

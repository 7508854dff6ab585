"""``promptops shadow off``: leave a channel without a shadow."""

from promptops.commands.options import JsonOption
from promptops.commands.release_options import (
    LocalOption,
    ProposeOption,
    ReasonOption,
    TargetArgument,
    desk_here,
    told,
)
from promptops.release.desk import named_target
from promptops.release.shadowing import take_off


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

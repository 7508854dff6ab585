"""``promptops shadow off``: leave a channel without a shadow."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ProposeOption,
    ReasonOption,
    TargetArgument,
    print_transition,
    project_release_context,
)
from promptops.release.actions.shadow import disable_shadow
from promptops.release.context import resolve_target


def shadow_off(
    name: TargetArgument,
    reason: ReasonOption = "",
    local: LocalOption = False,
    propose: ProposeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take a channel's shadow away. What it has answered stays."""
    with project_release_context(local=local, propose=propose) as context:
        target = resolve_target(context, name)
        return print_transition(target, disable_shadow(context, target, reason), as_json=as_json)

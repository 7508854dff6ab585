"""``promptops release approve``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    print_transition,
    project_release_context,
)
from promptops.release.actions.manual import approve
from promptops.release.context import open_optional_registry, resolve_target


def release_approve(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Say yes to the step that waits for a person; the canary goes on to the next one."""
    with project_release_context(local=local, registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        return print_transition(target, approve(context, target, reason=reason), as_json=as_json)

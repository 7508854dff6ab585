"""``promptops release pause``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    print_transition,
    project_release_context,
)
from promptops.release.actions.manual import pause
from promptops.release.context import open_optional_registry, resolve_target


def release_pause(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Keep a canary at its weight. Harm still takes it back."""
    with project_release_context(local=local, registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        return print_transition(target, pause(context, target, reason=reason), as_json=as_json)

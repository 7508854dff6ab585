"""``promptops release resume``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    print_transition,
    project_release_context,
)
from promptops.release.actions.manual import resume
from promptops.release.context import open_optional_registry, resolve_target


def release_resume(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Let a paused canary go on at the step where it was.

    One whose evidence is invalid goes on with new evidence, and needs --reason.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        return print_transition(target, resume(context, target, reason=reason), as_json=as_json)

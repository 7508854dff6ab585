"""``promptops release abort``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    print_removal,
    project_release_context,
)
from promptops.release.actions.rollback import abort_canary
from promptops.release.context import open_optional_registry, resolve_target


def release_abort(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """End a canary; stable serves everybody again. It holds at once, also offline.

    Exit code 5 says that the remote could not be updated: other machines still show the canary.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        done = abort_canary(context, resolve_target(context, name), reason=reason)
    return print_removal(done, "aborted on this machine only; others still show", as_json=as_json)

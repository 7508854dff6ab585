"""``promptops release abort``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    project_release_context,
    report_unpushed,
    transition_data,
)
from promptops.console import print_json, print_text
from promptops.release.actions.rollback import abort_canary
from promptops.release.context import open_optional_registry, resolve_target


def release_abort(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """End a canary; stable serves everybody again. It holds at once, also offline.

    Exit code 5 says that the remote could not be told: other machines still show the canary.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        done = abort_canary(context, resolve_target(context, name), reason=reason)
    if as_json:
        print_json({**transition_data(done.target, done.written), "taken": done.removed.version})
    else:
        print_text(f"{done.written.message}\n{done.stable.version} serves all calls of {done.target}")
    return report_unpushed(
        done.written, f"aborted on this machine only; others still show {done.removed.version}"
    )

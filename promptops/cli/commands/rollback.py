"""``promptops rollback``: back to what was served before."""

from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import to_option
from promptops.cli.options.release import (
    LocalOption,
    ReasonOption,
    TargetArgument,
    project_release_context,
    report_unpushed,
    transition_data,
)
from promptops.console import print_json, print_text
from promptops.release.actions.rollback import RollbackResult
from promptops.release.actions.rollback import roll_back as rollback_
from promptops.release.context import open_optional_registry, resolve_target

BackOption = Annotated[str | None, to_option("v12 or a commit; else the version before.", metavar="REV")]


def rollback(
    name: TargetArgument,
    to: BackOption = None,
    reason: ReasonOption = "",
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> int:
    """Undo: end the active canary, or serve the version before again. It holds at once, also offline.

    Exit code 5 says that the remote could not be told: other machines still serve the version.
    """
    with project_release_context(local=local, registry=open_optional_registry) as context:
        done = rollback_(context, resolve_target(context, name), to=to, reason=reason)
    if as_json:
        print_json({**transition_data(done.target, done.written), "taken": done.removed.version})
    else:
        print_text(f"{done.written.message}\n{done.stable.version} serves all calls of {done.target}")
    return report_local_rollback(done)


def report_local_rollback(done: RollbackResult) -> int:
    return report_unpushed(
        done.written, f"rolled back on this machine only; others still serve {done.removed.version}"
    )

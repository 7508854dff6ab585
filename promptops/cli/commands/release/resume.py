"""``promptops release resume``."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, ReasonOption, TargetArgument, move_by_hand
from promptops.release.actions.manual import resume


def release_resume(
    name: TargetArgument, reason: ReasonOption = "", local: LocalOption = False, as_json: JsonOption = False
) -> int:
    """Let a paused canary go on at the step where it was.

    One whose evidence is invalid goes on with new evidence, and needs --reason.
    """
    return move_by_hand(resume, name, reason, local=local, as_json=as_json)

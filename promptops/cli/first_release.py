"""The first version of a channel: nothing can be compared, so somebody has to agree."""

from promptops.cli.options.release import print_transition, require_confirmation
from promptops.console import note
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.actions.promote_direct import release_first_version
from promptops.release.context import ReleaseContext


def confirm_first_release(
    context: ReleaseContext, found: ReleaseCandidate, reason: str, *, yes: bool, as_json: bool
) -> int:
    """Release the first version of a channel, when somebody agrees."""
    version, target = found.version, found.target
    note(f"{target} serves nothing yet, so there is nothing to compare with: all calls go to it at once")
    require_confirmation(f"release {version.pasteable} to all of {target.channel}?", yes=yes, needed=True)
    return print_transition(target, release_first_version(context, found, reason), as_json=as_json)

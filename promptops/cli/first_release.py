"""The first version of a channel: nothing can be compared, so somebody has to agree."""

from promptops.cli.options.release import ReleaseOptions, print_transition, require_confirmation
from promptops.console import note
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.actions.promote_direct import release_first_version
from promptops.release.context import ReleaseContext


def confirm_first_release(context: ReleaseContext, candidate: ReleaseCandidate, given: ReleaseOptions) -> int:
    """Release the first version of a channel, when somebody agrees."""
    version, target = candidate.version, candidate.target
    note(f"{target} serves nothing yet, so there is nothing to compare with: all calls go to it at once")
    question = f"release {version.pasteable} to all of {target.channel}?"
    require_confirmation(question, yes=given.yes, needed=True)
    written = release_first_version(context, candidate, given.reason)
    return print_transition(target, written, as_json=given.as_json)

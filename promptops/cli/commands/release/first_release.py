"""The first version of a channel: nothing can be compared, so somebody has to agree."""

from promptops.cli.options.release import agreed, told
from promptops.console import note
from promptops.release.actions.candidate import Candidate
from promptops.release.actions.promote import release_first
from promptops.release.context import Desk


def first(desk: Desk, found: Candidate, reason: str, *, yes: bool, as_json: bool) -> int:
    """Release the first version of a channel, when somebody agrees."""
    version, target = found.version, found.target
    note(f"{target} serves nothing yet, so there is nothing to compare with: all calls go to it at once")
    agreed(f"release {version.pasteable} to all of {target.channel}?", yes=yes, needed=True)
    return told(target, release_first(desk, found, reason), as_json=as_json)

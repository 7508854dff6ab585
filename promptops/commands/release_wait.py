"""``promptops release wait``: wait until a canary is decided."""

import math
from typing import Annotated

import typer

from promptops.commands.release_options import TargetArgument, desk_here
from promptops.output import print_text
from promptops.release.desk import at_hand, named_target
from promptops.release.waiting import timeout_s, wait

TimeoutOption = Annotated[str | None, typer.Option("--timeout", metavar="SPAN", help="At most 90s, 2h, 1d.")]


def release_wait(name: TargetArgument, timeout: TimeoutOption = None) -> int:
    """Wait until a canary is promoted (0) or taken back (1); 3 after --timeout, or where a person is needed.

    It only looks: `promptops tick`, in another process, is what decides.
    """
    most = math.inf if timeout is None else timeout_s(timeout)
    with desk_here(registry=at_hand) as desk:
        ended, sentence = wait(desk, named_target(desk, name), most)
    print_text(sentence)
    return ended

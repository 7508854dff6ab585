"""``promptops release wait``: wait until a canary is decided."""

import math
from typing import Annotated

import typer

from promptops.commands.options import JsonOption
from promptops.commands.release_options import TargetArgument, desk_here
from promptops.output import print_json, print_text
from promptops.release.desk import at_hand, named_target
from promptops.release.waiting import timeout_s, wait

TimeoutOption = Annotated[str | None, typer.Option("--timeout", metavar="SPAN", help="At most 90s, 2h, 1d.")]


def release_wait(name: TargetArgument, timeout: TimeoutOption = None, as_json: JsonOption = False) -> int:
    """Wait until a canary is promoted (0) or taken back (1); 3 after --timeout, or where a person is needed.

    It only looks: `promptops tick`, in another process, is what decides.
    """
    most = math.inf if timeout is None else timeout_s(timeout)
    with desk_here(registry=at_hand) as desk:
        target = named_target(desk, name)
        ended, sentence = wait(desk, target, most)
    if as_json:
        what = {"ended": ended.name.lower(), "sentence": sentence, "code": int(ended)}
        print_json({"prompt": target.prompt, "channel": target.channel, **what})
    else:
        print_text(sentence)
    return ended

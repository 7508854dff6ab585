"""``promptops release wait``: wait until a canary is decided."""

import math
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import timeout_option
from promptops.cli.options.release import TargetArgument, project_release_context
from promptops.console import print_json, print_text
from promptops.release.actions.wait import parse_timeout, wait
from promptops.release.context import open_optional_registry, resolve_target

TimeoutOption = Annotated[str | None, timeout_option("At most 90s, 2h, 1d.", metavar="SPAN")]


def release_wait(name: TargetArgument, timeout: TimeoutOption = None, as_json: JsonOption = False) -> int:
    """Wait until a canary is promoted (0) or rolled back (1); 3 after --timeout, or where a person is needed.

    It only looks: `promptops tick`, in another process, is what decides.
    """
    most = math.inf if timeout is None else parse_timeout(timeout)
    with project_release_context(registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        ended, sentence = wait(context, target, most)
    if as_json:
        what = {"ended": ended.name.lower(), "sentence": sentence, "code": int(ended)}
        print_json({"prompt": target.prompt, "channel": target.channel, **what})
    else:
        print_text(sentence)
    return ended

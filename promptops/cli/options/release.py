"""Options that the verbs of releases share, and how they say what was done."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from promptops.config.settings import here
from promptops.console import ask, note, print_json, print_text
from promptops.errors import Invalid, Unavailable
from promptops.git.remote import Unreachable
from promptops.registry.store import Registry
from promptops.release.context import Desk, Target, channel_of, open_desk
from promptops.release.ledger import Written

UNPUSHED = 5

ReleaseArgument = Annotated[
    str, typer.Argument(metavar="REF", help="NAME@REV or NAME:CHANNEL; never the working tree.")
]
TargetArgument = Annotated[
    str, typer.Argument(metavar="NAME[:CHANNEL]", help="Without a channel: production.")
]
TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME[:CHANNEL]]...", help="Without any: all.", show_default=False),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="CHANNEL", help="Where to; else production.")]
PlanOption = Annotated[str | None, typer.Option("--plan", metavar="PLAN", help="Follow this plan.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]
LocalOption = Annotated[
    bool, typer.Option("--local", help="Go on without the remote; `release sync` brings it there later.")
]
ProposeOption = Annotated[
    str | None,
    typer.Option("--propose", metavar="BRANCH", help="Write the commit to this branch, to be reviewed."),
]
UnreviewedOption = Annotated[
    bool, typer.Option("--unreviewed", help="Also what the reviewed branch has not; needs --reason.")
]
YesOption = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]


@contextmanager
def desk_here(
    *,
    local: bool | None = None,
    propose: str | None = None,
    registry: Callable[[Path], Registry] = Registry.open,
) -> Iterator[Desk]:
    """``local``: None where a verb has no such option, which is not offered then without the remote."""
    try:
        with open_desk(
            here(), now=time.time(), local=bool(local), propose=propose, registry=registry
        ) as desk:
            yield desk
    except Unreachable as error:
        if local is not None:
            raise
        raise Unavailable(error.message, hint="try again when it can be reached") from error


def agreed(question: str, *, yes: bool, needed: bool = False) -> None:
    """Ask on a terminal. Off one, ``needed`` wants --yes. Raises Invalid without it, and for a no."""
    if yes:
        return
    if sys.stdin.isatty():
        if not ask(question):
            raise Invalid("nothing was done", hint="")
    elif needed:
        raise Invalid(question.rstrip("?") + ": nobody is here to be asked", hint="--yes says yes to it")


def told(target: Target, written: Written, *, as_json: bool = False, **more: Any) -> int:
    """Say what was written. The exit code: 5 where the remote does not have it."""
    if as_json:
        print_json({**written_content(target, written), **more})
    elif not written.changed:
        print_text("nothing to do: it is so already")
    elif written.proposed:
        print_text(f"proposed on the branch {written.proposed}: {written.message}")
    else:
        print_text(written.message)
    return unpushed(written)


def unpushed(written: Written, live: str = "") -> int:
    """Say what the remote does not have; 5 for that, else 0."""
    if written.pushed is not False:
        return 0
    what = live or "it holds on this machine only"
    note(f"{what}; retry: promptops release sync" + (f"\n  {written.problem}" if written.problem else ""))
    return UNPUSHED if written.problem else 0


def written_content(target: Target, written: Written) -> Mapping[str, Any]:
    state = channel_of(written.state, target.channel)
    rollout = state.rollout
    return {
        "prompt": target.prompt,
        "channel": target.channel,
        "changed": written.changed,
        "move": str(written.transition.move) if written.transition else None,
        "message": written.message or None,
        "commit": written.commit,
        "pushed": written.pushed,
        "proposed": written.proposed,
        "stable": state.stable.version if state.stable else None,
        "canary": rollout.canary.version if rollout else None,
        "rollout": rollout.id if rollout else None,
        "phase": rollout.phase if rollout else None,
        "step": rollout.step if rollout else None,
        "weight_bp": rollout.weight_bp if rollout else 0,
    }

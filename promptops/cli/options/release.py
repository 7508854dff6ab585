"""Options that the verbs of releases share, and how they say what was done."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass  # whose parameters become options
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import plan_option, to_option
from promptops.cli.progress import transfer_line
from promptops.config.registry_location import RegistryLocation
from promptops.config.settings import current_settings
from promptops.console import confirm, note, print_json, print_text
from promptops.errors import ExitCode, Invalid, Unavailable, WrongUsage
from promptops.git.remote import RemoteUnreachable
from promptops.registry import RegistryDatabase
from promptops.release.context import (
    ReleaseContext,
    Target,
    channel_state,
    open_optional_registry,
    open_release_context,
    resolve_target,
)
from promptops.release.ledger import TransitionResult

if TYPE_CHECKING:  # most verbs end no canary
    from promptops.release.actions.rollback import RollbackResult

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
ToOption = Annotated[str | None, to_option("Where to; else production.", metavar="CHANNEL")]
PlanOption = Annotated[str | None, plan_option("Follow this plan.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")]
LocalOption = Annotated[
    bool, typer.Option("--local", help="Go on without the remote; `release sync` pushes it later.")
]
ProposeOption = Annotated[
    str | None,
    typer.Option("--propose", metavar="BRANCH", help="Write the commit to this branch, to be reviewed."),
]
UnreviewedOption = Annotated[
    bool,
    typer.Option(
        "--unreviewed", help="Allow a version that is not on the source branch (requires --reason)."
    ),
]
YesOption = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """What ``canary`` and ``promote`` have in common, as a group of options."""

    to: ToOption = None
    plan: PlanOption = None
    unreviewed: UnreviewedOption = False
    reason: ReasonOption = ""
    yes: YesOption = False
    local: LocalOption = False
    propose: ProposeOption = None
    as_json: JsonOption = False


class ManualAction(Protocol):
    def __call__(self, context: ReleaseContext, target: Target, *, reason: str) -> TransitionResult: ...


@contextmanager
def project_release_context(
    *,
    local: bool | None = None,
    propose: str | None = None,
    registry: Callable[[RegistryLocation], RegistryDatabase] = RegistryDatabase.open,
) -> Iterator[ReleaseContext]:
    """``local``: None where a verb has no such option, which is not offered then without the remote."""
    try:
        with open_release_context(
            current_settings(),
            local=bool(local),
            propose=propose,
            registry=registry,
            on_transfer=transfer_line(),
        ) as context:
            yield context
    except RemoteUnreachable as error:
        if local is not None:
            raise
        raise Unavailable(error.message, hint="try again when it can be reached") from error


def require_confirmation(question: str, *, yes: bool, needed: bool = False) -> None:
    """Ask on a terminal; off one, ``needed`` wants --yes."""
    if yes:
        return
    if sys.stdin.isatty():
        if not confirm(question):
            raise Invalid("nothing was done", hint="")
    elif needed:
        raise WrongUsage(
            f"{question} This is not a terminal, so nobody can be asked", hint="use --yes to confirm"
        )


def move_by_hand(action: ManualAction, name: str, reason: str, *, local: bool, as_json: bool) -> int:
    """What ``release approve``, ``pause`` and ``resume`` do: one move that a person decides."""
    with project_release_context(local=local, registry=open_optional_registry) as context:
        target = resolve_target(context, name)
        return print_transition(target, action(context, target, reason=reason), as_json=as_json)


def print_transition(target: Target, written: TransitionResult, *, as_json: bool = False, **more: Any) -> int:
    """Say what was written. The exit code: 5 where the remote does not have it."""
    if as_json:
        print_json({**transition_data(target, written), **more})
    elif not written.changed:
        print_text("nothing to do: already in that state")
    elif written.proposed:
        print_text(f"proposed on the branch {written.proposed}: {written.message}")
    else:
        print_text(written.message)
    return report_unpushed(written)


def print_removal(done: "RollbackResult", elsewhere: str, *, as_json: bool) -> int:
    """Say what serves everybody now. ``elsewhere``: what other machines do while the remote lacks it."""
    if as_json:
        print_json({**transition_data(done.target, done.written), "taken": done.removed.version})
    else:
        print_text(f"{done.written.message}\n{done.stable.version} serves all calls of {done.target}")
    return report_unpushed(done.written, f"{elsewhere} {done.removed.version}")


def report_unpushed(written: TransitionResult, live: str = "") -> int:
    """Say what the remote does not have; 5 for that, else 0."""
    if written.pushed is not False:
        return 0
    what = live or "it holds on this machine only"
    note(f"{what}; retry: promptops release sync" + (f"\n  {written.problem}" if written.problem else ""))
    return ExitCode.UNAVAILABLE if written.problem else ExitCode.OK


def transition_data(target: Target, written: TransitionResult) -> Mapping[str, Any]:
    state = channel_state(written.state, target.channel)
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

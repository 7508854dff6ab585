"""``promptops canary``: show a version to a few users."""

from typing import Annotated

import typer

from promptops.cli.commands.release.first_release import first
from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    LocalOption,
    PlanOption,
    ProposeOption,
    ReasonOption,
    ReleaseArgument,
    ToOption,
    UnreviewedOption,
    YesOption,
    agreed,
    desk_here,
    told,
)
from promptops.console import note
from promptops.release.actions.canary import Prepared, Start, begin, forecast_of, prepare
from promptops.release.actions.candidate import Candidate
from promptops.release.context import Desk

SupersedeOption = Annotated[
    bool, typer.Option("--supersede", help="Abort another canary that is active there.")
]
AnewOption = Annotated[
    bool,
    typer.Option("--new-evidence", help="Do not go on with what this pair has shown before; needs --reason."),
]


def canary(
    reference: ReleaseArgument,
    to: ToOption = None,
    plan: PlanOption = None,
    supersede: SupersedeOption = False,
    new_evidence: AnewOption = False,
    unreviewed: UnreviewedOption = False,
    reason: ReasonOption = "",
    yes: YesOption = False,
    local: LocalOption = False,
    propose: ProposeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show a version to a few users of a channel, and move on by the evidence that `tick` finds.

    The first version of a channel has nothing to be compared with: it serves everybody at once.
    """
    start = Start(
        reference=reference,
        channel=to,
        plan=plan,
        supersede=supersede,
        new_evidence=new_evidence,
        unreviewed=unreviewed,
        reason=reason,
    )
    with desk_here(local=local, propose=propose) as desk:
        found = prepare(desk, start)
        if isinstance(found, Candidate):
            return first(desk, found, reason, yes=yes, as_json=as_json)
        _foretell(desk, found, yes=yes)
        written = begin(desk, found)
        code = told(found.target, written, as_json=as_json)
        if not written.proposed:
            if found.rollout.phase == "shadow":
                note(f"next: promptops shadow run --rollout {found.target}, then tick")
            else:
                note(f"next: promptops tick {found.target}")
        return code


def _foretell(desk: Desk, found: Prepared, *, yes: bool) -> None:
    note(f"plan {found.plan.name}: {forecast_of(desk, found).sentence}")
    version, shadow = found.candidate.version, found.plan.shadow
    if shadow:
        most = f", {shadow.max_usd:.2f} USD at most" if shadow.max_usd is not None else ""
        note(f"its shadow phase makes {shadow.sample} calls of the canary{most}")
    agreed(f"start the canary {version.pasteable} on {found.target}?", yes=yes, needed=shadow is not None)

"""``promptops canary``: send a share of a channel's traffic to a version."""

from typing import Annotated

import typer

from promptops.cli.first_release import confirm_first_release
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.release import (
    ReleaseArgument,
    ReleaseOptions,
    print_transition,
    project_release_context,
    require_confirmation,
)
from promptops.console import note
from promptops.release.actions.canary import (
    CanaryRequest,
    PreparedCanary,
    forecast_canary,
    prepare_canary,
    start_canary,
)
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.actions.pinned_plan import tail_notes
from promptops.release.actions.promote_direct import rollback_sentence
from promptops.release.context import ReleaseContext
from promptops.release.plan.quality import quality_notes
from promptops.release.reconcile import phase_gate

SupersedeOption = Annotated[
    bool, typer.Option("--supersede", help="Abort another canary that is active there.")
]
NewEvidenceOption = Annotated[
    bool,
    typer.Option("--new-evidence", help="Do not go on with what this pair has shown before; needs --reason."),
]


@with_option_groups(given=ReleaseOptions)
def canary(
    reference: ReleaseArgument,
    *,
    supersede: SupersedeOption = False,
    new_evidence: NewEvidenceOption = False,
    given: ReleaseOptions,
) -> int:
    """Start a canary: send a share of a channel's traffic to a version. `tick` moves it on.

    The first version of a channel has nothing to be compared with: it serves everybody at once.
    """
    start = CanaryRequest(
        reference=reference,
        channel=given.to,
        plan=given.plan,
        supersede=supersede,
        new_evidence=new_evidence,
        unreviewed=given.unreviewed,
        reason=given.reason,
    )
    with project_release_context(local=given.local, propose=given.propose) as context:
        prepared = prepare_canary(context, start)
        if isinstance(prepared, ReleaseCandidate):
            return confirm_first_release(context, prepared, given)
        _confirm_forecast(context, prepared, yes=given.yes)
        written = start_canary(context, prepared)
        code = print_transition(prepared.target, written, as_json=given.as_json)
        if not written.proposed:
            _print_next_step(context, prepared)
        return code


def _print_next_step(context: ReleaseContext, started: PreparedCanary) -> None:
    """The command that makes what the first phase waits for; a tick where nothing has to be made."""
    target, rollout = started.target, started.rollout
    gate = phase_gate(
        context, target, started.stable, rollout, started.plan, version=started.candidate.version
    )
    if gate and gate.command and gate.verdict is None:
        note(f"next: {gate.command}, then promptops tick {target}")
    else:
        note(f"next: promptops tick {target}")


def _confirm_forecast(context: ReleaseContext, found: PreparedCanary, *, yes: bool) -> None:
    forecast = forecast_canary(context, found, starting=True)
    note(f"plan {found.plan.name}: {forecast.sentence}")
    for each in (forecast.advice, *quality_notes(found.plan), *tail_notes(found.plan)):
        if each:
            note(each)
    version, shadow = found.candidate.version, found.plan.shadow
    if shadow:
        most = f", {shadow.max_usd:.2f} USD at most" if shadow.max_usd is not None else ""
        note(f"its shadow phase makes {shadow.sample} calls of the canary{most}")
    if found.skipped:
        note(f"the plan of {found.target} has steps that this one lacks: {', '.join(found.skipped)}")
    if before := rollback_sentence(context, found.target, version.prompt.digest):
        note(f"{version.pasteable}: {before}")
    if found.skipped:
        question = f"go past {', '.join(found.skipped)}?"
        require_confirmation(question, yes=yes, needed=True)
    require_confirmation(
        f"start the canary {version.pasteable} on {found.target}?", yes=yes, needed=shadow is not None
    )

"""``promptops promote``: serve a version to everybody."""

from typing import Annotated

import typer

from promptops.cli.first_release import confirm_first_release
from promptops.cli.options.flags import force_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.release import (
    ReleaseOptions,
    print_transition,
    project_release_context,
    require_confirmation,
)
from promptops.console import note, print_json
from promptops.release.actions.promote import first_release_candidate
from promptops.release.actions.promote import promote_version as promote_
from promptops.release.actions.promote_direct import DirectPromotion, preview_direct_promotion
from promptops.release.actions.promote_request import PromoteRequest, PromoteResult

NameArgument = Annotated[
    str,
    typer.Argument(metavar="REF", help="NAME for the active canary; else NAME@REV or NAME:CHANNEL."),
]
ForceOption = Annotated[bool, force_option("Whatever the evidence says; needs --reason, and is recorded.")]


@with_option_groups(given=ReleaseOptions)
def promote(reference: NameArgument, *, force: ForceOption = False, given: ReleaseOptions) -> int:
    """Serve a version to everybody: the active canary when its evidence is in, or a version by its eval.

    A canary that waits for a person, or is not at its last step, and a version that would go past the plan of
    its channel need --force with --reason, or --yes; what is skipped is recorded. Exit code 1 says that
    something is worse, 3 that the evidence is not in yet.
    """
    request = PromoteRequest(
        reference=reference,
        channel=given.to,
        plan=given.plan,
        force=force,
        unreviewed=given.unreviewed,
        reason=given.reason,
    )
    with project_release_context(local=given.local, propose=given.propose) as context:
        candidate = first_release_candidate(context, request)
        if candidate:
            return confirm_first_release(context, candidate, given)
        if past := preview_direct_promotion(context, request):
            _confirm_past_plan(reference, past, yes=given.yes)
        return _print_promotion(reference, promote_(context, request), as_json=given.as_json)


def _confirm_past_plan(reference: str, past: DirectPromotion, *, yes: bool) -> None:
    """Say what is gone past, and have somebody agree."""
    if past.skipped:
        note(f"{past.target} is released by the plan {past.plan}; this skips {', '.join(past.skipped)}")
        note(f"  promptops canary {reference} --to {past.target.channel} follows the plan")
    if past.rolled_back:
        note(f"{reference}: {past.rolled_back}")
    require_confirmation(f"serve {reference} to everybody on {past.target}?", yes=yes, needed=True)


def _print_promotion(reference: str, done: PromoteResult, *, as_json: bool) -> int:
    if done.written is None:
        if as_json:
            print_json(
                {"prompt": done.target.prompt, "channel": done.target.channel, "reasons": list(done.reasons)}
            )
        note(f"{done.target} is not promoted:")
    code = done.code if done.written is None else print_transition(done.target, done.written, as_json=as_json)
    for reason in done.reasons:
        note(f"  {reason}")
    if done.command:
        note(f"  run: {done.command}; then promptops tick {done.target}")
    elif done.written is None:
        note(f'  promptops promote {reference} --to {done.target.channel} --force --reason "…" overrides')
    return code

"""How a version comes to serve everybody: by proof, by the plan ``direct``, or because somebody insists."""

from promptops.errors import Invalid
from promptops.release.actions.authors import authors_of_change
from promptops.release.actions.candidate import ReleaseCandidate, require_reason, resolve_candidate
from promptops.release.actions.promote_direct import promote_directly
from promptops.release.actions.promote_request import NO, UNDECIDED, PromoteRequest, PromoteResult
from promptops.release.context import ReleaseContext, Target, active_rollout, resolve_target
from promptops.release.proof import missing_proof, promotion_reason
from promptops.release.reconcile import (
    Assessment,
    apply_if_unchanged,
    assess,
    assessment_evidence,
)
from promptops.release.rules import Move, Transition, skipped_steps
from promptops.stats.verdicts import Verdict
from promptops.versions.references import parse_reference
from promptops.versions.release_state import Rollout


def first_release_candidate(context: ReleaseContext, wanted: PromoteRequest) -> ReleaseCandidate | None:
    """The version, when it is the first on its channel: nothing can be compared, so somebody must agree."""
    require_reason(wanted.reason, {"--force": wanted.force, "--unreviewed": wanted.unreviewed})
    context.ledger.refresh()
    reference = parse_reference(wanted.reference, context.settings)
    if reference.rev is None and reference.channel is None:
        return None
    chosen = resolve_candidate(context, wanted.reference, wanted.channel, unreviewed=wanted.unreviewed)
    return chosen if context.channel(chosen.target).stable is None else None


def promote_version(context: ReleaseContext, wanted: PromoteRequest) -> PromoteResult:
    """Finish the active canary by its evidence, or release a version through the plan ``direct``."""
    reference = parse_reference(wanted.reference, context.settings)
    if reference.rev is None and reference.channel is None:
        return _promote_canary(context, resolve_target(context, reference.name, wanted.channel), wanted)
    chosen = resolve_candidate(context, wanted.reference, wanted.channel, unreviewed=wanted.unreviewed)
    active = context.channel(chosen.target).rollout
    if active and active.canary.digest == chosen.version.prompt.digest:
        return _promote_canary(context, chosen.target, wanted)
    return promote_directly(context, wanted)


# the active canary


def _promote_canary(context: ReleaseContext, target: Target, wanted: PromoteRequest) -> PromoteResult:
    rollout = active_rollout(context.channel(target), target)
    skipped = skipped_steps(rollout, context.ledger.plan(rollout.plan))
    if skipped and not wanted.force:
        raise _unfinished_error(target, rollout, skipped)
    look = assess(context, target)
    no, open_ = _objections(look)
    if (no or open_) and not wanted.force:
        return PromoteResult(target=target, code=NO if no else UNDECIDED, reasons=no or open_)
    overrides = "; overrides: " + "; ".join((*no, *open_)) if no or open_ else ""
    shown = promotion_reason(look.plan, look.findings) if look.plan and look.findings else ""
    due = Transition(
        move=Move.PROMOTE,
        reason=f"{wanted.reason or shown}{overrides}",
        verdict=Verdict.WORSE if no else Verdict.UNDECIDED if open_ else Verdict.NOT_WORSE,
        forced=bool(overrides or skipped),
        skipped=skipped,
        authors=authors_of_change(context, target, rollout.canary),
        rollout=look.rollout,
    )
    written = context.ledger.commit_transition(
        target.prompt,
        target.channel,
        apply_if_unchanged(target, due, by_person=True),
        now=context.now,
        evidence=assessment_evidence(look),
    )
    if not written.changed:
        raise Invalid(f"the canary of {target} has moved meanwhile", hint=f"promptops status {target}")
    return PromoteResult(target=target, written=written)


def _unfinished_error(target: Target, rollout: Rollout, skipped: tuple[str, ...]) -> Invalid:
    awaits = "awaits a person" if rollout.phase == "awaiting" else f"is {rollout.phase}"
    return Invalid(
        f"the canary {rollout.canary.version} of {target} {awaits}, and its plan is not done: "
        f"promote would skip {', '.join(skipped)}",
        hint=f"promptops release approve {target} says yes to a step; "
        '--force --reason "…" skips them all, on record',
    )


def _objections(look: Assessment) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What speaks against a promotion, and what only is not shown yet."""
    if look.plan is None or look.findings is None or look.rollout is None or look.decision is None:
        return ("no canary is active",), ()
    due = look.decision.transition
    no = [due.reason] if due and due.move in (Move.ROLLBACK, Move.INVALIDATE) else []
    if look.rollout.phase == "invalid":
        no.append(f"the evidence is invalid: {look.rollout.reason}")
    gates = look.decision.holds if look.rollout.phase in ("eval", "shadow") else ()
    short = (
        (f"{look.findings.short_of:,} calls fewer here than the committed evidence has",)
        if look.findings.short_of
        else ()
    )
    return tuple(no), (*gates, *short, *missing_proof(look.plan, look.findings))

"""How a version comes to serve everybody: by proof, by the plan ``direct``, or because somebody insists."""

from dataclasses import dataclass

from promptops.errors import Invalid
from promptops.release.actions.canary import CanaryRequest, PreparedCanary, prepare_canary, start_canary
from promptops.release.actions.candidate import ReleaseCandidate, require_reason, resolve_candidate
from promptops.release.analysis.findings import GateFinding
from promptops.release.context import ReleaseContext, Target, active_rollout, channel_state, resolve_target
from promptops.release.ledger import TransitionResult
from promptops.release.plan.types import ReleasePlan
from promptops.release.reconcile import (
    Assessment,
    apply_if_unchanged,
    assess,
    assessment_evidence,
    eval_gate_for,
)
from promptops.release.rules import Move, Transition, missing_proof
from promptops.stats.verdicts import Verdict
from promptops.versions.references import parse_reference
from promptops.versions.release_state import ReleaseState

NO, UNDECIDED = 1, 3
DIRECT = "direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteRequest:
    """What is asked for. ``force`` needs a reason, and what it overrides is recorded."""

    reference: str
    channel: str | None = None
    plan: str | None = None
    force: bool = False
    unreviewed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteResult:
    """``code``: 0 when it serves everybody now or waits for its eval, else why not in ``reasons``."""

    target: Target
    code: int = 0
    written: TransitionResult | None = None
    reasons: tuple[str, ...] = ()
    command: str | None = None  # what makes the results that are missing


def first_release_candidate(context: ReleaseContext, wanted: PromoteRequest) -> ReleaseCandidate | None:
    """The version, when it is the first on its channel: nothing can be compared, so somebody must agree."""
    require_reason(wanted.reason, {"--force": wanted.force, "--unreviewed": wanted.unreviewed})
    context.ledger.refresh()
    reference = parse_reference(wanted.reference, context.settings)
    if reference.rev is None and reference.channel is None:
        return None
    chosen = resolve_candidate(context, wanted.reference, wanted.channel, unreviewed=wanted.unreviewed)
    return chosen if context.channel(chosen.target).stable is None else None


def release_first_version(
    context: ReleaseContext, chosen: ReleaseCandidate, reason: str = ""
) -> TransitionResult:
    """Serve a channel's first version to everybody, at once."""
    target = chosen.target

    def change(head: ReleaseState | None) -> Transition:
        if channel_state(head, target.channel).stable:
            raise Invalid(f"{target} has been released meanwhile", hint=f"promptops status {target}")
        return Transition(move=Move.RELEASE, reason=reason, stable=chosen.released)

    return context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, version=chosen.version
    )


def promote_version(context: ReleaseContext, wanted: PromoteRequest) -> PromoteResult:
    """Finish the active canary by its evidence, or release a version through the plan ``direct``."""
    reference = parse_reference(wanted.reference, context.settings)
    if reference.rev is None and reference.channel is None:
        return _promote_canary(context, resolve_target(context, reference.name, wanted.channel), wanted)
    chosen = resolve_candidate(context, wanted.reference, wanted.channel, unreviewed=wanted.unreviewed)
    active = context.channel(chosen.target).rollout
    if active and active.canary.digest == chosen.version.prompt.digest:
        return _promote_canary(context, chosen.target, wanted)
    return _promote_direct(context, wanted)


# the active canary


def _promote_canary(context: ReleaseContext, target: Target, wanted: PromoteRequest) -> PromoteResult:
    active_rollout(context.channel(target), target)
    look = assess(context, target)
    no, open_ = _objections(look)
    if (no or open_) and not wanted.force:
        return PromoteResult(target=target, code=NO if no else UNDECIDED, reasons=no or open_)
    overrides = "; overrides: " + "; ".join((*no, *open_)) if no or open_ else ""
    due = Transition(
        move=Move.PROMOTE,
        reason=f"{wanted.reason or 'every guard is not worse'}{overrides}",
        verdict=Verdict.WORSE if no else Verdict.UNDECIDED if open_ else Verdict.NOT_WORSE,
        forced=bool(overrides),
        rollout=look.rollout,
    )
    written = context.ledger.commit_transition(
        target.prompt,
        target.channel,
        apply_if_unchanged(target, due),
        now=context.now,
        evidence=assessment_evidence(look),
    )
    if not written.changed:
        raise Invalid(f"the canary of {target} has moved meanwhile", hint=f"promptops status {target}")
    return PromoteResult(target=target, written=written)


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


# without a canary


def _promote_direct(context: ReleaseContext, wanted: PromoteRequest) -> PromoteResult:
    start = CanaryRequest(
        reference=wanted.reference,
        channel=wanted.channel,
        plan=wanted.plan or DIRECT,
        unreviewed=wanted.unreviewed,
        reason=wanted.reason,
    )
    prepared = prepare_canary(context, start, fresh=True)
    if not isinstance(prepared, PreparedCanary):
        return PromoteResult(
            target=prepared.target, written=release_first_version(context, prepared, wanted.reason)
        )
    gate = _eval_gate_of(context, prepared)
    target = prepared.target
    no = gate.verdict is Verdict.WORSE
    waits = not _gate_passes(gate, prepared.plan)
    if not wanted.force and no:
        return PromoteResult(target=target, code=NO, reasons=(gate.sentence,))
    if not wanted.force and waits:
        return PromoteResult(
            target=target,
            written=start_canary(context, prepared),
            reasons=(gate.sentence,),
            command=gate.command,
        )
    forced = no or waits
    reason = f"{wanted.reason}; overrides: {gate.sentence}" if forced else wanted.reason or gate.sentence
    due = Transition(
        move=Move.RELEASE,
        reason=reason,
        verdict=str(gate.verdict or ""),
        forced=forced,
        stable=prepared.candidate.released,
    )
    return PromoteResult(target=target, written=_release_directly(context, prepared, due))


def _release_directly(context: ReleaseContext, prepared: PreparedCanary, due: Transition) -> TransitionResult:
    target = prepared.target

    def change(head: ReleaseState | None) -> Transition:
        if channel_state(head, target.channel).stable != prepared.stable:
            raise Invalid(
                f"{target} serves another version than a moment ago", hint=f"promptops status {target}"
            )
        return due

    return context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, version=prepared.candidate.version
    )


def _eval_gate_of(context: ReleaseContext, prepared: PreparedCanary) -> GateFinding:
    if prepared.plan.steps:
        raise Invalid(
            f"the plan {prepared.plan.name} has steps: it starts a canary",
            hint=f"promptops canary {prepared.candidate.version.pasteable} --plan {prepared.plan.name}",
        )
    if prepared.plan.eval is None:
        return GateFinding(verdict=None, sentence="the plan asks for no eval", absent=True)
    return eval_gate_for(context, prepared.target, prepared.candidate.version, prepared.stable, prepared.plan)


def _gate_passes(gate: GateFinding, plan: ReleasePlan) -> bool:
    if gate.verdict is None:
        return gate.absent
    strict = plan.eval is not None and plan.eval.require == "not_worse"
    return gate.verdict is not Verdict.WORSE and not (strict and gate.verdict is Verdict.UNDECIDED)

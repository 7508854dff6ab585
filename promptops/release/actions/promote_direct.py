"""A version that goes live with no canary: the first of its channel, or by the plan ``direct``."""

from dataclasses import replace

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.release.actions.authors import authors_of_change
from promptops.release.actions.canary import CanaryRequest, PreparedCanary, prepare_canary, start_canary
from promptops.release.actions.candidate import ReleaseCandidate, resolve_candidate
from promptops.release.actions.promote_request import DIRECT, NO, PromoteRequest, PromoteResult
from promptops.release.analysis.findings import GateFinding
from promptops.release.context import ReleaseContext, Target, channel_state
from promptops.release.ledger import TransitionResult
from promptops.release.plan import plan_for
from promptops.release.plan.types import ReleasePlan
from promptops.release.reconcile import eval_gate_for
from promptops.release.steps import gate_phases, step_names
from promptops.release.transitions import FAIL_SAFE, Move, Transition
from promptops.stats.verdicts import Verdict
from promptops.versions.references import parse_reference
from promptops.versions.release_state import ReleaseState


def release_first_version(
    context: ReleaseContext, chosen: ReleaseCandidate, reason: str = ""
) -> TransitionResult:
    """Serve a channel's first version to everybody, at once."""
    target = chosen.target
    authors = authors_of_change(context, target, chosen.released, chosen.version)

    def change(head: ReleaseState | None) -> Transition:
        if channel_state(head, target.channel).stable:
            raise Invalid(f"{target} has been released meanwhile", hint=f"promptops status {target}")
        return Transition(move=Move.RELEASE, reason=reason, stable=chosen.released, authors=authors)

    return context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, version=chosen.version
    )


def promote_directly(context: ReleaseContext, wanted: PromoteRequest) -> PromoteResult:
    start = CanaryRequest(
        reference=wanted.reference,
        channel=wanted.channel,
        plan=_plan(wanted),
        unreviewed=wanted.unreviewed,
        reason=wanted.reason,
    )
    prepared = prepare_canary(context, start, fresh=True)
    if not isinstance(prepared, PreparedCanary):
        return PromoteResult(
            target=prepared.target, written=release_first_version(context, prepared, wanted.reason)
        )
    prepared = replace(prepared, skipped=_skipped_rules(prepared))
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
    overrides = no or waits
    reason = f"{wanted.reason}; overrides: {gate.sentence}" if overrides else wanted.reason or gate.sentence
    due = Transition(
        move=Move.RELEASE,
        reason=reason,
        verdict=str(gate.verdict or ""),
        forced=overrides or bool(prepared.skipped),
        skipped=prepared.skipped,
        authors=authors_of_change(context, target, prepared.candidate.released, prepared.candidate.version),
        stable=prepared.candidate.released,
    )
    return PromoteResult(target=target, written=_release_directly(context, prepared, due))


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectPromotion:
    """What somebody has to know before a version goes live past the plan of its channel."""

    target: Target
    plan: str
    skipped: tuple[str, ...]
    rolled_back: str  # a sentence, where the version was rolled back before


def preview_direct_promotion(context: ReleaseContext, wanted: PromoteRequest) -> DirectPromotion | None:
    """What a promotion that names a version would go past; None where it goes past nothing."""
    reference = parse_reference(wanted.reference, context.settings)
    if reference.rev is None and reference.channel is None:
        return None
    chosen = resolve_candidate(context, wanted.reference, wanted.channel, unreviewed=wanted.unreviewed)
    state, digest = context.channel(chosen.target), chosen.version.prompt.digest
    if state.stable is None or digest in (state.stable.digest, state.canary and state.canary.digest):
        return None
    own = plan_for(chosen.file, chosen.target.prompt, chosen.target.channel)
    skipped = _rules_past(
        own, plan_for(chosen.file, chosen.target.prompt, chosen.target.channel, _plan(wanted))
    )
    before = rollback_sentence(context, chosen.target, digest)
    if not skipped and not before:
        return None
    return DirectPromotion(target=chosen.target, plan=own.name, skipped=skipped, rolled_back=before)


def rollback_sentence(context: ReleaseContext, target: Target, digest: str) -> str:
    """By whom, when and why a version was last rolled back from a channel; "" where it never was."""
    for record in context.ledger.log(target.prompt, target.channel):
        done = record.transition
        gone = done.rollout.canary if done.rollout else None
        if done.move in FAIL_SAFE and digest in (done.replaces, gone and gone.digest):
            after = record.after.stable
            if after is None or after.digest != digest:
                who = done.actor or "somebody"
                return (
                    f"it was rolled back from {target} at {record.at} by {who}: {done.reason or 'no reason'}"
                )
    return ""


def _plan(wanted: PromoteRequest) -> str:
    return wanted.plan or DIRECT


def _skipped_rules(prepared: PreparedCanary) -> tuple[str, ...]:
    chosen = prepared.candidate
    return _rules_past(plan_for(chosen.file, chosen.target.prompt, chosen.target.channel), prepared.plan)


def _rules_past(own: ReleasePlan, chosen: ReleasePlan) -> tuple[str, ...]:
    """What the channel's own plan asks for and the chosen one does not: gates and steps, by name."""
    if own.name == chosen.name:
        return ()
    gates = [f"the {gate} gate" for gate in gate_phases(own) if gate not in gate_phases(chosen)]
    strict = own.eval and chosen.eval and own.eval.require == "not_worse" != chosen.eval.require
    return (
        *gates,
        *(("the eval gate's `not_worse`",) if strict else ()),
        *step_names(own)[len(chosen.steps) :],
    )


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
            hint=f"promptops canary {prepared.candidate.version.pasteable} --to {prepared.target.channel} "
            f"--plan {prepared.plan.name}",
        )
    if prepared.plan.eval is None:
        return GateFinding(verdict=None, sentence="the plan asks for no eval", absent=True)
    return eval_gate_for(context, prepared.target, prepared.candidate.version, prepared.stable, prepared.plan)


def _gate_passes(gate: GateFinding, plan: ReleasePlan) -> bool:
    if gate.verdict is None:
        return gate.absent
    strict = plan.eval is not None and plan.eval.require == "not_worse"
    return gate.verdict is not Verdict.WORSE and not (strict and gate.verdict is Verdict.UNDECIDED)

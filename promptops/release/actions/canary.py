"""How a version meets its first users: as a canary beside what is stable."""

from dataclasses import replace

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.release.actions.authors import authors_of_change
from promptops.release.actions.candidate import ReleaseCandidate, require_reason, resolve_candidate
from promptops.release.actions.pinned_plan import pin_plan
from promptops.release.actions.plan_advice import PlanChoice, with_advice
from promptops.release.analysis.forecast import Forecast, forecast_rollout, read_channel_history
from promptops.release.assignment import salt_of
from promptops.release.context import ReleaseContext, Target, channel_state
from promptops.release.ledger import TransitionResult
from promptops.release.plan import fit_plan, plan_for
from promptops.release.plan.quality import require_quality
from promptops.release.plan.types import ReleasePlan
from promptops.release.reconcile import stored_evidence
from promptops.release.rollout_id import (
    attempt_number,
    derive_rollout_id,
    latest_rollout_id,
    next_rollout_id,
)
from promptops.release.rules import Move, Transition, start_rollout
from promptops.release.steps import step_names
from promptops.versions.release_state import ReleasedVersion, ReleaseState, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRequest:
    """What is asked for."""

    reference: str
    channel: str | None = None
    plan: str | None = None
    supersede: bool = False  # abort another active canary
    new_evidence: bool = False
    unreviewed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCanary:
    """A canary that may start. ``rollout`` is not numbered yet, ``superseded`` the one it ends."""

    candidate: ReleaseCandidate
    stable: ReleasedVersion
    plan: ReleasePlan
    rollout: Rollout
    reason: str = ""
    superseded: Rollout | None = None
    skipped: tuple[str, ...] = ()  # steps for a person that the channel's own plan has, and this one has not

    @property
    def target(self) -> Target:
        return self.candidate.target


def prepare_canary(
    context: ReleaseContext, start: CanaryRequest, *, fresh: bool = False, forecast: bool = False
) -> PreparedCanary | ReleaseCandidate:
    """Everything that can be wrong is found here. A Candidate: the channel serves nothing yet.

    ``fresh``: what others did has just been fetched; ``forecast``: it will not start,
    so its plan need not guard quality.
    """
    require_reason(start.reason, {"--unreviewed": start.unreviewed, "--new-evidence": start.new_evidence})
    if not fresh:
        context.ledger.refresh()
    chosen = resolve_candidate(context, start.reference, start.channel, unreviewed=start.unreviewed)
    target, digest = chosen.target, chosen.version.prompt.digest
    state = context.channel(target)
    if state.stable is None:
        return chosen
    if state.stable.digest == digest:
        raise Invalid(
            f"{start.reference} is what {target} serves already ({state.stable.version})",
            hint=f"promptops diff {target} {target.prompt}@HEAD shows what would be new",
        )
    if state.rollout and not start.supersede:
        raise _active_canary_error(target, state.rollout)
    plan = resolve_plan(context, chosen, state.stable, start.plan)
    if not forecast:
        require_quality(plan, target.prompt, target.channel)
    number, salt = _rollout_identity(context, chosen, state.stable, new_evidence=start.new_evidence)
    plan = pin_plan(context, target, state.stable, plan, number)
    canary = replace(chosen.released, since=None)
    return PreparedCanary(
        candidate=chosen,
        stable=state.stable,
        plan=plan,
        rollout=start_rollout(number, canary, plan, salt, context.now),
        reason=start.reason,
        superseded=state.rollout,
        skipped=_skipped_approvals(chosen, plan),
    )


def start_canary(context: ReleaseContext, prepared: PreparedCanary) -> TransitionResult:
    """Start it, and end the canary that it supersedes in the same move."""
    target = prepared.target
    due = Transition(
        move=Move.START,
        reason=prepared.reason,
        rollout=prepared.rollout,
        ends=prepared.superseded,
        forced=bool(prepared.skipped),
        skipped=prepared.skipped,
        authors=authors_of_change(context, target, prepared.candidate.released, prepared.candidate.version),
    )

    def change(head: ReleaseState | None) -> Transition:
        state = channel_state(head, target.channel)
        if state.stable != prepared.stable:
            raise Invalid(
                f"{target} serves another version than a moment ago",
                hint=f"promptops status {target}; then start the canary again if it is still wanted",
            )
        return due

    return context.ledger.commit_transition(
        target.prompt,
        target.channel,
        change,
        now=context.now,
        evidence=stored_evidence(context, target) if prepared.superseded else None,
        plan=prepared.plan,
        version=prepared.candidate.version,
    )


def resolve_plan(
    context: ReleaseContext, chosen: ReleaseCandidate, stable: ReleasedVersion, name: str | None
) -> ReleasePlan:
    """The plan, with the metrics that both versions have a source for."""
    if name in context.settings.file.plans and name not in chosen.file.plans:
        raise NotFound(
            f"the plan `{name}` is not on {chosen.reviewed}, so it has not been reviewed",
            hint="merge it first, then git fetch; or --unreviewed --reason, which is recorded",
        )
    plan = plan_for(chosen.file, chosen.target.prompt, chosen.target.channel, name)
    return fit_plan(fit_plan(plan, chosen.version.prompt), context.version(chosen.target, stable).prompt)


def forecast_canary(context: ReleaseContext, prepared: PreparedCanary, *, starting: bool = False) -> Forecast:
    """With advice where another plan decides sooner, or none does. ``starting``: it may be active then."""
    target, plan, registry = prepared.target, prepared.plan, context.registry
    stable = context.version(target, prepared.stable)
    history = read_channel_history(
        registry, target.prompt, target.channel, plan, prepared.stable.digest, context.now
    )
    supersede = starting or prepared.superseded is not None
    choice = PlanChoice(prepared.candidate, stable, plan, history, supersede)
    return with_advice(forecast_rollout(plan, history), choice, registry)


def _skipped_approvals(chosen: ReleaseCandidate, plan: ReleasePlan) -> tuple[str, ...]:
    own = plan_for(chosen.file, chosen.target.prompt, chosen.target.channel)
    if own.name == plan.name:
        return ()
    manual = [name for name, step in zip(step_names(own), own.steps, strict=True) if step.is_manual]
    here = sum(step.is_manual for step in plan.steps)
    return tuple(manual[here:])


def _rollout_identity(
    context: ReleaseContext, chosen: ReleaseCandidate, stable: ReleasedVersion, *, new_evidence: bool
) -> tuple[str, str]:
    """The rollout's id, and the salt that users are assigned with."""
    target, digest = chosen.target, chosen.released.digest
    base = derive_rollout_id(target.prompt, target.channel, stable.digest, digest)
    known = context.rollout_salts(target)
    chosen_id = next_rollout_id(known, base) if new_evidence else latest_rollout_id(known, base)
    attempt = attempt_number(chosen_id) if new_evidence else 1
    return chosen_id, known.get(chosen_id) or salt_of(target.prompt, target.channel, digest, attempt)


def _active_canary_error(target: Target, rollout: Rollout) -> Invalid:
    return Invalid(
        f"{target} has an active canary: {rollout.canary.version} ({rollout.phase}, {rollout.id})",
        hint="promptops status shows it; --supersede aborts it and starts this one",
    )

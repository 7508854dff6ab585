"""A person's decisions on a rollout that is under way: approve, pause, resume."""

from collections.abc import Callable
from dataclasses import replace

from promptops.errors import Invalid
from promptops.release.actions.authors import authors_of_change, require_approver
from promptops.release.actions.seen import require_seen
from promptops.release.context import ReleaseContext, Target, active_rollout, channel_state
from promptops.release.ledger import TransitionResult
from promptops.release.plan.types import ReleasePlan
from promptops.release.reconcile import stored_evidence
from promptops.release.rollout_id import next_rollout_id
from promptops.release.rules import Move, Transition, approval_transition, resume_transition
from promptops.versions.release_state import ReleaseState, Rollout


def approve(
    context: ReleaseContext, target: Target, *, reason: str = "", seen: str | None = None
) -> TransitionResult:
    """Say yes to the step that waits for a person. ``seen``: the position of the channel that is meant."""

    def move(rollout: Rollout, plan: ReleasePlan) -> Transition:
        if rollout.phase != "awaiting":
            raise Invalid(
                f"canary {rollout.canary.version} of {target} is not awaiting approval"
                f" (phase: {rollout.phase})",
                hint=f"promptops status {target} shows what is next",
            )
        authors = authors_of_change(context, target, rollout.canary)
        require_approver(context, target, plan, authors)
        return replace(approval_transition(rollout, plan, actor="", reason=reason), authors=authors)

    return _commit_move(context, target, move, seen)


def pause(
    context: ReleaseContext, target: Target, *, reason: str = "", seen: str | None = None
) -> TransitionResult:
    """Keep the weight and go no further, until somebody resumes. Harm still rolls back."""

    def move(rollout: Rollout, _: ReleasePlan) -> Transition:
        return Transition(move=Move.PAUSE, reason=reason or "paused by hand", rollout=rollout, phase="paused")

    return _commit_move(context, target, move, seen)


def resume(
    context: ReleaseContext, target: Target, *, reason: str = "", seen: str | None = None
) -> TransitionResult:
    """Go on; from invalid with evidence that starts again, for a reason."""

    def move(rollout: Rollout, plan: ReleasePlan) -> Transition:
        again = None
        if rollout.phase == "invalid":
            again = next_rollout_id(context.rollout_salts(target), rollout.id)
        return resume_transition(rollout, plan, actor="", reason=reason, new_id=again)

    return _commit_move(context, target, move, seen)


def _commit_move(
    context: ReleaseContext,
    target: Target,
    move: Callable[[Rollout, ReleasePlan], Transition],
    seen: str | None,
) -> TransitionResult:
    def change(head: ReleaseState | None) -> Transition:
        state = channel_state(head, target.channel)
        require_seen(state, target, seen)
        rollout = active_rollout(state, target)
        return move(rollout, context.ledger.plan(rollout.plan))

    return context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, evidence=stored_evidence(context, target)
    )

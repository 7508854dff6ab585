"""What a person says to a rollout that is under way: yes, wait, go on."""

from collections.abc import Callable

from promptops.errors import Invalid
from promptops.release.context import Desk, Target, active_rollout, channel_of
from promptops.release.ledger import Written
from promptops.release.plan.types import Plan
from promptops.release.reconcile import known_evidence
from promptops.release.rollout_id import new_id
from promptops.release.rules import Move, Transition, approval, resumption
from promptops.versions.release_state import ReleaseState, Rollout


def approve(desk: Desk, target: Target, *, reason: str = "") -> Written:
    """Say yes to the step that waits for a person."""

    def move(rollout: Rollout, plan: Plan) -> Transition:
        if rollout.phase != "awaiting":
            raise Invalid(
                f"the canary {rollout.canary.version} of {target} waits for nobody: it is {rollout.phase}",
                hint=f"promptops status {target} shows what is next",
            )
        return approval(rollout, plan, actor="", reason=reason)

    return _moved(desk, target, move)


def pause(desk: Desk, target: Target, *, reason: str = "") -> Written:
    """Keep the weight and go no further, until somebody resumes. Harm still rolls back."""

    def move(rollout: Rollout, _: Plan) -> Transition:
        return Transition(move=Move.PAUSE, reason=reason or "paused by hand", rollout=rollout, phase="paused")

    return _moved(desk, target, move)


def resume(desk: Desk, target: Target, *, reason: str = "") -> Written:
    """Go on; from invalid with evidence that starts anew, for a reason."""

    def move(rollout: Rollout, plan: Plan) -> Transition:
        anew = None
        if rollout.phase == "invalid":
            anew = new_id(desk.rollouts(target), rollout.id)
        return resumption(rollout, plan, actor="", reason=reason, new_id=anew)

    return _moved(desk, target, move)


def _moved(desk: Desk, target: Target, move: Callable[[Rollout, Plan], Transition]) -> Written:
    def change(head: ReleaseState | None) -> Transition:
        rollout = active_rollout(channel_of(head, target.channel), target)
        return move(rollout, desk.ledger.plan(rollout.plan))

    return desk.ledger.transit(
        target.prompt, target.channel, change, now=desk.now, evidence=known_evidence(desk, target)
    )

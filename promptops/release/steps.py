"""The places that a rollout goes through: gates, then steps; and a person's moves between them."""

from promptops.errors import Invalid
from promptops.release.plan.types import Plan, Step
from promptops.release.timestamps import iso
from promptops.release.transitions import Move, Transition
from promptops.versions.release_state import Phase, Released, Rollout

Place = tuple[Phase, int, int]  # phase, step, weight in basis points


def phases_of(plan: Plan) -> tuple[Phase, ...]:
    """The gates that come before the first user: eval, shadow, both or none."""
    gates: tuple[tuple[Phase, object], ...] = (("eval", plan.eval), ("shadow", plan.shadow))
    return tuple(phase for phase, gate in gates if gate is not None)


def start_rollout(rollout_id: str, canary: Released, plan: Plan, salt: str, now: float) -> Rollout:
    """A rollout in the first phase of its plan."""
    gates = phases_of(plan)
    phase, step, weight = (gates[0], 0, 0) if gates else at_step(plan, 0, 0)
    return Rollout(
        id=rollout_id,
        canary=canary,
        plan=plan.digest,
        phase=phase,
        step=step,
        weight_bp=weight,
        salt=salt,
        unit=plan.unit,
        started=iso(now),
        step_started=iso(now),
        deadline=None if plan.deadline is None else iso(now + plan.deadline),
    )


def approval(rollout: Rollout, plan: Plan, *, actor: str, reason: str = "") -> Transition:
    """A person's yes to the step that waits for one."""
    phase, step, weight = after_step(rollout, plan)
    return Transition(
        move=Move.APPROVE,
        reason=reason,
        actor=actor,
        rollout=rollout,
        phase=phase,
        step=step,
        weight_bp=weight,
    )


def resumption(
    rollout: Rollout, plan: Plan, *, actor: str, reason: str = "", new_id: str | None = None
) -> Transition:
    """On again from paused or invalid, at the same step; a step that waits for a person does so again."""
    phase: Phase = "awaiting" if plan.steps and step_of(rollout, plan).for_person else "progressing"
    return Transition(
        move=Move.RESUME, reason=reason, actor=actor, rollout=rollout, phase=phase, new_id=new_id
    )


def after_step(rollout: Rollout, plan: Plan) -> Place:
    """Where the next step is; after the last one the same place, with nothing left to wait for but proof."""
    if rollout.step + 1 < len(plan.steps):
        return at_step(plan, rollout.step + 1, rollout.weight_bp)
    return "progressing", rollout.step, rollout.weight_bp


def at_step(plan: Plan, index: int, weight_bp: int) -> Place:
    if index >= len(plan.steps):
        return "progressing", index, weight_bp
    step = plan.steps[index]
    phase: Phase = "awaiting" if step.for_person else "progressing"
    return phase, index, weight_bp if step.weight_bp is None else step.weight_bp


def step_of(rollout: Rollout, plan: Plan) -> Step:
    if rollout.step >= len(plan.steps):
        raise Invalid(
            f"rollout {rollout.id} is at step {rollout.step + 1} of a plan with {len(plan.steps)}",
            hint="git log promptops-state shows who wrote it; promptops release recover mends it",
        )
    return plan.steps[rollout.step]

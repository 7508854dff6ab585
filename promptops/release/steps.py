"""The places that a rollout goes through: gates, then steps; and a person's moves between them."""

from promptops.config.clock import format_timestamp
from promptops.errors import Invalid
from promptops.release.plan.types import PlanStep, ReleasePlan
from promptops.release.transitions import Move, Transition
from promptops.versions.release_state import Phase, ReleasedVersion, Rollout

PlanPosition = tuple[Phase, int, int]  # phase, step, weight in basis points


def gate_phases(plan: ReleasePlan) -> tuple[Phase, ...]:
    """The gates that come before the first user: eval, shadow, both or none."""
    gates: tuple[tuple[Phase, object], ...] = (("eval", plan.eval), ("shadow", plan.shadow))
    return tuple(phase for phase, gate in gates if gate is not None)


def start_rollout(
    rollout_id: str, canary: ReleasedVersion, plan: ReleasePlan, salt: str, now: float
) -> Rollout:
    """A rollout in the first phase of its plan."""
    gates = gate_phases(plan)
    phase, step, weight = (gates[0], 0, 0) if gates else position_at(plan, 0, 0)
    return Rollout(
        id=rollout_id,
        canary=canary,
        plan=plan.digest,
        phase=phase,
        step=step,
        weight_bp=weight,
        salt=salt,
        unit=plan.unit,
        started=format_timestamp(now),
        step_started=format_timestamp(now),
        deadline=None if plan.deadline is None else format_timestamp(now + plan.deadline),
    )


def approval_transition(rollout: Rollout, plan: ReleasePlan, *, actor: str, reason: str = "") -> Transition:
    """A person's yes to the step that waits for one."""
    phase, step, weight = next_position(rollout, plan)
    return Transition(
        move=Move.APPROVE,
        reason=reason,
        actor=actor,
        rollout=rollout,
        phase=phase,
        step=step,
        weight_bp=weight,
    )


def resume_transition(
    rollout: Rollout, plan: ReleasePlan, *, actor: str, reason: str = "", new_id: str | None = None
) -> Transition:
    """On again from paused or invalid, at the same step; a step that waits for a person does so again."""
    phase: Phase = "awaiting" if plan.steps and current_step(rollout, plan).is_manual else "progressing"
    return Transition(
        move=Move.RESUME, reason=reason, actor=actor, rollout=rollout, phase=phase, new_id=new_id
    )


def next_position(rollout: Rollout, plan: ReleasePlan) -> PlanPosition:
    """Where the next step is; after the last one the same place, with nothing left to wait for but proof."""
    if rollout.step + 1 < len(plan.steps):
        return position_at(plan, rollout.step + 1, rollout.weight_bp)
    return "progressing", rollout.step, rollout.weight_bp


def position_at(plan: ReleasePlan, index: int, weight_bp: int) -> PlanPosition:
    if index >= len(plan.steps):
        return "progressing", index, weight_bp
    step = plan.steps[index]
    phase: Phase = "awaiting" if step.is_manual else "progressing"
    return phase, index, weight_bp if step.weight_bp is None else step.weight_bp


def skipped_steps(rollout: Rollout, plan: ReleasePlan) -> tuple[str, ...]:
    """The gates and steps that a promotion now would go past, by name."""
    gates = gate_phases(plan)
    open_gates = gates[gates.index(rollout.phase) :] if rollout.phase in gates else ()
    first = 0 if open_gates else rollout.step + 1
    if not open_gates and rollout.phase != "progressing" and _is_manual(plan, rollout.step):
        first = rollout.step
    return (*(f"the {gate} gate" for gate in open_gates), *step_names(plan)[first:])


def _is_manual(plan: ReleasePlan, index: int) -> bool:
    return index < len(plan.steps) and plan.steps[index].is_manual


def step_names(plan: ReleasePlan) -> tuple[str, ...]:
    """``step 2 (25%)``, ``step 3 (approval)``, ``step 4 (30 reviewed)``."""
    return tuple(f"step {index} ({step.label})" for index, step in enumerate(plan.steps, 1))


def current_step(rollout: Rollout, plan: ReleasePlan) -> PlanStep:
    if rollout.step >= len(plan.steps):
        raise Invalid(
            f"rollout {rollout.id} is at step {rollout.step + 1} of a plan with {len(plan.steps)}",
            hint="git log promptops-state shows who wrote it; promptops release recover repairs it",
        )
    return plan.steps[rollout.step]

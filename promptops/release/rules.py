"""What a tick decides, pure: a rollout, its plan and its evidence in, at most one move out."""

from dataclasses import replace

from promptops.release.analysis.findings import Findings, GateFinding
from promptops.release.plan.types import PlanStep, ReleasePlan
from promptops.release.proof import missing_proof, promotion_reason
from promptops.release.steps import (
    approval_transition,
    current_step,
    gate_phases,
    next_position,
    position_at,
    resume_transition,
    skipped_steps,
    start_rollout,
)
from promptops.release.timestamps import format_duration, parse_timestamp
from promptops.release.transitions import (
    Move,
    RolloutDecision,
    Transition,
    apply_transition,
    is_already_undone,
    is_applicable,
)
from promptops.stats.verdicts import Verdict
from promptops.versions.release_state import Rollout

__all__ = [
    "Move",
    "RolloutDecision",
    "Transition",
    "apply_transition",
    "approval_transition",
    "decide_transition",
    "gate_phases",
    "is_already_undone",
    "is_applicable",
    "next_position",
    "resume_transition",
    "skipped_steps",
    "start_rollout",
]


def decide_transition(
    rollout: Rollout,
    plan: ReleasePlan,
    findings: Findings,
    now: float,
    *,
    eval_gate: GateFinding | None = None,
    shadow_gate: GateFinding | None = None,
    target: str = "NAME:CHANNEL",
) -> RolloutDecision:
    """Harm first, then what voids the evidence, then the deadline, and only then what is next.

    ``target``: what the commands that it holds for are about.
    """
    gate = {"eval": eval_gate, "shadow": shadow_gate}.get(rollout.phase)
    if due := _harm_rollback(rollout, findings, gate) or _invalidation(rollout, findings):
        return RolloutDecision(transition=due)
    following = _next_decision(rollout, plan, findings, now, gate, target)
    due = (
        _signal_pause(rollout, findings)
        or _due_promotion(following)
        or _deadline_transition(rollout, plan, findings, now)
    )
    return RolloutDecision(transition=due) if due else following


def _due_promotion(following: RolloutDecision) -> Transition | None:
    """A promotion that is due goes before a deadline that has just passed."""
    found = following.transition
    return found if found and found.move is Move.PROMOTE else None


# ---- what comes before all else


def _harm_rollback(rollout: Rollout, findings: Findings, gate: GateFinding | None) -> Transition | None:
    if findings.hard:
        return _rollback(
            rollout, f"a first bad value is enough: {_metric_sentences(findings, findings.hard)}"
        )
    if findings.harm:
        return _rollback(rollout, _metric_sentences(findings, findings.harm))
    if findings.breaker:
        return _rollback(rollout, findings.breaker)
    if gate and gate.verdict is Verdict.WORSE:
        return _rollback(rollout, gate.sentence)
    return None


def _rollback(rollout: Rollout, reason: str) -> Transition:
    return Transition(move=Move.ROLLBACK, reason=reason, verdict=Verdict.WORSE, rollout=rollout)


def _invalidation(rollout: Rollout, findings: Findings) -> Transition | None:
    reasons = _invalid_reasons(findings) if rollout.phase in ("progressing", "awaiting") else []
    if not reasons:
        return None
    return Transition(
        move=Move.INVALIDATE,
        reason="; ".join(reasons),
        verdict="invalid",
        rollout=rollout,
        phase="invalid",
    )


def _invalid_reasons(findings: Findings) -> list[str]:
    reasons = list(findings.gaps)
    if findings.sample_ratio_alarm:
        reasons.append(
            f"the canary got {findings.canary_calls:,} of {findings.calls:,} calls where "
            f"{findings.expected_canary:,.0f} were due: assignment or logging is broken"
        )
    reasons += [f"no data for the guard {name}" for name in findings.silent]
    reasons += [
        f"values of {each.metric.name} are missing more often on one arm "
        f"({each.canary_missing:,} canary, {each.stable_missing:,} stable)"
        for each in findings.metrics
        if each.unequal_missing
    ]
    return reasons


def _deadline_transition(
    rollout: Rollout, plan: ReleasePlan, findings: Findings, now: float
) -> Transition | None:
    """The plan's policy; only a canary that progresses on sound evidence is promoted by it."""
    late = rollout.deadline is not None and now >= parse_timestamp(rollout.deadline)
    if not late or rollout.phase == "inconclusive":
        return None
    reason = f"undecided at the deadline {rollout.deadline}"
    if plan.on_inconclusive == "rollback":
        return replace(_rollback(rollout, reason), verdict=Verdict.UNDECIDED)
    if plan.on_inconclusive == "promote" and rollout.phase == "progressing" and not findings.short_of:
        left = plan.steps[rollout.step + 1 :]
        if not any(step.is_manual for step in left):  # a person's yes is never gone past
            due = _promote(rollout, f"{reason}; the plan says to promote then", Verdict.UNDECIDED)
            return replace(due, forced=bool(left), skipped=skipped_steps(rollout, plan))
    if rollout.reason:
        reason += f"; it was {rollout.phase}: {rollout.reason}"
    return Transition(
        move=Move.INCONCLUSIVE,
        reason=reason,
        verdict=Verdict.UNDECIDED,
        rollout=rollout,
        phase="inconclusive",
    )


def _signal_pause(rollout: Rollout, findings: Findings) -> Transition | None:
    new = tuple(name for name in findings.signals if name not in rollout.signals)
    if rollout.phase != "progressing" or not new:
        return None
    return Transition(
        move=Move.PAUSE,
        reason=_metric_sentences(findings, new),
        verdict=Verdict.WORSE,
        rollout=rollout,
        phase="paused",
        signals=new,
    )


# ---- what is next, phase by phase


def _next_decision(
    rollout: Rollout,
    plan: ReleasePlan,
    findings: Findings,
    now: float,
    gate: GateFinding | None,
    target: str,
) -> RolloutDecision:
    if rollout.phase in ("eval", "shadow"):
        return _decide_at_gate(rollout, plan, gate)
    if rollout.phase == "awaiting":
        return _decide_awaiting(rollout, plan, findings, target)
    if rollout.phase == "progressing":
        return _decide_progressing(rollout, plan, findings, now)
    if rollout.phase == "inconclusive":
        prompt, _, channel = target.rpartition(":")
        proven = "what the plan wants is shown by now"
        by_hand = f"{proven}: promptops promote {prompt} --to {channel} releases the canary"
        return RolloutDecision(holds=missing_proof(plan, findings) or (by_hand,))
    return RolloutDecision(holds=(f"{rollout.phase}: {rollout.reason or 'by a person'}",))


def _decide_at_gate(rollout: Rollout, plan: ReleasePlan, gate: GateFinding | None) -> RolloutDecision:
    if gate is None:
        return RolloutDecision(holds=(f"no result of the phase {rollout.phase} was looked at",))
    if gate.verdict is None and not gate.absent:
        return RolloutDecision(holds=(gate.sentence, *([f"run: {gate.command}"] if gate.command else [])))
    require = getattr(plan, rollout.phase).require if getattr(plan, rollout.phase) else "undecided_ok"
    if gate.verdict is Verdict.UNDECIDED and require == "not_worse":
        return RolloutDecision(holds=(f"{gate.sentence}; the plan requires not worse",))
    gates = gate_phases(plan)
    later = gates[gates.index(rollout.phase) + 1 :] if rollout.phase in gates else ()
    verdict = str(gate.verdict or "")
    if not later and not plan.steps:
        return RolloutDecision(transition=_promote(rollout, gate.sentence, verdict))
    phase, step, weight = (later[0], 0, 0) if later else position_at(plan, 0, 0)
    return RolloutDecision(
        transition=Transition(
            move=Move.PHASE,
            reason=gate.sentence,
            verdict=verdict,
            rollout=rollout,
            phase=phase,
            step=step,
            weight_bp=weight,
        )
    )


def _decide_awaiting(rollout: Rollout, plan: ReleasePlan, findings: Findings, target: str) -> RolloutDecision:
    step = current_step(rollout, plan)
    if step.reviewed is None:
        return RolloutDecision(
            holds=(f"it waits for a person's approval: promptops release approve {target}",)
        )
    if findings.short_of:
        return RolloutDecision(holds=(_registry_behind(findings),))
    if findings.reviewed < step.reviewed:
        read = f"{findings.reviewed:,} of {step.reviewed:,} outputs of the canary are reviewed"
        return RolloutDecision(holds=(f"{read}: promptops review start {target}",))
    return RolloutDecision(
        transition=_advance(rollout, plan, f"{findings.reviewed:,} outputs of the canary are reviewed")
    )


def _decide_progressing(
    rollout: Rollout, plan: ReleasePlan, findings: Findings, now: float
) -> RolloutDecision:
    if not plan.steps:
        return RolloutDecision(transition=_promote(rollout, "the plan has no steps", ""))
    waits = _hold_reasons(rollout, current_step(rollout, plan), findings, now)
    if rollout.step + 1 < len(plan.steps):
        return (
            RolloutDecision(holds=waits)
            if waits
            else RolloutDecision(transition=_advance(rollout, plan, _step_complete(findings)))
        )
    waits += missing_proof(plan, findings)
    if waits:
        return RolloutDecision(holds=waits)
    return RolloutDecision(
        transition=_promote(rollout, promotion_reason(plan, findings), Verdict.NOT_WORSE),
    )


def _hold_reasons(rollout: Rollout, step: PlanStep, findings: Findings, now: float) -> tuple[str, ...]:
    waits = [_registry_behind(findings)] if findings.short_of else []
    if (missing := step.min_canary - findings.step_canary_calls) > 0:
        waits.append(f"{missing:,} more canary calls in this step ({step.min_canary:,} are due)")
    left = step.min_duration - (now - parse_timestamp(rollout.step_started))
    if step.min_duration and left > 0:
        waits.append(
            f"{format_duration(left)} more in this step ({format_duration(step.min_duration)} are due)"
        )
    waits += [
        f"{each.metric.name} says worse: {each.sentence}"
        for each in findings.metrics
        if each.worse and each.metric.name not in rollout.signals
    ]
    return tuple(waits)


def _advance(rollout: Rollout, plan: ReleasePlan, reason: str) -> Transition:
    phase, step, weight = next_position(rollout, plan)
    return Transition(
        move=Move.AWAIT if phase == "awaiting" else Move.ADVANCE,
        reason=reason,
        verdict=Verdict.UNDECIDED,
        rollout=rollout,
        phase=phase,
        step=step,
        weight_bp=weight,
    )


def _promote(rollout: Rollout, reason: str, verdict: str) -> Transition:
    return Transition(move=Move.PROMOTE, reason=reason, verdict=verdict, rollout=rollout)


def _step_complete(findings: Findings) -> str:
    return f"{findings.step_canary_calls:,} canary calls in this step, nothing worse"


def _registry_behind(findings: Findings) -> str:
    return (
        f"the registry {findings.registry_path} has {findings.short_of:,} calls fewer than the evidence "
        "that is committed: is it the one that saw the traffic?"
    )


def _metric_sentences(findings: Findings, names: tuple[str, ...]) -> str:
    sentences = {each.metric.name: each.sentence for each in findings.metrics}
    return "; ".join(sentences.get(name) or f"{name} is worse" for name in names)

"""What a tick decides, pure: a rollout, its plan and its evidence in, at most one move out."""

from dataclasses import replace

from promptops.release.analysis.findings import Findings, GateFinding, MetricFinding
from promptops.release.plan.types import Plan, Step
from promptops.release.steps import (
    after_step,
    approval,
    at_step,
    phases_of,
    resumption,
    start_rollout,
    step_of,
)
from promptops.release.timestamps import duration, seconds_of
from promptops.release.transitions import Decision, Move, Transition, apply, fits, settled
from promptops.stats.verdicts import Verdict
from promptops.versions.release_state import Rollout

__all__ = [
    "Decision",
    "Move",
    "Transition",
    "after_step",
    "apply",
    "approval",
    "decide",
    "fits",
    "lacking",
    "phases_of",
    "resumption",
    "settled",
    "start_rollout",
]


def decide(
    rollout: Rollout,
    plan: Plan,
    findings: Findings,
    now: float,
    *,
    eval_gate: GateFinding | None = None,
    shadow_gate: GateFinding | None = None,
) -> Decision:
    """Harm first, then what voids the evidence, then the deadline, and only then what is next."""
    gate = {"eval": eval_gate, "shadow": shadow_gate}.get(rollout.phase)
    if due := _harm(rollout, findings, gate) or _void(rollout, findings):
        return Decision(transition=due)
    following = _next(rollout, plan, findings, now, gate)
    due = _signal(rollout, findings) or _proven(following) or _overdue(rollout, plan, findings, now)
    return Decision(transition=due) if due else following


def _proven(following: Decision) -> Transition | None:
    """A promotion that is due goes before a deadline that has just passed."""
    found = following.transition
    return found if found and found.move is Move.PROMOTE else None


# ---- what comes before all else


def _harm(rollout: Rollout, findings: Findings, gate: GateFinding | None) -> Transition | None:
    if findings.hard:
        return _rollback(rollout, f"a first bad value is enough: {_said(findings, findings.hard)}")
    if findings.harm:
        return _rollback(rollout, _said(findings, findings.harm))
    if findings.breaker:
        return _rollback(rollout, findings.breaker)
    if gate and gate.verdict is Verdict.WORSE:
        return _rollback(rollout, gate.sentence)
    return None


def _rollback(rollout: Rollout, reason: str) -> Transition:
    return Transition(move=Move.ROLLBACK, reason=reason, verdict=Verdict.WORSE, rollout=rollout)


def _void(rollout: Rollout, findings: Findings) -> Transition | None:
    reasons = _void_reasons(findings) if rollout.phase in ("progressing", "awaiting") else []
    if not reasons:
        return None
    return Transition(
        move=Move.INVALIDATE,
        reason="; ".join(reasons),
        verdict="invalid",
        rollout=rollout,
        phase="invalid",
    )


def _void_reasons(findings: Findings) -> list[str]:
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


def _overdue(rollout: Rollout, plan: Plan, findings: Findings, now: float) -> Transition | None:
    """The plan's policy; only a canary that progresses on sound evidence is promoted by it."""
    late = rollout.deadline is not None and now >= seconds_of(rollout.deadline)
    if not late or rollout.phase == "inconclusive":
        return None
    reason = f"undecided at the deadline {rollout.deadline}"
    if plan.on_inconclusive == "rollback":
        return replace(_rollback(rollout, reason), verdict=Verdict.UNDECIDED)
    if plan.on_inconclusive == "promote" and rollout.phase == "progressing" and not findings.short_of:
        return _promote(rollout, f"{reason}; the plan says to promote then", Verdict.UNDECIDED)
    if rollout.reason:
        reason += f"; it was {rollout.phase}: {rollout.reason}"
    return Transition(
        move=Move.INCONCLUSIVE,
        reason=reason,
        verdict=Verdict.UNDECIDED,
        rollout=rollout,
        phase="inconclusive",
    )


def _signal(rollout: Rollout, findings: Findings) -> Transition | None:
    new = tuple(name for name in findings.signals if name not in rollout.signals)
    if rollout.phase != "progressing" or not new:
        return None
    return Transition(
        move=Move.PAUSE,
        reason=_said(findings, new),
        verdict=Verdict.WORSE,
        rollout=rollout,
        phase="paused",
        signals=new,
    )


# ---- what is next, phase by phase


def _next(rollout: Rollout, plan: Plan, findings: Findings, now: float, gate: GateFinding | None) -> Decision:
    if rollout.phase in ("eval", "shadow"):
        return _at_gate(rollout, plan, gate)
    if rollout.phase == "awaiting":
        return _awaiting(rollout, plan, findings)
    if rollout.phase == "progressing":
        return _progressing(rollout, plan, findings, now)
    return Decision(holds=(f"{rollout.phase}: {rollout.reason or 'by a person'}",))


def _at_gate(rollout: Rollout, plan: Plan, gate: GateFinding | None) -> Decision:
    if gate is None:
        return Decision(holds=(f"no result of the phase {rollout.phase} was looked at",))
    if gate.verdict is None and not gate.absent:
        return Decision(holds=(gate.sentence, *([f"run: {gate.command}"] if gate.command else [])))
    require = getattr(plan, rollout.phase).require if getattr(plan, rollout.phase) else "undecided_ok"
    if gate.verdict is Verdict.UNDECIDED and require == "not_worse":
        return Decision(holds=(f"{gate.sentence}; the plan requires not worse",))
    gates = phases_of(plan)
    later = gates[gates.index(rollout.phase) + 1 :] if rollout.phase in gates else ()
    verdict = str(gate.verdict or "")
    if not later and not plan.steps:
        return Decision(transition=_promote(rollout, gate.sentence, verdict))
    phase, step, weight = (later[0], 0, 0) if later else at_step(plan, 0, 0)
    return Decision(
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


def _awaiting(rollout: Rollout, plan: Plan, findings: Findings) -> Decision:
    step = step_of(rollout, plan)
    if step.reviewed is None:
        return Decision(holds=("it waits for a person's approval: promptops release approve",))
    if findings.short_of:
        return Decision(holds=(_short(findings),))
    if findings.reviewed < step.reviewed:
        read = f"{findings.reviewed:,} of {step.reviewed:,} outputs of the canary are reviewed"
        return Decision(holds=(f"{read}: promptops feedback RUN up|down",))
    return Decision(
        transition=_onwards(rollout, plan, f"{findings.reviewed:,} outputs of the canary are reviewed")
    )


def _progressing(rollout: Rollout, plan: Plan, findings: Findings, now: float) -> Decision:
    if not plan.steps:
        return Decision(transition=_promote(rollout, "the plan has no steps", ""))
    waits = _waits(rollout, step_of(rollout, plan), findings, now)
    if rollout.step + 1 < len(plan.steps):
        return (
            Decision(holds=waits) if waits else Decision(transition=_onwards(rollout, plan, _met(findings)))
        )
    waits += lacking(plan, findings)
    if waits:
        return Decision(holds=waits)
    better = f"; better: {', '.join(plan.all_goals)}" if plan.all_goals else ""
    return Decision(
        transition=_promote(rollout, f"every guard is not worse{better}", Verdict.NOT_WORSE),
    )


def _waits(rollout: Rollout, step: Step, findings: Findings, now: float) -> tuple[str, ...]:
    waits = [_short(findings)] if findings.short_of else []
    if (missing := step.min_canary - findings.step_canary_calls) > 0:
        waits.append(f"{missing:,} more canary calls in this step ({step.min_canary:,} are due)")
    left = step.min_duration - (now - seconds_of(rollout.step_started))
    if step.min_duration and left > 0:
        waits.append(f"{duration(left)} more in this step ({duration(step.min_duration)} are due)")
    waits += [
        f"{each.metric.name} says worse: {each.sentence}"
        for each in findings.metrics
        if each.worse and each.metric.name not in rollout.signals
    ]
    return tuple(waits)


def lacking(plan: Plan, findings: Findings) -> tuple[str, ...]:
    """What proof a promotion lacks, guard by guard and goal by goal; empty when it may be."""
    said = {each.metric.name: each for each in findings.metrics}
    open_ = [f"{name}: {_open(said.get(name))}" for name in _guards(plan) if not _shown(said.get(name))]
    open_ += [
        f"{name} must be better: {_open(found)}"
        for name in plan.all_goals
        if not ((found := said.get(name)) and found.better and not found.worse)
    ]
    return tuple(open_)


def _guards(plan: Plan) -> list[str]:
    return [each.name for each in plan.metrics if each.role in ("guard", "hard")]


def _shown(found: MetricFinding | None) -> bool:
    return found is not None and found.not_worse and not found.worse


def _open(found: MetricFinding | None) -> str:
    if found is None:
        return "nothing is known yet"
    needed = "" if found.calls_needed is None else f"; about {max(1, round(found.calls_needed)):,} more calls"
    return f"{found.sentence or found.verdict}{needed}"


def _onwards(rollout: Rollout, plan: Plan, reason: str) -> Transition:
    phase, step, weight = after_step(rollout, plan)
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


def _met(findings: Findings) -> str:
    return f"{findings.step_canary_calls:,} canary calls in this step, nothing worse"


def _short(findings: Findings) -> str:
    return (
        f"the registry {findings.registry_path} has {findings.short_of:,} calls fewer than the evidence "
        "that is committed: is it the one that saw the traffic?"
    )


def _said(findings: Findings, names: tuple[str, ...]) -> str:
    sentences = {each.metric.name: each.sentence for each in findings.metrics}
    return "; ".join(sentences.get(name) or f"{name} is worse" for name in names)

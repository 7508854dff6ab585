"""What ``status`` shows: what the last tick has found, or for who watches what a tick would find now.

Nothing is moved or written, and all that is shown of a rollout is of one moment.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace

from promptops.registry import read_exposure, scratch_analysis
from promptops.release.analysis import load_findings
from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.context import ReleaseContext, Target
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.plan.quality import quality_notes
from promptops.release.reconcile import assess, phase_gate
from promptops.release.rules import RolloutDecision, decide_transition
from promptops.release.status_view import StatusView, TimelineEvent, canary_exposure
from promptops.stats.guard_group import least_losses
from promptops.versions.release_state import ChannelState, Rollout

_EVENTS = 20
_MAX_THIN = 3  # slices that are spoken of
_PAIRS_NEEDED = least_losses(1, 0.04)  # that differ, for a shadow run of one slice to name it
_MAX_PAIRS = 2_000
_MAX_RECOMPUTED = 20_000  # calls since the last tick: about two seconds


def status_of(
    context: ReleaseContext,
    target: Target,
    pending: Sequence[TransitionRecord] = (),
    *,
    recompute: bool = False,
) -> StatusView:
    """One channel as it stands. ``pending``: moves that the remote does not have.

    ``recompute``: score what no tick has scored yet, without keeping it, unless that takes long, or where no
    temporary tables can be made.
    """
    state = context.channel(target)
    view = StatusView(
        prompt=target.prompt,
        channel=target.channel,
        now=context.now,
        stable=state.stable,
        previous=state.previous,
        rollout=state.rollout,
        shadow=state.shadow,
        timeline=tuple(map(timeline_event, context.ledger.log(target.prompt, target.channel)[:_EVENTS])),
        notes=tuple(
            f"not pushed: {record.subject}; promptops release sync"
            for record in pending
            if (record.prompt, record.channel) == (target.prompt, target.channel)
        ),
    )
    if state.rollout is None:
        return view
    recompute = recompute and context.registry.makes_temp_tables
    with context.registry.snapshot():
        behind = read_exposure(context.registry, state.rollout.id, as_ticked=True).behind
        if not recompute or behind > _MAX_RECOMPUTED:
            return _with_rollout(context, target, view, state, state.rollout)
    with scratch_analysis(context.registry, state.rollout.id):
        assess(context, target)
        return _with_rollout(context, target, view, state, state.rollout)


def timeline_event(record: TransitionRecord) -> TimelineEvent:
    done = record.transition
    text = record.subject.partition("): ")[2].removeprefix(f"{record.channel} ")
    return TimelineEvent(at=record.at, move=str(done.move), text=text, actor=done.actor, reason=done.reason)


def _with_rollout(
    context: ReleaseContext, target: Target, view: StatusView, state: ChannelState, rollout: Rollout
) -> StatusView:
    plan = context.ledger.plan(rollout.plan)
    known = load_findings(context.registry, rollout)
    gate = phase_gate(context, target, state.stable, rollout, plan) if state.stable else None
    findings = known or Findings(registry="", registry_path=str(context.registry.path))
    decision = decide_transition(
        rollout, plan, findings, context.now, eval_gate=gate, shadow_gate=gate, target=str(target)
    )
    unseen = () if known or gate else ("no tick has looked at the evidence yet",)
    thin = _thin_slices(target, rollout, findings)
    notes = (*view.notes, *quality_notes(plan), *unseen, *thin)
    return replace(
        view,
        plan=plan,
        exposure=canary_exposure(context.registry, rollout, context.now, as_ticked=known is not None),
        findings=known,
        gate=gate,
        decision=decision
        if known or gate
        else RolloutDecision(holds=("promptops tick looks at the evidence",)),
        notes=notes,
    )


def _thin_slices(target: Target, rollout: Rollout, findings: Findings) -> tuple[str, ...]:
    """Slices that look worse and have too few losses to tell, each with the command that can."""
    names = f"{target.prompt}@sha256:{rollout.canary.digest[:12]} --against {target}"
    looks = sorted(
        ((_failing_share(each), each) for each in findings.metrics if _looks_worse(each)),
        key=lambda found: -found[0],
    )
    return tuple(
        f"{each.sentence}: promptops shadow run {names} --select {shlex.quote(f'tag={each.metric.tag}')} "
        f"--sample {min(_MAX_PAIRS, math.ceil(_PAIRS_NEEDED / share / 10) * 10)}"
        for share, each in looks[:_MAX_THIN]
    )


def _looks_worse(each: MetricFinding) -> bool:
    if each.losses_needed is None or not each.canary_bad:
        return False
    return each.canary_bad * each.stable_calls > (each.stable_bad or 0) * each.canary_calls


def _failing_share(each: MetricFinding) -> float:
    return (each.canary_bad or 0) / each.canary_calls

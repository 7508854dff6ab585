"""What ``status`` shows: what the last tick has found, or for who watches what a tick would find now.

Nothing is moved or written, and all that is shown of a rollout is of one moment.
"""

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from promptops.registry import Exposure, RegistryDatabase, read_exposure, read_exposures, scratch_analysis
from promptops.release.analysis import load_all_findings
from promptops.release.analysis.findings import Findings, MetricFinding
from promptops.release.context import ReleaseContext, Target
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.plan.quality import quality_notes
from promptops.release.reconcile import assess, phase_gate
from promptops.release.rules import RolloutDecision, decide_transition
from promptops.release.status_view import StatusView, TimelineEvent, canary_exposure
from promptops.stats.guard_group import least_losses
from promptops.versions.release_state import Rollout

_EVENTS = 20
_MAX_THIN = 3  # slices that are spoken of
_PAIRS_NEEDED = least_losses(1, 0.04)  # that differ, for a shadow run of one slice to name it
_MAX_PAIRS = 2_000
_MAX_RECOMPUTED = 20_000  # calls since the last tick: about two seconds


def statuses_of(
    context: ReleaseContext,
    targets: Sequence[Target],
    pending: Sequence[TransitionRecord] = (),
    *,
    recompute: bool = False,
) -> list[StatusView]:
    """Channels as they stand. ``pending``: moves that the remote does not have.

    ``recompute``: score what no tick has scored yet, without keeping it, unless that takes long, or where no
    temporary tables can be made.
    """
    if recompute and context.registry.makes_temp_tables:
        return [_recomputed(context, target, pending) for target in targets]
    views = [_without_rollout(context, target, pending) for target in targets]
    with context.registry.snapshot():
        seen = _read_last_ticks(context.registry, [view.rollout for view in views if view.rollout])
        return [
            _with_rollout(context, target, view, view.rollout, seen[view.rollout.id])
            if view.rollout
            else view
            for target, view in zip(targets, views, strict=True)
        ]


def _recomputed(context: ReleaseContext, target: Target, pending: Sequence[TransitionRecord]) -> StatusView:
    registry, rollout = context.registry, context.channel(target).rollout
    if rollout is None or read_exposure(registry, rollout.id, as_ticked=True).behind > _MAX_RECOMPUTED:
        return statuses_of(context, [target], pending)[0]
    with scratch_analysis(registry, rollout.id):
        assess(context, target)
        return statuses_of(context, [target], pending)[0]


def _without_rollout(
    context: ReleaseContext, target: Target, pending: Sequence[TransitionRecord]
) -> StatusView:
    state = context.channel(target)
    return StatusView(
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


class _LastTick(NamedTuple):
    """What the last tick of a rollout has found, and what the log has seen of it."""

    findings: Findings | None
    exposure: Exposure


def _read_last_ticks(registry: RegistryDatabase, rollouts: Sequence[Rollout]) -> dict[str, _LastTick]:
    """Of all rollouts by as many statements as of one: each is a journey to the server."""
    findings = load_all_findings(registry, rollouts)
    unseen = [rollout.id for rollout in rollouts if rollout.id not in findings]
    exposures = read_exposures(registry, list(findings), as_ticked=True) | read_exposures(registry, unseen)
    return {rollout: _LastTick(findings.get(rollout), each) for rollout, each in exposures.items()}


def timeline_event(record: TransitionRecord) -> TimelineEvent:
    done = record.transition
    text = record.subject.partition("): ")[2].removeprefix(f"{record.channel} ")
    return TimelineEvent(at=record.at, move=str(done.move), text=text, actor=done.actor, reason=done.reason)


def _with_rollout(
    context: ReleaseContext, target: Target, view: StatusView, rollout: Rollout, seen: _LastTick
) -> StatusView:
    plan, known = context.ledger.plan(rollout.plan), seen.findings
    gate = phase_gate(context, target, view.stable, rollout, plan) if view.stable else None
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
        exposure=canary_exposure(seen.exposure, rollout, context.now),
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

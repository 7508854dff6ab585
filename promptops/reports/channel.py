"""What every format says of a channel, in the same words and with the same digits."""

import re
from collections.abc import Sequence

from promptops.config.clock import format_timestamp
from promptops.escapes import escape_line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.plan.types import ReleasePlan
from promptops.release.proof import missing_proof
from promptops.release.status_view import StatusView, TimelineEvent
from promptops.release.steps import skipped_steps
from promptops.release.timestamps import format_duration, parse_timestamp
from promptops.release.transitions import Move, Transition
from promptops.reports.numbers import format_weight, pluralize
from promptops.versions.release_state import ReleasedVersion, Rollout

GATE_PHASES = ("eval", "shadow")
_HELD_PHASES = ("awaiting", "paused", "invalid", "inconclusive")
_UNIT_NOUNS = {"call": "calls", "session": "sessions", "user": "users"}
_EXCLUSION_REASONS = {
    "repeated unit": "further calls of those who count once",
    "cache": "answered from the cache",
    "weight": "placed on one side for certain",
}
_ROLE_ORDER = {"hard": 0, "guard": 1, "goal": 2, "signal": 3}
_PHASE_TEXTS = {
    "eval": "waits for its eval",
    "shadow": "is tried on logged calls",
    "progressing": "is tried",
    "awaiting": "waits for a person",
    "paused": "is paused",
    "invalid": "is held: the evidence is invalid",
    "inconclusive": "is held: undecided at the deadline",
}


def version_label(released: ReleasedVersion | None) -> str:
    return (
        "nothing"
        if released is None
        else escape_line(released.version or f"sha256:{released.digest[:12]}", 40)
    )


def format_moment(text: str | None) -> str:
    """``2026-11-02 09:14 UTC``; as it stands where it is none."""
    return escape_line(re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*Z$", r"\1 \2 UTC", text or ""), 24)


def format_now(view: StatusView) -> str:
    return format_moment(format_timestamp(view.now))


def time_ago(text: str, now: float) -> str:
    return f"{format_duration(now - parse_timestamp(text))} ago"


def unit_noun(rollout: Rollout) -> str:
    return _UNIT_NOUNS.get(rollout.unit, f"values of {escape_line(rollout.unit, 20)}")


def status_headline(view: StatusView) -> str:
    """One sentence: who is served what."""
    rollout = view.rollout
    if rollout is None and view.stable is None:
        return f"nothing is released to {escape_line(view.channel)} yet"
    if rollout is None:
        since = f" since {format_moment(view.stable.since)}" if view.stable and view.stable.since else ""
        return f"{version_label(view.stable)} serves everyone{since}"
    canary = f"{version_label(rollout.canary)} {_PHASE_TEXTS[rollout.phase]}"
    if not rollout.weight_bp:
        return f"{canary}; everyone is served {version_label(view.stable)}"
    return (
        f"{canary} on {format_weight(rollout.weight_bp)} of {unit_noun(rollout)}, the others are served "
        f"{version_label(view.stable)}"
    )


def step_timing(view: StatusView) -> str:
    """When the step began, how long is left, and by which plan."""
    rollout = view.rollout
    if rollout is None or not rollout.step_started:
        return "unknown"
    text = f"{format_moment(rollout.step_started)} ({time_ago(rollout.step_started, view.now)})"
    if rollout.deadline:
        left = parse_timestamp(rollout.deadline) - view.now
        text += f"; deadline {'passed' if left <= 0 else 'in ' + format_duration(left)}"
    return f"{text}; plan {_plan_label(view.plan)}" if view.plan else text


def _plan_label(plan: ReleasePlan) -> str:
    return "quick, for trials" if plan.name == "quick" else escape_line(plan.name, 40)


def hold_reason(view: StatusView) -> str:
    """Why it does not go on."""
    rollout = view.rollout
    return escape_line(rollout.reason or "") if rollout and rollout.phase in _HELD_PHASES else ""


def step_states(view: StatusView) -> list[tuple[str, str]]:
    """Each phase and step with its mark: done, now, or later."""
    rollout, plan = view.rollout, view.plan
    if rollout is None or plan is None:
        return []
    gates = [name for name in GATE_PHASES if getattr(plan, name) is not None]
    names = [*gates, *(_step_name(plan, index) for index in range(len(plan.steps))), "everyone"]
    at = gates.index(rollout.phase) if rollout.phase in gates else len(gates) + rollout.step
    return [
        (name, "done" if index < at else "now" if index == at else "later")
        for index, name in enumerate(names)
    ]


def _step_name(plan: ReleasePlan, index: int) -> str:
    step = plan.steps[index]
    return step.label if step.weight_bp is None else format_weight(step.weight_bp)


def exposure_text(view: StatusView) -> str:
    """How many calls and units have met the canary."""
    seen = view.known_exposure
    if seen is None or view.rollout is None:
        return ""
    more = f"; {seen.uncounted:,} more calls wait for a tick" if seen.uncounted else ""
    if not seen.calls and more:
        return more.removeprefix("; ")
    if not seen.canary_calls:
        return f"no call has met {version_label(view.rollout.canary)} yet, of {seen.calls:,} looked at"
    share = f" ({100 * seen.canary_calls / seen.calls:.1f} %)" if seen.calls else ""
    whom = (
        f", {seen.canary_units:,} {unit_noun(view.rollout)}"
        if seen.canary_units is not None and view.rollout.unit != "call"
        else ""
    )
    pace = f"; about {seen.per_day:,.0f} calls a day" if seen.per_day else ""
    return f"{seen.canary_calls:,} of {seen.calls:,} calls{share}{whom}{pace}{more}"


def exposure_notes(view: StatusView) -> list[str]:
    """What has met the canary, and what was left out of the evidence."""
    return [text for text in (exposure_text(view), *exclusion_notes(view)) if text]


def sorted_findings(view: StatusView) -> Sequence[MetricFinding]:
    """Metrics by weight of what they decide; signals last. Slices with too few to tell are left to notes."""
    metrics = [one for one in (view.findings.metrics if view.findings else ()) if one.losses_needed is None]
    return sorted(metrics, key=lambda one: _ROLE_ORDER[one.metric.role])


def finding_sentence(one: MetricFinding) -> str:
    return escape_line(one.sentence) or f"{one.metric.name}: nothing is scored yet"


def needed_calls_text(one: MetricFinding) -> str:
    """How many further calls until not worse; empty where nothing is open."""
    if one.not_worse or one.worse or one.metric.role == "signal":
        return ""
    if one.calls_needed is None:
        return "at this rate it will never be shown" if one.canary_calls and one.stable_calls else ""
    return f"about {max(1, round(one.calls_needed)):,} more calls"


def finding_caveats(one: MetricFinding) -> list[str]:
    """What else must be known of a metric: missing and late values."""
    missing = one.canary_missing + one.stable_missing
    notes = []
    if missing:
        notes.append(f"no value for {one.canary_missing:,} canary and {one.stable_missing:,} stable calls")
    if one.late:
        notes.append(f"{one.late:,} came too late to count")
    return notes


def finding_notes(one: MetricFinding) -> list[str]:
    return [text for text in (needed_calls_text(one), *finding_caveats(one)) if text]


def exclusion_notes(view: StatusView) -> list[str]:
    """What was left out of the evidence, or waits."""
    seen = view.findings
    if seen is None:
        return []
    notes = []
    if seen.waiting:
        wait = "waits for its value" if seen.waiting == 1 else "wait for their values"
        notes.append(f"{pluralize(seen.waiting, 'call')} {wait}")
    if seen.without_unit:
        unit = escape_line(view.rollout.unit, 20) if view.rollout else "unit"
        notes.append(f"{pluralize(seen.without_unit, 'call')} came without a {unit}")
    notes += [
        f"{many:,} left out: {_EXCLUSION_REASONS.get(why, escape_line(why))}"
        for why, many in seen.excluded.items()
        if many
    ]
    return notes


def event_text(event: TimelineEvent) -> str:
    """One transition of the past: its move, then what it did."""
    return escape_line(f"{event.move}: {event.text}")


def next_title(view: StatusView) -> str:
    return "Next" if view.decision and view.decision.transition else "It holds because"


def next_steps(view: StatusView) -> list[str]:
    """What happens next, or why it holds."""
    if view.rollout is None or view.decision is None:
        return []
    if view.decision.transition:
        return [_transition_text(view.decision.transition, view)]
    return [escape_line(reason) for reason in view.decision.holds]


def _transition_text(transition: Transition, view: StatusView) -> str:
    canary, reason = (
        version_label(view.rollout.canary if view.rollout else None),
        escape_line(transition.reason),
    )
    weight = f" to {format_weight(transition.weight_bp)}" if transition.weight_bp else ""
    what = {
        Move.ROLLBACK: f"rolls {canary} back",
        Move.PROMOTE: f"promotes {canary} to everyone",
        Move.ADVANCE: f"moves {canary} on{weight}",
        Move.PHASE: f"moves {canary} on{weight or f' to the phase {transition.phase}'}",
        Move.AWAIT: "stops for a person",
        Move.PAUSE: "pauses it",
        Move.INVALIDATE: "declares the evidence invalid",
        Move.INCONCLUSIVE: "declares it inconclusive",
    }.get(transition.move, str(transition.move))
    return f"the next tick {what}: {reason}" if reason else f"the next tick {what}"


def available_commands(view: StatusView) -> list[tuple[str, str]]:
    """What a person can do now: (command, what it does), the nearest first."""
    rollout, name = view.rollout, escape_line(view.name)
    if rollout is None:
        if view.stable is None:
            return [
                (
                    f"promptops promote {escape_line(view.prompt)}@REV --to {escape_line(view.channel)}",
                    "releases it",
                )
            ]
        start = (
            f"promptops canary {escape_line(view.prompt)}@REV --to {escape_line(view.channel)}",
            "tries a version",
        )
        back = (f"promptops rollback {name}", f"goes back to {version_label(view.previous)}")
        return [start, back] if view.previous else [start]
    canary = version_label(rollout.canary)
    promote = f"promptops promote {escape_line(view.prompt)} --to {escape_line(view.channel)}"
    gate = [(escape_line(view.gate.command), "makes the result")] if view.gate and view.gate.command else []
    own = {
        "eval": gate,
        "shadow": gate,
        "awaiting": [(f"promptops release approve {name}", "says yes to the next step")],
        "paused": [(f"promptops release resume {name}", "goes on at this step")],
        "invalid": [(f'promptops release resume {name} --reason "…"', "starts new evidence")],
        "inconclusive": [_late_promotion(view, promote, canary)],
    }.get(rollout.phase, [])
    ticking = [] if rollout.phase in ("paused", "invalid", "inconclusive") else [_tick_command(name, view)]
    return [*own, *ticking, (f"promptops rollback {name}", f"rolls {canary} back at once")]


def _late_promotion(view: StatusView, promote: str, canary: str) -> tuple[str, str]:
    """After the deadline: plain where the proof is in by now, else only by force."""
    plan, rollout, found = view.plan, view.rollout, view.findings
    proven = plan and found and rollout and not missing_proof(plan, found) and not found.short_of
    if proven and plan and rollout and not skipped_steps(rollout, plan):
        return promote, f"releases {canary}: its proof is in"
    return f'{promote} --force --reason "…"', f"releases {canary} without proof"


def _tick_command(name: str, view: StatusView) -> tuple[str, str]:
    due = view.decision and view.decision.transition
    return f"promptops tick {name}", "does it" if due else "looks at new evidence"

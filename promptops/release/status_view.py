"""What ``status`` shows of one channel: put together by the verbs, drawn by ``formats``."""

from dataclasses import dataclass

from promptops.registry.release.exposure import met
from promptops.registry.store import Registry
from promptops.release.analysis.findings import Findings, GateFinding
from promptops.release.plan.types import Plan
from promptops.release.timestamps import seconds_of
from promptops.release.transitions import Decision
from promptops.versions.release_state import Released, Rollout, Shadow

_SHORTEST = 3600.0  # seconds that calls a day can be told from


@dataclass(frozen=True, slots=True)
class Event:
    """One transition of the past. ``at`` is ISO-8601 text, ``text`` a line such as "canary v13 5% → 25%"."""

    at: str
    move: str
    text: str
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What the canary has done to users so far; ``units`` are told apart by their hashes."""

    calls: int
    canary_calls: int
    canary_units: int | None = None
    per_day: float | None = None
    uncounted: int = 0  # calls since the last tick, where they are too many to be counted in passing


def exposure_of(registry: Registry, rollout: Rollout, now: float) -> Exposure:
    """What the log knows of it; a pace only from an hour on."""
    seen = met(registry, rollout.id)
    elapsed = now - seconds_of(seen.first) if seen.first else 0.0
    return Exposure(
        calls=seen.calls,
        canary_calls=seen.canary_calls,
        canary_units=None if rollout.unit == "call" else seen.canary_units,
        per_day=86_400.0 * seen.calls / elapsed if elapsed >= _SHORTEST and not seen.behind else None,
        uncounted=seen.behind,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """One channel of one prompt. ``now`` in seconds since the epoch."""

    prompt: str
    channel: str
    now: float
    stable: Released | None = None
    previous: Released | None = None
    rollout: Rollout | None = None
    shadow: Shadow | None = None
    plan: Plan | None = None
    findings: Findings | None = None
    gate: GateFinding | None = None  # of the phase eval or shadow
    decision: Decision | None = None  # what a tick would do now
    exposure: Exposure | None = None
    timeline: tuple[Event, ...] = ()  # newest first
    notes: tuple[str, ...] = ()  # what else must be said: unpushed moves, another machine's registry

    @property
    def name(self) -> str:
        return f"{self.prompt}:{self.channel}"

    @property
    def exposed(self) -> Exposure | None:
        """The exposure, or what the findings know of it."""
        if self.exposure or self.findings is None:
            return self.exposure
        seen = self.findings
        return Exposure(calls=seen.calls, canary_calls=seen.canary_calls, per_day=seen.per_day)

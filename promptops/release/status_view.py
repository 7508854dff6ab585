"""What ``status`` shows of one channel: put together by the verbs, drawn by ``formats``."""

from promptops.dataclass import dataclass
from promptops.registry import Exposure
from promptops.release.analysis.findings import Findings, GateFinding
from promptops.release.plan.types import ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.release.transitions import RolloutDecision
from promptops.versions.release_state import ReleasedVersion, Rollout, ShadowState

_MIN_ELAPSED_S = 3600.0  # seconds that calls a day can be told from


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One transition of the past. ``at`` is ISO-8601 text, ``text`` a line such as "canary v13 5% → 25%"."""

    at: str
    move: str
    text: str
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryExposure:
    """What the canary has done to users so far; ``units`` are told apart by their hashes."""

    calls: int
    canary_calls: int
    canary_units: int | None = None
    per_day: float | None = None
    uncounted: int = 0  # calls since the last tick, of which nothing else is known yet


def canary_exposure(seen: Exposure, rollout: Rollout, now: float) -> CanaryExposure:
    """What the log knows of it; a pace only from an hour on."""
    elapsed = now - parse_timestamp(seen.first) if seen.first else 0.0
    return CanaryExposure(
        calls=seen.calls,
        canary_calls=seen.canary_calls,
        canary_units=None if rollout.unit == "call" else seen.canary_units,
        per_day=86_400.0 * (seen.calls + seen.behind) / elapsed if elapsed >= _MIN_ELAPSED_S else None,
        uncounted=seen.behind,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """One channel of one prompt. ``now`` in seconds since the epoch."""

    prompt: str
    channel: str
    now: float
    stable: ReleasedVersion | None = None
    previous: ReleasedVersion | None = None
    rollout: Rollout | None = None
    shadow: ShadowState | None = None
    plan: ReleasePlan | None = None
    findings: Findings | None = None
    gate: GateFinding | None = None  # of the phase eval or shadow
    decision: RolloutDecision | None = None  # what a tick would do now
    exposure: CanaryExposure | None = None
    timeline: tuple[TimelineEvent, ...] = ()  # newest first
    notes: tuple[str, ...] = ()  # what else must be said: unpushed moves, another machine's registry

    @property
    def name(self) -> str:
        return f"{self.prompt}:{self.channel}"

    @property
    def known_exposure(self) -> CanaryExposure | None:
        """The exposure, or what the findings know of it."""
        if self.exposure or self.findings is None:
            return self.exposure
        seen = self.findings
        return CanaryExposure(calls=seen.calls, canary_calls=seen.canary_calls, per_day=seen.per_day)

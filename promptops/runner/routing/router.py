"""A channel's calls: each is placed on stable or the canary by its unit, and sent as that version."""

import os
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from promptops.config.closing import Closing
from promptops.config.registry_location import RegistryLocation
from promptops.config.text import InvalidAt
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.log import PackageLogger
from promptops.prompt.render import validate_inputs
from promptops.release.assignment import on_canary
from promptops.runner import PreparedRun, Run, RunContext, Runner
from promptops.runner.routing.breakers import LocalBreakers
from promptops.runner.routing.source import ReleaseSource
from promptops.versions.references import Reference
from promptops.versions.release_state import ChannelState, ReleasedVersion, Rollout, ShadowState
from promptops.versions.resolve import Version, unreleased_version_error

_LOG = PackageLogger("promptops.runner")

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_GATE_PHASES = frozenset({"eval", "shadow"})
NO_KEY = "unit not hashed"  # its units cannot be distinguished, so it is not evidence
FOLLOW_UP = "conversation"  # a turn that no unit put on its arm, or that no released version answers


class KeptArm(NamedTuple):
    """The arm of a rollout that an earlier call has met."""

    rollout: str
    canary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDecision:
    """The version that one call meets, and what is logged of how that came.

    ``rollout``, ``arm`` and ``weight_bp`` are those really in force: None where there is no canary to meet.
    """

    version: Version
    stable: Version | None = None  # what to fall back to
    arm: str | None = None
    rollout: str | None = None
    weight_bp: int | None = None
    unit_hash: str | None = None
    unit_key_id: str | None = None
    excluded: str | None = None
    shadow: ShadowState | None = None  # who answers a sample of the calls too, behind the caller's back
    fallback: str | None = None  # why this is stable's version though the unit is the canary's

    def origin(self, **more: Any) -> RunContext:
        """The run's origin; ``more`` is what else there is to say of it."""
        return RunContext(
            **{
                "arm": self.arm,
                "rollout": self.rollout,
                "weight_bp": self.weight_bp,
                "unit_hash": self.unit_hash,
                "unit_key_id": self.unit_key_id,
                "excluded": self.excluded,
                "fallback": self.fallback,
                "shadow": self.shadow,
                **more,
            }
        )


@dataclass(frozen=True, slots=True)
class _ChannelSnapshot:
    """What one channel serves for as long as its state stays as it is."""

    stamp: object
    stable: Version
    canary: Version | None = None
    rollout: Rollout | None = None  # while some units meet its canary
    problem: str | None = None  # why the canary can't be had
    shadow: ShadowState | None = None


class Router(Closing):
    """Places the calls of one project's channels. May be shared by threads."""

    def __init__(self, source: ReleaseSource, registry: RegistryLocation, *, log: bool = True) -> None:
        self.source = source
        self._breakers = LocalBreakers(registry, log=log)
        self._snapshots: dict[str, _ChannelSnapshot] = {}

    def close(self) -> None:
        self._breakers.close()

    def place(
        self,
        reference: Reference,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
        kept: KeptArm | None = None,
    ) -> RoutingDecision:
        """Say which version answers. ``unit`` is whom the call is for; else the metadata may say.

        ``kept``: where a conversation is, which stays there; a call that no unit put there is no evidence.

        Raises NotFound where the channel serves nothing, Invalid where what it serves can't be read.
        """
        snapshot = self._snapshots.get(reference.text)
        if snapshot is None or snapshot.stamp is not self.source.stamp():
            snapshot = self._snapshots[reference.text] = self._read_snapshot(reference)
        rollout, unit = snapshot.rollout, unit or None  # nobody is called by an empty name
        if rollout is None or self._breakers.is_open(rollout.id):
            hashed, key_id, _ = self._hash_unit(unit)
            return RoutingDecision(
                version=snapshot.stable, unit_hash=hashed, unit_key_id=key_id, shadow=snapshot.shadow
            )
        if unit is None and rollout.unit != "call":
            unit = _unit_from(metadata, rollout.unit)
        sticky = unit if rollout.unit != "call" else None
        canary = on_canary(rollout.salt, sticky or os.urandom(16).hex(), rollout.weight_bp)
        hashed, key_id, excluded = self._hash_unit(unit)
        excluded = excluded if sticky is not None else None
        if kept is not None and kept.rollout == rollout.id:
            excluded = excluded if sticky and kept.canary == canary else FOLLOW_UP
            canary = kept.canary
        return RoutingDecision(
            version=snapshot.canary if canary and snapshot.canary else snapshot.stable,
            stable=snapshot.stable,
            arm="canary" if canary else "stable",
            rollout=rollout.id,
            weight_bp=rollout.weight_bp,
            unit_hash=hashed,
            unit_key_id=key_id,
            excluded=excluded,
            fallback=snapshot.problem if canary else None,
            shadow=snapshot.shadow,
        )

    def versions(self, reference: Reference) -> tuple[Version, ...]:
        """Every version that a call on this channel may meet, stable first."""
        snapshot = self._read_snapshot(reference)
        return (snapshot.stable, *([snapshot.canary] if snapshot.canary else ()))

    def ended(self, run: Run) -> None:
        """Look at a run that is on disk: canary errors in a row open the breaker, which is logged."""
        started, error = run.started, run.finished.error_type
        if started.arm != "canary" or started.rollout is None or not (error or started.fallback):
            return
        if self._breakers.open_when_failing(started.rollout):
            _LOG.warning(
                f"the canary of {started.reference} fails call after call: out of service here\n"
                "  the next promptops tick rolls it back for everyone"
            )

    def _hash_unit(self, unit: str | None) -> tuple[str | None, str | None, str | None]:
        """The unit's hash, the id of the key, and why the run is not evidence where there is no key."""
        if unit is None:
            return None, None, None
        key = self._breakers.key()
        return (key.hash(unit), key.id, None) if key else (None, None, NO_KEY)

    def _read_snapshot(self, reference: Reference) -> _ChannelSnapshot:
        stamp = self.source.stamp()
        state = self._state(reference)
        stable = self._version(reference, state.stable)
        rollout = state.rollout
        if rollout is None or not rollout.weight_bp or rollout.phase in _GATE_PHASES:
            return _ChannelSnapshot(stamp, stable, shadow=state.shadow)
        try:
            canary = self._version(reference, rollout.canary)
        except Invalid as error:
            return _ChannelSnapshot(
                stamp, stable, None, rollout, f"no version: {error.message}", state.shadow
            )
        return _ChannelSnapshot(stamp, stable, canary, rollout, shadow=state.shadow)

    def _state(self, reference: Reference) -> ChannelState:
        releases = self.source.releases(reference.name)
        if releases is None:
            raise unreleased_version_error(reference, elsewhere=True)
        state = releases.channels.get(str(reference.channel))
        if state is None or state.stable is None:
            live = [f"{reference.name}:{name}" for name, other in releases.channels.items() if other.stable]
            raise NotFound(
                f"{reference.name} is not live on {reference.channel}",
                hint=f"live: {', '.join(live) or 'nowhere'}",
            )
        return state

    def _version(self, reference: Reference, released: ReleasedVersion | None) -> Version:
        assert released is not None  # noqa: S101 - looked at before
        version = self.source.version(reference.name, released)
        return replace(version, reference=reference.text, channel=reference.channel)


def prepare_routed_run(
    runner: Runner, placement: RoutingDecision, inputs: Mapping[str, Any], *, called: bool = True, **more: Any
) -> PreparedRun:
    """Make a placed call ready, as stable where the canary can't be sent: it stays the canary's failure.

    Raises what is wrong with the call where stable can't be sent either. Nothing is logged.
    """
    if not called:  # somebody else makes the call, with keys that are not here
        placement = replace(placement, shadow=None)
    try:
        return runner.ready(placement.version, inputs, placement.origin(**more), called=called)
    except Invalid as error:
        if placement.arm != "canary" or placement.fallback or placement.stable is None:
            raise
        why = _fallback_reason(placement.version, inputs, error)
    return runner.ready(placement.stable, inputs, placement.origin(**more, fallback=why), called=called)


def _fallback_reason(version: Version, inputs: Mapping[str, Any], error: Invalid) -> str:
    """Why a canary was not sent. It is logged and exported, so it quotes no value of an input."""
    if isinstance(error, InvalidAt):
        problem = error.problem
        return f"{problem.rule} {problem.path}:{problem.position.line}"
    try:
        validate_inputs(version.prompt, inputs)
    except Invalid:
        return "inputs refused"
    return error.message


def _unit_from(metadata: Mapping[str, Any], key: str) -> str | None:
    found = metadata.get(key)
    return str(found) or None if isinstance(found, str | int) and not isinstance(found, bool) else None

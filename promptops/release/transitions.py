"""The moves of a release and what each does to a channel, pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from promptops.config.clock import format_timestamp
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.versions.release_state import ChannelState, Phase, ReleasedVersion, Rollout, ShadowState


class Move(StrEnum):
    """What a commit of the state branch does, as its trailer ``Promptops-Transition`` names it."""

    RELEASE = "release"  # stable := a version, with no canary: the first one, or through `direct`
    START = "start"
    PHASE = "phase"  # eval or shadow met: on to the next phase
    ADVANCE = "advance"
    AWAIT = "await"  # a step that wants a person is reached
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    INVALIDATE = "invalidate"
    INCONCLUSIVE = "inconclusive"
    ROLLBACK = "rollback"  # by evidence, or by a person
    ABORT = "abort"
    PROMOTE = "promote"
    SHADOW = "shadow"  # live shadow on or off


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move.

    ``rollout`` is the one to start, or the one the move was decided on, as it was then; None for a rollback
    of what has been promoted. A rollback with both ends that rollout and goes back to ``stable``.
    ``phase``, ``step`` and ``weight_bp`` are those that it leads to; None keeps.
    """

    move: Move
    reason: str = ""  # a sentence, recorded
    verdict: str = ""
    actor: str = ""
    forced: bool = False  # it goes past a rule or a step
    skipped: tuple[str, ...] = ()  # the steps that it goes past
    authors: tuple[str, ...] = ()  # who wrote the change that goes live, where that is known
    rollout: Rollout | None = None
    stable: ReleasedVersion | None = (
        None  # of RELEASE; of ROLLBACK the version to go back to, where one is named
    )
    shadow: ShadowState | None = None  # of SHADOW; None turns it off
    phase: Phase | None = None
    weight_bp: int | None = None
    step: int | None = None
    signals: tuple[str, ...] = ()  # of PAUSE: those that say worse
    replaces: str = ""  # of ROLLBACK of a stable version: its digest
    ends: Rollout | None = None  # of START: the one that it supersedes
    new_id: str | None = None  # of RESUME from invalid: what the new evidence is collected under

    @property
    def evidence_rollout(self) -> Rollout | None:
        """The rollout that evidence committed with the move is about."""
        return self.ends or self.rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """The one move that is due, or None, and why nothing (more) happens: sentences for a person."""

    transition: Transition | None = None
    holds: tuple[str, ...] = ()


FAIL_SAFE = (Move.ROLLBACK, Move.ABORT)
_ALLOWED_PHASES: Mapping[Move, tuple[Phase, ...]] = {
    Move.PHASE: ("eval", "shadow"),
    Move.ADVANCE: ("progressing", "awaiting"),
    Move.AWAIT: ("progressing", "awaiting"),
    Move.APPROVE: ("awaiting",),
    Move.PAUSE: ("progressing",),
    Move.RESUME: ("paused", "invalid"),
    Move.INVALIDATE: ("progressing", "awaiting"),
    Move.INCONCLUSIVE: ("eval", "shadow", "progressing", "awaiting", "paused", "invalid"),
}


def apply_transition(state: ChannelState, transition: Transition, now: float) -> ChannelState:
    """What the channel is after the move. Raises Invalid where it is no longer as the move was decided on.

    A rollback or abort needs only the same canary, in whatever phase it is now; where that has been promoted
    meanwhile, stable is rolled back.
    """
    if transition.move is Move.SHADOW:
        return replace(state, shadow=transition.shadow)
    if transition.move is Move.RELEASE:
        return _apply_release(state, transition, now)
    if transition.move is Move.START:
        return _apply_start(state, transition)
    if transition.move in FAIL_SAFE:
        return _apply_fail_safe(state, transition, now)
    rollout = _require_unmoved(state, transition)
    if transition.move is Move.PROMOTE:
        return replace(_make_stable(state, rollout.canary, now), rollout=None)
    return replace(state, rollout=_apply_to_rollout(rollout, transition, now))


def is_applicable(state: ChannelState, transition: Transition) -> bool:
    """Whether the channel is still as the move was decided on, so that ``apply_transition`` would do it."""
    try:
        apply_transition(state, transition, 0.0)
    except Invalid:
        return False
    return True


def is_already_undone(state: ChannelState, transition: Transition) -> bool:
    """Whether a rollback or abort has nothing left to do: what it is to take away is not served."""
    if transition.rollout is None:
        return state.rollout is None and _same_version(state.stable, transition.stable)
    gone, back = transition.rollout.canary, transition.stable
    return (
        not _same_version(state.stable, gone)
        and not _same_version(state.canary, gone)
        and (back is None or _same_version(state.stable, back))
    )


def _apply_release(state: ChannelState, transition: Transition, now: float) -> ChannelState:
    if state.rollout or transition.stable is None:
        raise _conflict(state, transition, "a rollout is active")
    return _make_stable(state, transition.stable, now)


def _make_stable(state: ChannelState, released: ReleasedVersion, now: float) -> ChannelState:
    """It is stable now, and nothing is left for it to do in the shadow."""
    shadow = state.shadow
    done = shadow is not None and _same_version(shadow.released, released)
    return replace(
        state,
        stable=_with_since(released, now),
        previous=state.stable,
        shadow=None if done else shadow,
    )


def _apply_start(state: ChannelState, transition: Transition) -> ChannelState:
    ended = transition.ends and transition.ends.id
    if transition.rollout is None or (state.rollout and state.rollout.id != ended):
        raise _conflict(state, transition, "another rollout is active")
    if state.stable is None:
        raise Invalid(
            "the channel serves nothing that a canary could be compared with",
            hint="promptops promote releases the first version",
        )
    return replace(state, rollout=transition.rollout)


def _apply_fail_safe(state: ChannelState, transition: Transition, now: float) -> ChannelState:
    decided, active = transition.rollout, state.rollout
    if active and (decided is None or active.id != decided.id):
        raise _conflict(state, transition, "another rollout has started")
    if active and (transition.stable is None or _same_version(transition.stable, state.stable)):
        return replace(state, rollout=None)
    if not active and not _concerns_stable(transition, state.stable):
        other = "another version has become stable"
        raise _conflict(state, transition, "that canary is not served any more" if decided else other)
    target = transition.stable or state.previous
    if target is None or _same_version(target, state.stable):
        raise Invalid(
            "there is no version to go back to", hint="promptops rollback NAME:CHANNEL --to REV names one"
        )
    # what was taken out is no place to go back to: a second rollback in haste must not bring it in again
    return replace(state, stable=_with_since(target, now), previous=None, rollout=None)


def _concerns_stable(transition: Transition, stable: ReleasedVersion | None) -> bool:
    """Whether a rollback is about this stable version: the one it names, or the canary promoted meanwhile."""
    if transition.rollout and _same_version(stable, transition.rollout.canary):
        return True
    if transition.replaces:
        return stable is not None and stable.digest == transition.replaces
    return transition.rollout is None


def _require_unmoved(state: ChannelState, transition: Transition) -> Rollout:
    """The active rollout, when it is the one that the move is about and has not moved since."""
    active, decided = state.rollout, transition.rollout
    if active is None or decided is None or active.id != decided.id:
        raise _conflict(state, transition, "it is not about the rollout that is active")
    if transition.forced and transition.move is Move.PROMOTE:
        return active
    if (active.phase, active.step) != (decided.phase, decided.step):
        raise _conflict(state, transition, "the rollout has moved meanwhile")
    allowed = _ALLOWED_PHASES.get(transition.move)
    if allowed and active.phase not in allowed:
        raise Invalid(
            f"{transition.move} does not apply: the canary {active.canary.version} is {active.phase}",
            hint=f"it applies while {' or '.join(allowed)}; promptops status shows what is next",
        )
    return active


def _apply_to_rollout(rollout: Rollout, transition: Transition, now: float) -> Rollout:
    changed = replace(
        rollout,
        phase=transition.phase or rollout.phase,
        step=rollout.step if transition.step is None else transition.step,
        weight_bp=rollout.weight_bp if transition.weight_bp is None else transition.weight_bp,
        reason=transition.reason or None,
    )
    stays = transition.move in (Move.PAUSE, Move.INVALIDATE, Move.INCONCLUSIVE)
    if not stays and not (transition.move is Move.RESUME and rollout.phase == "paused"):
        changed = replace(changed, step_started=format_timestamp(now))
    adjust = _ADJUST.get(transition.move)
    return adjust(rollout, changed, transition) if adjust else changed


def _apply_pause(_: Rollout, changed: Rollout, transition: Transition) -> Rollout:
    return replace(changed, signals=tuple(dict.fromkeys((*changed.signals, *transition.signals))))


def _apply_resume(rollout: Rollout, changed: Rollout, transition: Transition) -> Rollout:
    if rollout.phase == "paused":
        return replace(changed, reason=None)
    if not transition.new_id or not transition.reason:
        raise Invalid(
            "the evidence so far is invalid: going on needs a reason and starts new evidence",
            hint='promptops release resume NAME:CHANNEL --reason "…"',
        )
    return replace(changed, id=transition.new_id, reason=None, signals=())


_ADJUST: Mapping[Move, Callable[[Rollout, Rollout, Transition], Rollout]] = {
    Move.PAUSE: _apply_pause,
    Move.RESUME: _apply_resume,
}


def _same_version(one: ReleasedVersion | None, other: ReleasedVersion | None) -> bool:
    return one is not None and other is not None and one.digest == other.digest


def _with_since(released: ReleasedVersion, now: float) -> ReleasedVersion:
    return replace(released, since=format_timestamp(now))


def _conflict(state: ChannelState, transition: Transition, why: str) -> Invalid:
    ours = (
        _describe_rollout(transition.rollout)
        if transition.rollout
        else transition.stable and transition.stable.version
    )
    return Invalid(
        f"{transition.move} of {ours or 'stable'}: {why}; on the channel: {_describe_channel(state)}",
        hint="promptops status shows it; then give the command again if it is still wanted",
    )


def _describe_channel(state: ChannelState) -> str:
    stable = f"stable {state.stable.version}" if state.stable else "nothing stable"
    return f"{stable}, {_describe_rollout(state.rollout)}" if state.rollout else f"{stable}, no canary"


def _describe_rollout(rollout: Rollout) -> str:
    return f"canary {rollout.canary.version} ({rollout.id}, {rollout.phase}, step {rollout.step + 1})"

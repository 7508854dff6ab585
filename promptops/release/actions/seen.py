"""What somebody had before their eyes when they decided: a decision holds for that, and for nothing newer."""

from hashlib import sha256

from promptops.errors import Invalid
from promptops.release.context import Target
from promptops.versions.release_state import ChannelState

_LENGTH = 12


class ChannelMoved(Invalid):
    """A channel is not any more what somebody has seen."""


def channel_position(state: ChannelState) -> str:
    """What is served, then how far its canary is: two words that change when that does."""
    stable, rollout = state.stable, state.rollout
    served = (stable and stable.digest, rollout and rollout.id, rollout and rollout.canary.digest)
    step = rollout and (rollout.phase, rollout.step, rollout.weight_bp)
    return f"{_word(served)}-{_word(step)}"


def require_seen(state: ChannelState, target: Target, seen: str | None, *, any_step: bool = False) -> None:
    """Raise ChannelMoved unless the channel is as it was ``seen``; None decides whatever it is by now.

    ``any_step``: a canary that has gone a step further is still the one that was seen.
    """
    now = channel_position(state)
    if seen is None or now == seen or (any_step and now.partition("-")[0] == seen.partition("-")[0]):
        return
    raise ChannelMoved(
        f"{target} has moved since you looked at it, and nothing was done",
        hint="look at where it is now, and decide again",
    )


def _word(value: object) -> str:
    return sha256(repr(value).encode()).hexdigest()[:_LENGTH]

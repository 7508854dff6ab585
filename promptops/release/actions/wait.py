"""Waiting for a canary to be decided, by looking at the state branch: here often, at the remote seldom."""

import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum

from promptops.errors import Invalid, Unavailable
from promptops.release.context import ReleaseContext, Target, active_rollout
from promptops.release.timestamps import parse_duration
from promptops.versions.release_state import ChannelState, Rollout

_POLL_INTERVAL_S = 2.0  # a look at this repository
_FETCH_INTERVAL_S = 15.0
_NEEDS_PERSON = ("awaiting", "paused", "invalid", "inconclusive")


class WaitOutcome(IntEnum):
    """The exit codes of ``release wait``."""

    PROMOTED = 0
    ENDED = 1  # rolled back or aborted
    UNDECIDED = 3  # timed out, or a person is waited for


def wait(
    context: ReleaseContext,
    target: Target,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[WaitOutcome, str]:
    """How the active canary has ended, with a sentence."""
    rollout = active_rollout(context.channel(target), target)
    until, fetch_at = clock() + timeout_s, clock()
    while True:
        if clock() >= fetch_at:
            with suppress(Unavailable):  # what is known here goes on being looked at
                context.ledger.refresh()
            fetch_at = clock() + _FETCH_INTERVAL_S
        ended = _wait_outcome(context.channel(target), rollout)
        if ended:
            return ended
        left = until - clock()
        if left <= 0:
            return WaitOutcome.UNDECIDED, f"{rollout.canary.version} is not decided yet"
        sleep(min(_POLL_INTERVAL_S, left))


def parse_timeout(text: str) -> float:
    """Seconds of ``90s``, ``15m``, ``2h`` or ``1d``."""
    seconds = parse_duration(text)
    if seconds is None:
        raise Invalid(f"--timeout {text}: no span of time", hint="90s, 15m, 2h or 1d")
    return seconds


def _wait_outcome(state: ChannelState, rollout: Rollout) -> tuple[WaitOutcome, str] | None:
    name, active = rollout.canary.version, state.rollout
    if active and active.canary.digest == rollout.canary.digest:
        if active.phase in _NEEDS_PERSON:
            return (
                WaitOutcome.UNDECIDED,
                f"{name} is {active.phase}: {active.reason or 'it waits for a person'}",
            )
        return None
    if state.stable and state.stable.digest == rollout.canary.digest:
        return WaitOutcome.PROMOTED, f"{name} is promoted"
    return WaitOutcome.ENDED, f"{name} is rolled back"

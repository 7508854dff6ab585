"""The state machine of releases, pure: what a tick or a person's word does to a channel.

``decide`` looks at a rollout and its evidence and names at most one move. ``apply`` makes a move: it takes
what a channel is now and gives what it is afterwards, or raises Invalid where the move does not apply.
"""

from dataclasses import dataclass
from enum import StrEnum

from promptops.release_state import Released, Rollout, Shadow


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
    """One move. ``rollout`` is the one to start, or (with its id) the one the move was decided on."""

    move: Move
    reason: str = ""  # a sentence, recorded
    verdict: str = ""
    actor: str = ""
    forced: bool = False
    rollout: Rollout | None = None
    stable: Released | None = None  # of RELEASE
    shadow: Shadow | None = None  # of SHADOW; None turns it off
    weight_bp: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The one move that is due, or None, and why nothing (more) happens: sentences for a person."""

    transition: Transition | None = None
    holds: tuple[str, ...] = ()

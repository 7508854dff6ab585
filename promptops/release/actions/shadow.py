"""The shadow of a channel put on and taken off."""

from dataclasses import dataclass

from promptops.errors import Invalid
from promptops.release.actions.candidate import Candidate, candidate, need_reason
from promptops.release.context import Desk, Target, channel_of, unreleased
from promptops.release.ledger import Written
from promptops.release.transitions import Move, Transition
from promptops.versions.release_state import ReleaseState, Shadow

_ALL_BP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``sample``: the share of calls, above 0 and up to 1. ``max_usd``: for all that this version answers."""

    target: Target
    revision: str
    sample: float
    max_usd: float | None
    reason: str = ""
    unreviewed: bool = False


def shadow_candidate(desk: Desk, wanted: Wanted) -> Candidate:
    """The version that is to shadow the channel; released by the same rules as a canary."""
    target = wanted.target
    need_reason(wanted.reason, {"--unreviewed": wanted.unreviewed})
    desk.ledger.refresh()
    stable = desk.channel(target).stable
    if stable is None:
        raise unreleased(target)
    found = candidate(desk, _reference(wanted), target.channel, unreviewed=wanted.unreviewed)
    if found.version.prompt.digest == stable.digest:
        raise Invalid(
            f"{wanted.revision} is what {target} serves already ({stable.version})",
            hint=f"promptops history {target.prompt} lists other versions",
        )
    return found


def _reference(wanted: Wanted) -> str:
    """``--version`` may be a whole reference, as NAME:staging is."""
    name, revision = wanted.target.prompt, wanted.revision
    whole = revision == name or revision.startswith((f"{name}@", f"{name}:"))
    return revision if whole else f"{name}@{revision}"


def put_on(desk: Desk, wanted: Wanted, found: Candidate) -> Written:
    shadow = Shadow(
        released=found.released, sample_bp=max(1, round(wanted.sample * _ALL_BP)), max_usd=wanted.max_usd
    )

    def change(head: ReleaseState | None) -> Transition | None:
        there = channel_of(head, wanted.target.channel).shadow
        same = there and (there.released.digest, there.sample_bp, there.max_usd) == (
            shadow.released.digest,
            shadow.sample_bp,
            shadow.max_usd,
        )
        return None if same else Transition(move=Move.SHADOW, reason=wanted.reason, shadow=shadow)

    target = wanted.target
    return desk.ledger.transit(target.prompt, target.channel, change, now=desk.now, version=found.version)


def take_off(desk: Desk, target: Target, reason: str = "") -> Written:
    """Nothing is done where there is none."""

    def change(head: ReleaseState | None) -> Transition | None:
        there = channel_of(head, target.channel).shadow
        return Transition(move=Move.SHADOW, reason=reason) if there else None

    return desk.ledger.transit(target.prompt, target.channel, change, now=desk.now)

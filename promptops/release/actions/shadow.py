"""The live shadow of a channel: switched on and off."""

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.release.actions.candidate import ReleaseCandidate, require_reason, resolve_candidate
from promptops.release.context import ReleaseContext, Target, channel_state, not_released_error
from promptops.release.ledger import TransitionResult
from promptops.release.transitions import Move, Transition
from promptops.versions.release_state import ReleaseState, ShadowState

_ALL_BP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableShadowRequest:
    """``sample``: the share of calls, above 0 and up to 1. ``max_usd``: for all that this version answers."""

    target: Target
    revision: str
    sample: float
    max_usd: float | None
    reason: str = ""
    unreviewed: bool = False


def shadow_candidate(context: ReleaseContext, wanted: EnableShadowRequest) -> ReleaseCandidate:
    """The version that is to shadow the channel; released by the same rules as a canary."""
    target = wanted.target
    require_reason(wanted.reason, {"--unreviewed": wanted.unreviewed})
    context.ledger.refresh()
    stable = context.channel(target).stable
    if stable is None:
        raise not_released_error(target)
    found = resolve_candidate(context, _reference(wanted), target.channel, unreviewed=wanted.unreviewed)
    if found.version.prompt.digest == stable.digest:
        raise Invalid(
            f"{wanted.revision} is what {target} serves already ({stable.version})",
            hint=f"promptops history {target.prompt} lists other versions",
        )
    return found


def _reference(wanted: EnableShadowRequest) -> str:
    """``--version`` may be a whole reference, as NAME:staging is."""
    name, revision = wanted.target.prompt, wanted.revision
    whole = revision == name or revision.startswith((f"{name}@", f"{name}:"))
    return revision if whole else f"{name}@{revision}"


def enable_shadow(
    context: ReleaseContext, wanted: EnableShadowRequest, found: ReleaseCandidate
) -> TransitionResult:
    shadow = ShadowState(
        released=found.released, sample_bp=max(1, round(wanted.sample * _ALL_BP)), max_usd=wanted.max_usd
    )

    def change(head: ReleaseState | None) -> Transition | None:
        there = channel_state(head, wanted.target.channel).shadow
        same = there and (there.released.digest, there.sample_bp, there.max_usd) == (
            shadow.released.digest,
            shadow.sample_bp,
            shadow.max_usd,
        )
        return None if same else Transition(move=Move.SHADOW, reason=wanted.reason, shadow=shadow)

    target = wanted.target
    return context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, version=found.version
    )


def disable_shadow(context: ReleaseContext, target: Target, reason: str = "") -> TransitionResult:
    """Nothing is done where there is none."""

    def change(head: ReleaseState | None) -> Transition | None:
        there = channel_state(head, target.channel).shadow
        return Transition(move=Move.SHADOW, reason=reason) if there else None

    return context.ledger.commit_transition(target.prompt, target.channel, change, now=context.now)

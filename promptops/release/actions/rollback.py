"""Back to what was served before: always possible, here at once, whatever the remote says."""

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.release.actions.candidate import resolve_candidate
from promptops.release.actions.seen import require_seen
from promptops.release.context import (
    ReleaseContext,
    Target,
    active_rollout,
    channel_state,
    not_released_error,
)
from promptops.release.ledger import TransitionResult
from promptops.release.reconcile import stored_evidence
from promptops.release.rules import Move, Transition
from promptops.versions.references import Reference, is_version_number
from promptops.versions.release_state import ReleasedVersion, ReleaseState
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackResult:
    """``taken``: the version that is served no longer; ``stable``: the one that serves everybody now."""

    target: Target
    removed: ReleasedVersion
    stable: ReleasedVersion
    written: TransitionResult


def roll_back(
    context: ReleaseContext,
    target: Target,
    *,
    to: str | None = None,
    reason: str = "",
    seen: str | None = None,
) -> RollbackResult:
    """End the active canary; where there is none, serve the previous version again, or the one named.

    ``seen``: the position of the channel that is meant, at whatever step the canary is by then.
    """
    chosen = _resolve_version(context, target, to) if to else None
    if chosen and not _has_served(context, target, chosen.prompt.digest):
        raise Invalid(
            f"{chosen.pasteable} has never served everybody on {target.channel}: going there is no rollback",
            hint=f"promptops promote {chosen.pasteable} --to {target.channel}",
        )
    taken: list[ReleasedVersion] = []

    def change(head: ReleaseState | None) -> Transition:
        state = channel_state(head, target.channel)
        require_seen(state, target, seen, any_step=True)
        if state.stable is None:
            raise not_released_error(target)
        if state.rollout and chosen is None:
            taken[:] = [state.rollout.canary]
            return Transition(move=Move.ABORT, reason=reason or "rolled back by hand", rollout=state.rollout)
        back = _as_released(chosen) if chosen else state.previous
        if back is None:
            raise Invalid(
                "there is no version to go back to", hint=f"promptops rollback {target} --to REV names one"
            )
        stays = state.rollout and back and back.digest == state.stable.digest
        taken[:] = [state.rollout.canary if state.rollout and stays else state.stable]
        return Transition(
            move=Move.ROLLBACK,
            reason=reason or "by hand",
            rollout=state.rollout,
            stable=back,
            replaces=state.stable.digest,
        )

    written = context.ledger.commit_transition(
        target.prompt,
        target.channel,
        change,
        now=context.now,
        version=chosen,
        evidence=stored_evidence(context, target),
    )
    return _rollback_result(target, taken[0], written)


def abort_canary(context: ReleaseContext, target: Target, *, reason: str = "") -> RollbackResult:
    """End the active canary; stable stays."""
    taken: list[ReleasedVersion] = []

    def change(head: ReleaseState | None) -> Transition:
        rollout = active_rollout(channel_state(head, target.channel), target)
        taken[:] = [rollout.canary]
        return Transition(move=Move.ABORT, reason=reason, rollout=rollout)

    written = context.ledger.commit_transition(
        target.prompt, target.channel, change, now=context.now, evidence=stored_evidence(context, target)
    )
    return _rollback_result(target, taken[0], written)


def _rollback_result(target: Target, taken: ReleasedVersion, written: TransitionResult) -> RollbackResult:
    stable = channel_state(written.state, target.channel).stable
    if stable is None:
        raise not_released_error(target)
    return RollbackResult(target=target, removed=taken, stable=stable, written=written)


def _resolve_version(context: ReleaseContext, target: Target, to: str) -> Version:
    """A version to go back to: one that was released before, by its number, or a reviewed commit."""
    if is_version_number(to):
        for frozen in context.ledger.versions(target.prompt):
            if frozen.version == to:
                return context.version(target, ReleasedVersion(to, frozen.digest, frozen.commit))
        known = ", ".join(each.version for each in context.ledger.versions(target.prompt))
        raise NotFound(f"{target.prompt} has no version {to}", hint=f"there are: {known or 'none'}")
    rev = to.partition("@")[2] or to
    if rev.startswith("-") or not rev:
        raise Invalid(f"`{to}` is not a revision", hint="--to v12, or --to REV")
    wanted = Reference(f"{target.prompt}@{rev}", target.prompt, rev=rev)
    return resolve_candidate(context, wanted.text, target.channel).version


def _has_served(context: ReleaseContext, target: Target, digest: str) -> bool:
    """Whether everybody was served this version once: what was not goes live by its plan alone."""
    state = context.channel(target)
    known = any(version and version.digest == digest for version in (state.stable, state.previous))
    return known or any(
        record.after.stable and record.after.stable.digest == digest
        for record in context.ledger.log(target.prompt, target.channel)
    )


def _as_released(version: Version) -> ReleasedVersion:
    return ReleasedVersion(version.version or "", version.prompt.digest, version.commit_sha)

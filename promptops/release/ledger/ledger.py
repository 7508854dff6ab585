"""Writes the state branch: every transition is one commit, and it is either there whole or not at all.

A rollback or an abort is committed here at once and pushed then. Everything else counts only when the
remote has it: the commit is pushed first and the local branch follows. Commits that are here and not at the
remote are *local_commits*: they are made again on what is fetched (``sync``) and never pushed over it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from promptops.config.settings import Settings
from promptops.errors import Invalid, Unavailable
from promptops.git.remote import OnTransfer
from promptops.git.repo import STATE_BRANCH, VERIFIED_REF
from promptops.git.state_branch import RefUpdate, repository_lock, update_refs
from promptops.release.ledger.commit_builder import build_content
from promptops.release.ledger.contention import MAX_ATTEMPTS, back_off, contention_error
from promptops.release.ledger.reader import LedgerReader
from promptops.release.ledger.recover import LedgerRecovery
from promptops.release.ledger.result import BuiltCommit, DecideTransition, TransitionRequest, TransitionResult
from promptops.release.ledger.sync import SyncResult
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.plan import ReleasePlan, dump_plan
from promptops.release.state_trust import allows_tampering, require_untampered
from promptops.release.transitions import FAIL_SAFE, Transition
from promptops.versions.frozen import is_sound, load_frozen_prompt
from promptops.versions.release_state import ChannelState, ReleasedSnapshot, ReleasedVersion, ReleaseState
from promptops.versions.resolve import Version, version_reader

__all__ = [
    "DecideTransition",
    "Ledger",
    "LedgerRecovery",
    "SyncResult",
    "TransitionRecord",
    "TransitionResult",
]

_MAX_LOCAL_ATTEMPTS = 100  # only writers that are not promptops come between
_LOCK_TIMEOUT_S = 180.0  # each may wait for the remote


class Ledger(LedgerReader):
    """One project's state branch, read and written. A context manager.

    ``local`` goes on without the remote. ``propose`` names a branch that is written instead.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        local: bool = False,
        propose: str | None = None,
        unreviewed: bool = False,
        on_transfer: OnTransfer | None = None,
    ) -> None:
        super().__init__(settings, local=local, on_transfer=on_transfer)
        self.propose = propose
        self.unreviewed = unreviewed

    def commit_transition(
        self,
        prompt: str,
        channel: str,
        change: DecideTransition,
        *,
        now: float,
        evidence: Mapping[str, Any] | None = None,
        plan: ReleasePlan | None = None,
        version: Version | None = None,
    ) -> TransitionResult:
        """Make one move and commit it, the only way to do so.

        ``change`` looks at the prompt's releases and says the move, or None. It is asked again whenever
        they turn out to have changed. What names ``version`` gets the number that is allotted to it here.
        Raises Invalid where the move does not apply, Unavailable where a remote is needed and not reached.
        """
        frozen = self._snapshot(version) if version else None
        pinned = (plan.digest, dump_plan(plan).encode()) if plan else None
        wanted = TransitionRequest(prompt, channel, change, now, frozen, pinned, evidence)
        if self.propose:
            return self._commit_proposal(wanted, self.propose)
        if not self.branch.online:
            written = self._commit_locally(wanted)
            assert written is not None  # noqa: S101 - only a choice of moves leaves some out
            return replace(written, pushed=None if self.branch.remote is None else False)
        return self._commit_then_push(wanted) or self._push_first(wanted)

    def _snapshot(self, version: Version) -> ReleasedSnapshot:
        """All files of a version; its number is not known yet."""
        prompt = version.prompt
        for known in self.history.frozen(prompt.name, prompt.digest):
            if is_sound(known):
                return known
        if version.source not in ("commit", "release"):
            raise Invalid(
                f"{version.reference} is not committed, so it cannot be released",
                hint=f"git commit, then {prompt.name}@HEAD",
            )
        with version_reader(version, self.settings, self.repo) as read:
            files = {path: read(path) for path in prompt.closure}
        return ReleasedSnapshot(prompt.name, "", prompt.digest, version.commit_sha, files)

    def _commit_locally(
        self, wanted: TransitionRequest, *, only_fail_safe: bool = False
    ) -> TransitionResult | None:
        """Commit to the local branch; None for a move that is not to be made without the remote."""
        with repository_lock(self.settings):
            for _ in range(_MAX_LOCAL_ATTEMPTS):
                head = self.branch.newest_commit(own=True)
                here = self.branch.local_head
                state = self.trusted_state(head, wanted.prompt) if head else None
                transition = wanted.change(state)
                if only_fail_safe and (transition is None or transition.move not in FAIL_SAFE):
                    return None
                if transition is None:
                    return TransitionResult(changed=False, commit=head, state=state)
                if head and transition.move in FAIL_SAFE:
                    head = self._safe_parent(head)
                made = self._build_commit(wanted, head, state, transition)
                verified = self.branch.verified_with(made.commit, head)
                if self.branch.move(made.commit, here, verified=verified):
                    if here and here != head and not self.repo.is_ancestor(here, made.commit):
                        self.branch.keep_discarded(here)
                    return made.written(transition)
        raise contention_error(self.branch)

    def _safe_parent(self, head: str) -> str:
        """What a rollback is made on: where the branch was rewritten, what was verified before that."""
        return head if allows_tampering(self.repo) else self.branch.audit(head).content

    def _build_commit(
        self, wanted: TransitionRequest, head: str | None, state: ReleaseState | None, transition: Transition
    ) -> BuiltCommit:
        transition = replace(transition, actor=transition.actor or self.branch.identity.actor)
        fail_safe = transition.move in FAIL_SAFE
        if head is None:
            self._require_no_trace()
        elif not fail_safe:
            require_untampered(self.repo, self.branch.audit(head), wanted.prompt)
        drafted = build_content(self.repo, head, state, wanted.payload_for(transition))
        if damaged := self._damaged_target(wanted, head, state, drafted.state):
            wanted = replace(wanted, frozen=damaged)
            drafted = build_content(self.repo, head, state, wanted.payload_for(transition))
        return BuiltCommit(
            self.branch.commit(head, drafted.files, drafted.message, unsigned=fail_safe), drafted
        )

    def _damaged_target(
        self, wanted: TransitionRequest, head: str | None, before: ReleaseState | None, after: ReleaseState
    ) -> ReleasedSnapshot | None:
        """The version that users are about to meet, where its frozen file is damaged: it is written again.

        Raises Invalid where it can't be had at all, so that nothing is made live that cannot be served.
        """
        for released in _newly_served(before, after, wanted.channel):
            if head is None or (wanted.frozen and wanted.frozen.digest == released.digest):
                continue
            content = self.branch.audit(head).content
            found = load_frozen_prompt(self.repo, content, wanted.prompt, released)
            if found.problem:
                return found.snapshot(released)
        return None

    def _require_no_trace(self) -> None:
        """A branch that was here is not begun again behind everybody's back."""
        if self.repo.verified_state():
            raise Invalid(
                f"{STATE_BRANCH} is gone, and it was here",
                hint="promptops release recover brings it back; to begin again: "
                f"git update-ref -d {VERIFIED_REF}",
            )

    def _commit_then_push(self, wanted: TransitionRequest) -> TransitionResult | None:
        """A rollback or abort: here first, then pushed. None for other moves."""
        try:
            written = self._commit_locally(wanted, only_fail_safe=True)
        except Invalid:  # as what is known here is old, perhaps: it is decided on what is fetched
            return None
        return self._push(written) if written else None

    def _push(self, written: TransitionResult) -> TransitionResult:
        """Bring what is committed here to the remote; where that fails it is said in the result."""
        try:
            commit = str(written.commit)
            if self.branch.push(commit):
                self.branch.record_pushed(commit)
            else:
                self.sync()
        except (Unavailable, Invalid) as error:
            return replace(written, pushed=False, problem=error.message)
        return replace(written, pushed=True, commit=self.branch.newest_commit())

    def _push_first(self, wanted: TransitionRequest) -> TransitionResult:
        """Every other move: on what the remote has now, and only if it takes the commit."""
        with repository_lock(self.settings, "promptops-remote", timeout_s=_LOCK_TIMEOUT_S):
            for attempt in range(MAX_ATTEMPTS + 1):
                self.sync()
                head = self.branch.newest_commit()
                here = self.branch.local_head
                state = self.trusted_state(head, wanted.prompt) if head else None
                transition = wanted.change(state)
                if transition is None:
                    return TransitionResult(changed=False, commit=head, state=state, pushed=True)
                if transition.move in FAIL_SAFE and (written := self._commit_then_push(wanted)):
                    return written
                made = self._build_commit(wanted, head, state, transition)
                if self.branch.push(made.commit):
                    verified = self.branch.verified_with(made.commit, head)
                    return self._fast_forward_local(made, here, transition, verified)
                back_off(attempt)
        raise contention_error(self.branch)

    def _fast_forward_local(
        self, made: BuiltCommit, here: str | None, transition: Transition, verified: str | None
    ) -> TransitionResult:
        """The remote has it: the local branch follows, over a rollback that came here meanwhile."""
        with repository_lock(self.settings):
            moved = self.branch.move(made.commit, here, pushed=True, verified=verified)
        if not moved:
            self.branch.record_pushed(made.commit)
            self.sync()
        return replace(made.written(transition), pushed=True)

    def _commit_proposal(self, wanted: TransitionRequest, branch: str) -> TransitionResult:
        """The same commit on another branch; the state stays as it is."""
        if branch == STATE_BRANCH:
            raise Invalid(f"{STATE_BRANCH} is the state itself", hint="name a branch of its own")
        self.refresh()
        head = self.branch.newest_commit()
        state = self.trusted_state(head, wanted.prompt) if head else None
        transition = wanted.change(state)
        if transition is None:
            return TransitionResult(changed=False, commit=head, state=state)
        made, ref = self._build_commit(wanted, head, state, transition), f"refs/heads/{branch}"
        if not update_refs(self.settings, RefUpdate(ref, made.commit, None)):
            raise Invalid(
                f"there is a branch {branch} already, or one below it",
                hint=f"name another one, or delete it: git branch -D {branch}",
            )
        pushed = None
        if self.branch.online and not (pushed := self.branch.push(made.commit, ref)):
            raise Invalid(f"{self.branch.remote} has another branch {branch}", hint="name another one")
        return replace(made.written(transition), proposed=branch, pushed=pushed, state=state)


def _newly_served(
    before: ReleaseState | None, after: ReleaseState, channel: str
) -> Iterator[ReleasedVersion]:
    """Versions that more users of a channel meet than before."""
    old = before.channels.get(channel, ChannelState()) if before else ChannelState()
    new = after.channels[channel]
    if new.stable and (old.stable is None or old.stable.digest != new.stable.digest):
        yield new.stable
    weight = old.rollout.weight_bp if old.rollout else 0
    if new.rollout and (old.canary != new.rollout.canary or new.rollout.weight_bp > weight):
        yield new.rollout.canary

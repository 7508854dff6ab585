"""Reads the state branch, and brings it and the remote together."""

from typing import Any

from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.git.remote import OnTransfer
from promptops.git.repo import GitRepo
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.contention import MAX_ATTEMPTS, back_off, contention_error
from promptops.release.ledger.history import LedgerHistory
from promptops.release.ledger.init_branch import init_state_branch
from promptops.release.ledger.recover import LedgerRecovery, recover_branch
from promptops.release.ledger.sync import SyncResult, pending_transitions, rebase_local_commits
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.plan import ReleasePlan, load_pinned_plan
from promptops.release.state_trust import AuditedReleases, audit_whole_branch, unrelated_branches
from promptops.release.tampering import Tampering
from promptops.versions.release_state import ChannelState, ReleasedSnapshot, ReleaseState, plan_path


class LedgerReader(Closing):
    """One project's state branch. ``local`` goes on without the remote."""

    def __init__(
        self,
        settings: Settings,
        *,
        local: bool = False,
        on_transfer: OnTransfer | None = None,
    ) -> None:
        self.settings = settings
        self.repo = GitRepo(settings)
        self.branch = StateBranch(settings, self.repo, local=local, on_transfer=on_transfer)
        self.history = LedgerHistory(self.branch)
        self._remote_asked = False
        self._plans: dict[str, ReleasePlan] = {}

    def close(self) -> None:
        self.repo.close()

    # reading

    def commit_id(self) -> str | None:
        """The newest commit of the branch; where none is known here the remote is asked, once.

        Raises Invalid where here and the remote have diverged, Unavailable where it can't be asked.
        """
        commit = self.branch.newest_commit()
        if commit is None and self.branch.online and not self._remote_asked:
            self._remote_asked = True
            self.sync()
            commit = self.branch.newest_commit()
        return commit

    def content_commit(self) -> str | None:
        """The commit that holds the frozen versions: the newest, where that is of the branch at all."""
        commit = self.commit_id()
        return self.branch.audit(commit).content if commit else None

    def head(self, prompt: str) -> ReleaseState | None:
        """A prompt's releases now: as the newest commit says that can be trusted with them."""
        commit = self.commit_id()
        return self.trusted_state(commit, prompt) if commit else None

    def releases(self) -> dict[str, ReleaseState]:
        """Those of every prompt of this project."""
        commit = self.commit_id()
        return AuditedReleases(self.repo, self.branch.audit(commit)).releases() if commit else {}

    def tampering(self, prompt: str | None = None) -> list[Tampering]:
        """What of a prompt's, or of anything, no transition has left as it is, in the newest commits."""
        commit = self.branch.newest_commit(own=True)
        found = self.branch.audit(commit).tampering if commit else ()
        return [each for each in found if prompt is None or each.concerns(prompt)]

    def audit(self) -> list[Tampering]:
        """What of the whole branch was tampered with, from its first commit on."""
        commit = self.branch.newest_commit(own=True)
        found = audit_whole_branch(self.repo, commit).tampering if commit else ()
        return [*unrelated_branches(self.repo), *found]

    def trusted_state(self, commit: str, prompt: str) -> ReleaseState | None:
        """The releases of a prompt at the newest commit, up to this one, that can be trusted with them."""
        return AuditedReleases(self.repo, self.branch.audit(commit)).release(prompt)

    def log(self, prompt: str | None = None, channel: str | None = None) -> list[TransitionRecord]:
        """Transitions, newest first."""
        self._sync_if_empty()
        return self.history.log(prompt, channel)

    def at(self, prompt: str, channel: str, moment: float) -> ChannelState | None:
        """What a channel was at a moment; None before its first transition."""
        self._sync_if_empty()
        return self.history.at(prompt, channel, moment)

    def _sync_if_empty(self) -> None:
        """In a clone of one branch nothing is known yet."""
        if self.branch.newest_commit(own=True) is None:
            self.commit_id()

    def plan(self, digest: str) -> ReleasePlan:
        """A plan as it was pinned."""
        if digest not in self._plans:
            text = self.history.file(plan_path(digest), "plan")
            self._plans[digest] = load_pinned_plan(text, digest)
        return self._plans[digest]

    def evidence(self, rollout: str) -> list[tuple[int, dict[str, Any]]]:
        """What is committed of a rollout's evidence, with generations, oldest first."""
        return self.history.evidence(rollout)

    def versions(self, prompt: str) -> list[ReleasedSnapshot]:
        """Every released version of a prompt, by its number."""
        return self.history.versions(prompt)

    def pending(self) -> list[TransitionRecord]:
        """Transitions that are here alone, oldest first."""
        return pending_transitions(self.branch)

    # the remote

    def refresh(self) -> None:
        """Fetch the branch, and bring what is here alone to the remote. Raises Unavailable without it."""
        if self.branch.online:
            self.sync()

    def sync(self, *, discard: bool = False, strict: bool = False) -> SyncResult:
        """Fetch; rebase local commits on what was fetched, and push. ``discard`` drops those in conflict.

        ``strict``: take over nothing of which a file was tampered with.
        """
        for attempt in range(MAX_ATTEMPTS + 1):
            done = rebase_local_commits(self.branch, discard=discard, strict=strict)
            if done is not None:
                return done
            back_off(attempt)
        raise contention_error(self.branch)

    def recover(self) -> LedgerRecovery:
        """Bring back a branch that is gone, and files that were damaged or edited by hand."""
        return recover_branch(self.branch)

    def init(self, codeowners: tuple[str, ...] = ()) -> str | None:
        """Put README.md and CODEOWNERS on the branch; the new commit, or None where nothing was missing."""
        return init_state_branch(self.branch, codeowners)

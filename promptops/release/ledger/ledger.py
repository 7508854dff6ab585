"""Writes the state branch: every transition is one commit, and it is either there whole or not at all.

A rollback or an abort is committed here at once and pushed then. Everything else counts only when the
remote has it: the commit is pushed first and the local branch follows. Commits that are here and not at the
remote are *intents*: they are made again on what is fetched (``sync``) and never pushed over it.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from promptops.config.settings import Settings
from promptops.errors import Invalid, Unavailable
from promptops.git.remote import Refused, push
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.git.state_branch import RefMove, locked, move_refs
from promptops.release.ledger.branch import Branch
from promptops.release.ledger.commit_builder import draft
from promptops.release.ledger.history import History
from promptops.release.ledger.init_branch import found
from promptops.release.ledger.recover import Recovered, recover
from promptops.release.ledger.result import Decide, Made, Wanted, Written
from promptops.release.ledger.sync import Synced, bring_together, pending
from promptops.release.ledger.transition_log import Record
from promptops.release.plan import Plan, pinned_plan, plan_text
from promptops.release.transitions import FAIL_SAFE, Transition
from promptops.versions.release_state import ChannelState, Frozen, ReleaseState, plan_path, read_release
from promptops.versions.resolve import Version, reader

__all__ = ["Decide", "Ledger", "Record", "Recovered", "Synced", "Written"]

TRIES = 5
_TRIES_HERE = 100  # only writers that are not promptops come between
_PAUSE_S = 0.2
_AFTER_OTHERS_S = 180.0  # each may wait for the remote


class Ledger:
    """One project's state branch, read and written. A context manager.

    ``local`` goes on without the remote. ``propose`` names a branch that is written instead.
    """

    def __init__(
        self, settings: Settings, *, local: bool = False, propose: str | None = None, unreviewed: bool = False
    ) -> None:
        self.settings = settings
        self.repo = GitRepo(settings)
        self.branch = Branch(settings, self.repo, local=local)
        self.propose = propose
        self.unreviewed = unreviewed
        self.history = History(self.branch)
        self._asked = False
        self._plans: dict[str, Plan] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.repo.close()

    # reading

    def commit_id(self) -> str | None:
        """The newest commit of the branch; where none is known here the remote is asked, once.

        Raises Invalid where here and the remote have diverged, Unavailable where it can't be asked.
        """
        commit = self.branch.newest()
        if commit is None and self.branch.online and not self._asked:
            self._asked = True
            self.sync()
            commit = self.branch.newest()
        return commit

    def head(self, prompt: str) -> ReleaseState | None:
        """A prompt's releases now."""
        commit = self.commit_id()
        return read_release(self.repo, commit, prompt) if commit else None

    def log(self, prompt: str | None = None, channel: str | None = None) -> list[Record]:
        """Transitions, newest first."""
        self._look_once()
        return self.history.log(prompt, channel)

    def at(self, prompt: str, channel: str, moment: float) -> ChannelState | None:
        """What a channel was at a moment; None before its first transition."""
        self._look_once()
        return self.history.at(prompt, channel, moment)

    def _look_once(self) -> None:
        """In a clone of one branch nothing is known yet."""
        if self.branch.newest(own=True) is None:
            self.commit_id()

    def plan(self, digest: str) -> Plan:
        """A plan as it was pinned."""
        if digest not in self._plans:
            text = self.history.file(plan_path(digest), "plan")
            self._plans[digest] = pinned_plan(text, digest)
        return self._plans[digest]

    def evidence(self, rollout: str) -> list[tuple[int, dict[str, Any]]]:
        """What is committed of a rollout's evidence, with generations, oldest first."""
        return self.history.evidence(rollout)

    def versions(self, prompt: str) -> list[Frozen]:
        """Every released version of a prompt, by its number."""
        return self.history.versions(prompt)

    def pending(self) -> list[Record]:
        """Transitions that are here alone, oldest first."""
        return pending(self.branch)

    # the remote

    def refresh(self) -> None:
        """Fetch the branch, and bring what is here alone to the remote. Raises Unavailable without it."""
        if self.branch.online:
            self.sync()

    def sync(self, *, discard: bool = False) -> Synced:
        """Fetch; make intents again on what was fetched, and push. ``discard`` drops those in conflict."""
        for attempt in range(TRIES + 1):
            done = bring_together(self.branch, discard=discard)
            if done is not None:
                return done
            _pause(attempt)
        raise _busy(self.branch)

    def recover(self) -> Recovered:
        """Bring back a branch that is gone, and files that were damaged or edited by hand."""
        return recover(self.branch)

    def init(self, codeowners: tuple[str, ...] = ()) -> str | None:
        """Put README.md and CODEOWNERS on the branch; the new commit, or None where nothing was missing."""
        return found(self.branch, codeowners)

    # writing

    def transit(
        self,
        prompt: str,
        channel: str,
        change: Decide,
        *,
        now: float,
        evidence: Mapping[str, Any] | None = None,
        plan: Plan | None = None,
        version: Version | None = None,
    ) -> Written:
        """Make one move and commit it, the only way to do so.

        ``change`` looks at the prompt's releases and says the move, or None. It is asked again whenever
        they turn out to have changed. What names ``version`` gets the number that is allotted to it here.
        Raises Invalid where the move does not apply, Unavailable where a remote is needed and not reached.
        """
        frozen = self._frozen(version) if version else None
        pinned = (plan.digest, plan_text(plan).encode()) if plan else None
        wanted = Wanted(prompt, channel, change, now, frozen, pinned, evidence)
        if self.propose:
            return self._proposed(wanted, self.propose)
        if not self.branch.online:
            written = self._here(wanted)
            assert written is not None  # noqa: S101 - only a choice of moves leaves some out
            return replace(written, pushed=None if self.branch.remote is None else False)
        return self._at_once(wanted) or self._agreed(wanted)

    def _frozen(self, version: Version) -> Frozen:
        """All files of a version; its number is not known yet."""
        prompt = version.prompt
        for known in self.history.frozen(prompt.name, prompt.digest):
            return known
        if version.source not in ("commit", "release"):
            raise Invalid(
                f"{version.reference} is not committed, so it cannot be released",
                hint=f"git commit, then {prompt.name}@HEAD",
            )
        with reader(version, self.settings) as read:
            files = {path: read(path) for path in prompt.closure}
        return Frozen(prompt.name, "", prompt.digest, version.commit_sha, files)

    def _here(self, wanted: Wanted, *, only_fail_safe: bool = False) -> Written | None:
        """Commit to the local branch; None for a move that is not to be made without the remote."""
        with locked(self.settings):
            for _ in range(_TRIES_HERE):
                head = self.branch.newest(own=True)
                here = self.branch.here
                state = read_release(self.repo, head, wanted.prompt) if head else None
                transition = wanted.change(state)
                if only_fail_safe and (transition is None or transition.move not in FAIL_SAFE):
                    return None
                if transition is None:
                    return Written(changed=False, commit=head, state=state)
                made = self._made(wanted, head, state, transition)
                if self.branch.move(made.commit, here):
                    return made.written(transition)
        raise _busy(self.branch)

    def _made(
        self, wanted: Wanted, head: str | None, state: ReleaseState | None, transition: Transition
    ) -> Made:
        transition = replace(transition, actor=transition.actor or self.branch.identity.actor)
        drafted = draft(self.repo, head, state, wanted.with_transition(transition))
        fail_safe = transition.move in FAIL_SAFE
        if not fail_safe:
            self.history.refuse_edited(head, state)
        return Made(self.branch.commit(head, drafted.files, drafted.message, unsigned=fail_safe), drafted)

    def _at_once(self, wanted: Wanted) -> Written | None:
        """A rollback or abort: here first, then pushed. None for other moves."""
        try:
            written = self._here(wanted, only_fail_safe=True)
        except Invalid:  # as what is known here is old, perhaps: it is decided on what is fetched
            return None
        return self._delivered(written) if written else None

    def _delivered(self, written: Written) -> Written:
        """Bring what is committed here to the remote; where that fails it is said in the result."""
        try:
            remote, commit = str(self.branch.remote), str(written.commit)
            if push(self.settings, remote, commit):
                self.branch.note_pushed(commit)
            else:
                self.sync()
        except (Unavailable, Refused) as error:
            return replace(written, pushed=False, problem=error.message)
        return replace(written, pushed=True, commit=self.branch.newest())

    def _agreed(self, wanted: Wanted) -> Written:
        """Every other move: on what the remote has now, and only if it takes the commit."""
        with locked(self.settings, "promptops-remote", patience_s=_AFTER_OTHERS_S):
            for attempt in range(TRIES + 1):
                self.sync()
                head = self.branch.newest()
                here = self.branch.here
                state = read_release(self.repo, head, wanted.prompt) if head else None
                transition = wanted.change(state)
                if transition is None:
                    return Written(changed=False, commit=head, state=state, pushed=True)
                if transition.move in FAIL_SAFE and (written := self._at_once(wanted)):
                    return written
                made = self._made(wanted, head, state, transition)
                if push(self.settings, str(self.branch.remote), made.commit):
                    return self._followed(made, here, transition)
                _pause(attempt)
        raise _busy(self.branch)

    def _followed(self, made: Made, here: str | None, transition: Transition) -> Written:
        """The remote has it: the local branch follows, over a rollback that came here meanwhile."""
        with locked(self.settings):
            moved = self.branch.move(made.commit, here, pushed=True)
        if not moved:
            self.branch.note_pushed(made.commit)
            self.sync()
        return replace(made.written(transition), pushed=True)

    def _proposed(self, wanted: Wanted, branch: str) -> Written:
        """The same commit on another branch; the state stays as it is."""
        if branch == STATE_BRANCH:
            raise Invalid(f"{STATE_BRANCH} is the state itself", hint="name a branch of its own")
        self.refresh()
        head = self.branch.newest()
        state = read_release(self.repo, head, wanted.prompt) if head else None
        transition = wanted.change(state)
        if transition is None:
            return Written(changed=False, commit=head, state=state)
        made, ref = self._made(wanted, head, state, transition), f"refs/heads/{branch}"
        if not move_refs(self.settings, RefMove(ref, made.commit, None)):
            raise Invalid(
                f"there is a branch {branch} already, or one below it",
                hint=f"name another one, or delete it: git branch -D {branch}",
            )
        pushed = None
        if self.branch.online and not (
            pushed := push(self.settings, str(self.branch.remote), made.commit, ref)
        ):
            raise Invalid(f"{self.branch.remote} has another branch {branch}", hint="name another one")
        return replace(made.written(transition), proposed=branch, pushed=pushed, state=state)


def _pause(attempt: int) -> None:
    time.sleep(_PAUSE_S * (attempt + 1) * random.random())  # noqa: S311 - so that two do not meet again


def _busy(branch: Branch) -> Unavailable:
    where = f"of {branch.remote}" if branch.online else "here"
    return Unavailable(f"others keep moving {STATE_BRANCH} {where}", hint="try again in a moment")

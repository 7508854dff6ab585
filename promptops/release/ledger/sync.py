"""Intents: commits that are here alone, made again on what the remote has, and pushed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from promptops.config.text import whole_number
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.git.process import run_git
from promptops.git.repo import STATE_BRANCH, VERIFIED_REF
from promptops.git.state_branch import RefUpdate, repository_lock, update_refs
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.commit_builder import TransitionPayload, build_content
from promptops.release.ledger.commit_message import TRAILER
from promptops.release.ledger.history import decode_evidence
from promptops.release.ledger.transition_log import TransitionRecord, read_record
from promptops.release.rules import apply_transition, is_already_undone
from promptops.release.state_trust import allows_tampering, audit_fetched, tampering_error
from promptops.release.transitions import FAIL_SAFE, Move, Transition
from promptops.versions.release_reader import read_release_of_any_project, read_released_snapshot
from promptops.versions.release_state import ChannelState, ReleasedSnapshot, ReleaseState, plan_path

_KEYS = ("Prompt", "Generation", "Transition", "Rollout", "Ends")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """``replayed`` and ``dropped``: subjects of local commits, the latter with why they no longer apply."""

    fetched: bool = False  # whether something new came
    pushed: bool | None = None  # None without remote
    replayed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Commit:
    """One commit of the branch, by its trailers."""

    oid: str
    prompt: str
    generation: str
    transition: str
    rollout: str
    ends: str

    @property
    def reverted(self) -> tuple[str, ...]:
        """Rollouts that this commit ends without promoting them."""
        ended = (self.rollout if self.transition in FAIL_SAFE else "", self.ends)
        return tuple(filter(None, ended))


def pending_transitions(branch: StateBranch) -> list[TransitionRecord]:
    """Transitions that the remote, as last fetched, has not: oldest first."""
    branch.repo.refresh_refs()
    here, theirs = branch.local_head, branch.remote_head
    if here is None or branch.remote is None:
        return []
    return [_record_of(branch, commit) for commit in _commits_only_in(branch, here, theirs) if commit.prompt]


def rebase_local_commits(
    branch: StateBranch, *, discard: bool = False, strict: bool = False
) -> SyncResult | None:
    """One attempt; None when somebody has moved a branch meanwhile.

    ``strict``: nothing is taken over of which a file was tampered with. Raises Invalid then, and in any case
    where the remote has another branch than was verified here.
    """
    if branch.remote is None:
        return SyncResult()
    before = branch.remote_head
    there = branch.fetch()
    branch.repo.refresh_refs()
    here, theirs = branch.local_head, branch.remote_head
    if theirs and not there:
        raise Invalid(
            f"{STATE_BRANCH} is gone from {branch.remote}", hint="promptops release recover brings it back"
        )
    fetched = theirs != before
    base = _require_trustworthy(branch, theirs, strict=strict) if theirs else None
    if here is None or here == theirs:
        return SyncResult(fetched=fetched, pushed=True)
    if theirs and branch.repo.is_ancestor(here, theirs):
        return _push_and_move(branch, here, theirs, SyncResult(fetched=fetched, pushed=True))
    if theirs is None or branch.repo.is_ancestor(theirs, here):
        done = SyncResult(
            fetched=fetched, replayed=tuple(one.subject for one in pending_transitions(branch)), pushed=True
        )
        return _push_and_move(branch, here, here, done, push_first=True)
    new, done = make_again(branch, here, theirs, discard=discard)
    done = replace(done, fetched=fetched)
    _forget_local_commits(branch, theirs)
    verified = new if base == theirs else None
    return _push_and_move(branch, here, new, done, push_first=new != theirs, verified=verified)


def _require_trustworthy(branch: StateBranch, theirs: str, *, strict: bool) -> str | None:
    """Up to where what the remote has is known to be good."""
    audit, base = audit_fetched(branch.repo, theirs)
    replaced = [each for each in audit.tampering if each.prompts is None]
    if audit.tampering and (strict or replaced) and not allows_tampering(branch.repo):
        raise tampering_error(audit.tampering)
    return base


def _forget_local_commits(branch: StateBranch, theirs: str) -> None:
    """What was made here is about to be made again: from then on only what the remote shares is verified."""
    verified = branch.repo.verified_state()
    base = branch.repo.common_ancestor(verified, theirs) if verified else None
    if base and base != verified:
        update_refs(branch.settings, RefUpdate(VERIFIED_REF, base, ""))
        branch.repo.refresh_refs()


def _push_and_move(
    branch: StateBranch,
    here: str,
    new: str,
    done: SyncResult,
    *,
    push_first: bool = False,
    verified: str | None = None,
) -> SyncResult | None:
    if push_first and not branch.push(new):
        return None
    with repository_lock(branch.settings):
        return done if branch.move(new, here, pushed=True, verified=verified) else None


# making again


def make_again(
    branch: StateBranch, here: str, theirs: str, *, discard: bool = True, only_fail_safe: bool = False
) -> tuple[str, SyncResult]:
    """``theirs`` with the commits that are in ``here`` alone on top.

    ``discard``: without those that cannot be made again. ``only_fail_safe``: without all but rollbacks and
    aborts.
    """
    local_commits = _commits_only_in(branch, here, theirs)
    taken_back = {rollout for one in _commits_only_in(branch, theirs, here) for rollout in one.reverted}
    undone = {rollout for one in local_commits for rollout in one.reverted}
    head, replayed, dropped = theirs, [], []
    for commit in local_commits:
        subject, why = f"commit {commit.oid[:12]}", ""
        try:
            if not commit.prompt and commit.transition:
                subject, why = f"release {commit.transition}", "give the command again"
            elif only_fail_safe and commit.transition not in FAIL_SAFE:
                why = "not a rollback"
            else:
                record = _record_of(branch, commit)
                subject = record.subject
                state = read_release_of_any_project(branch.repo, head, record.prompt)
                known = read_record(branch.repo, theirs, record.prompt, record.generation)
                why = (
                    "the other side has it"
                    if known == record
                    else _skip_reason(record, state, taken_back, undone)
                )
        except Invalid:
            if not discard:
                raise
            why = "in conflict with what the other side has"
        if why:
            dropped.append(f"{subject} ({why})")
            continue
        again = build_content(branch.repo, head, state, _payload_of(branch, commit.oid, record))
        head = branch.commit(head, again.files, again.message, unsigned=record.transition.move in FAIL_SAFE)
        replayed.append(again.subject)
    if dropped:  # nothing that was ever committed is lost
        branch.keep_discarded(here)
    return head, SyncResult(pushed=True, replayed=tuple(replayed), dropped=tuple(dropped))


def _skip_reason(
    record: TransitionRecord, state: ReleaseState | None, taken_back: Iterable[str], undone: Iterable[str]
) -> str:
    """Why an intent has nothing left to do; "" when it is to be made again. Raises Invalid in a conflict."""
    transition = record.transition
    channel = state.channels.get(record.channel, ChannelState()) if state else ChannelState()
    rollout = transition.rollout
    fail_safe = transition.move in FAIL_SAFE
    if not fail_safe and rollout and rollout.id in taken_back:
        return "that rollout was rolled back meanwhile"
    try:
        apply_transition(channel, transition, record.seconds)
    except Invalid as error:
        if fail_safe and is_already_undone(channel, transition):
            return "done already"
        if not fail_safe and rollout and rollout.id in undone:
            return "rolled back here later"
        if not fail_safe and _is_superseded(channel, transition):
            return "that rollout has moved on meanwhile"
        raise Invalid(
            f"made here and not at the remote: {record.subject}; {error.message}",
            hint="promptops release sync --discard gives up what was made here; then give the command again",
        ) from error
    return ""


def _is_superseded(channel: ChannelState, transition: Transition) -> bool:
    """Whether a step of a rollout is behind what that rollout has come to."""
    rollout, active = transition.rollout, channel.rollout
    if rollout is None or transition.move is Move.PROMOTE or (active and active.id != rollout.id):
        return False
    return active is not None or transition.move is not Move.START


def _payload_of(branch: StateBranch, oid: str, record: TransitionRecord) -> TransitionPayload:
    """An intent with all that its commit has added."""
    repo = branch.repo
    frozen: ReleasedSnapshot | None = None
    if record.version:
        frozen = read_released_snapshot(repo, oid, record.prompt, record.version)
    plan = (record.plan, repo.read(oid, plan_path(record.plan))) if record.plan else None
    return TransitionPayload(
        prompt=record.prompt,
        channel=record.channel,
        transition=record.transition,
        at=record.seconds,
        frozen=frozen,
        plan=plan,
        evidence=decode_evidence(repo.read(oid, record.evidence), record.evidence)
        if record.evidence
        else None,
    )


def _commits_only_in(branch: StateBranch, newer: str, without: str | None) -> Sequence[_Commit]:
    """Commits of one side alone, oldest first."""
    keys = "%x1f".join(f"%(trailers:key={TRAILER}-{key},valueonly,separator=%x20)" for key in _KEYS)
    words = ["log", "--reverse", "--topo-order", f"--format=%H%x1f{keys}", newer]
    output = run_git(branch.settings, *words, *([f"^{without}"] if without else []), "--")
    lines = output.decode("utf-8", "replace").splitlines()
    return [_Commit(*(word.strip() for word in line.split("\x1f"))) for line in lines if line]


def _record_of(branch: StateBranch, commit: _Commit) -> TransitionRecord:
    generation = whole_number(commit.generation)
    record = None if generation is None else read_record(branch.repo, commit.oid, commit.prompt, generation)
    if record is None:
        raise _foreign_commit_error(commit)
    return record


def _foreign_commit_error(commit: _Commit) -> PromptopsError:
    return Invalid(
        f"commit {commit.oid[:12]} of {STATE_BRANCH} is here alone and was not made by promptops",
        hint=f"keep it elsewhere, then take it away: git branch kept {commit.oid[:12]}; "
        f"git update-ref refs/heads/{STATE_BRANCH} {commit.oid[:12]}^",
    )

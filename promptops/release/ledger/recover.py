"""Brings back a state branch that is gone, and files of it that were damaged or edited by hand."""

from dataclasses import replace

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.process import run_git
from promptops.git.repo import STATE_BRANCH, STATE_REF, VERIFIED_REF
from promptops.git.state_branch import RefUpdate, delete_ref, repository_lock, update_refs
from promptops.release.ledger.audit import audit_history
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.commit_message import format_message
from promptops.release.ledger.serialize import encode_release
from promptops.release.ledger.sync import SyncResult, make_again
from promptops.release.state_trust import audit_fetched
from promptops.release.tampering import BranchAudit, Tampering
from promptops.versions.release_state import release_path

_RECOVERED_REF = "refs/promptops/found"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecovery:
    """``branch``: where it was found again, "" where it was not gone. ``files`` were repaired.

    ``replayed`` and ``dropped``: subjects of commits that stood on another line of history, as in
    ``SyncResult``.
    """

    commit: str
    branch: str = ""
    files: tuple[str, ...] = ()
    replayed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    pushed: bool | None = None


def recover_branch(branch: StateBranch) -> LedgerRecovery:
    """Bring the branch back from wherever it still is, then repair its files from its history.

    Raises NotFound where no trace of it is left here, Invalid where two of them contradict each other.
    """
    places, at_remote = _find_places(branch)
    commit, where, joined = _join_places(branch, places, at_remote)
    found, names = _repair_files(branch, commit)
    if at_remote and not branch.repo.is_ancestor(at_remote, found):
        _move_local(branch, found, pushed=False)
        update_refs(branch.settings, RefUpdate(f"refs/promptops/kept/{at_remote[:12]}", at_remote, ""))
        raise _other_branch_error(branch, found)
    pushed = None
    if branch.online:
        if at_remote != found and not branch.push(found):
            raise Invalid(f"{branch.remote} has moved on meanwhile", hint="promptops release recover")
        pushed = True
    elif branch.remote:
        pushed = False
    _move_local(branch, found, pushed=bool(pushed))
    return LedgerRecovery(
        commit=found,
        branch=where,
        files=names,
        replayed=joined.replayed,
        dropped=joined.dropped,
        pushed=pushed,
    )


def _move_local(branch: StateBranch, found: str, *, pushed: bool) -> None:
    """What stands there and does not lead to ``found`` is kept under a ref of its own."""
    with repository_lock(branch.settings):
        branch.repo.refresh_refs()
        here = branch.local_head
        if here and not branch.repo.is_ancestor(here, found):
            branch.keep_discarded(here)
        if not branch.move(found, here, pushed=pushed, verified=found):
            raise Invalid(f"{STATE_BRANCH} has moved meanwhile", hint="promptops release recover")


def _other_branch_error(branch: StateBranch, found: str) -> Invalid:
    return Invalid(
        f"{branch.remote} has another branch as {STATE_BRANCH}; here it is as it was verified",
        hint=f"to put that there: git push --force-with-lease {branch.remote} {found[:12]}:{STATE_REF}",
    )


# the branch


def _find_places(branch: StateBranch) -> tuple[dict[str, str], str | None]:
    """Where the branch still is, by name, and what the remote has."""
    at_remote = _fetch_remote_head(branch)
    branch.repo.refresh_refs()
    places = dict(branch.repo.state_heads())
    if at_remote:
        places[f"{STATE_BRANCH} of {branch.remote}"] = at_remote
    if verified := branch.repo.verified_state():
        places[VERIFIED_REF] = verified
    if not places:
        places = _dangling_commits(branch)
    if not places:
        raise NotFound(
            f"no trace of {STATE_BRANCH} is left in this clone",
            hint="run promptops release recover in another clone: any that has used it will do",
        )
    return places, at_remote


def _join_places(
    branch: StateBranch, places: dict[str, str], at_remote: str | None
) -> tuple[str, str, SyncResult]:
    """The commit that all lead to, made where there is none; and where that was found."""
    gone = STATE_REF not in places or bool(branch.online and at_remote is None)
    related = _related_places(branch, places)
    commits = set(related.values())
    tops = [one for one in commits if all(branch.repo.is_ancestor(other, one) for other in commits - {one})]
    base = next(iter(tops), None) or _trusted_line(branch, related, at_remote)
    where = next(name for name, oid in related.items() if oid == base)
    commit, joined = _make_all_again(branch, base, commits)
    return commit, where if gone or len(commits) > 1 else "", joined


def _trusted_line(branch: StateBranch, places: dict[str, str], at_remote: str | None) -> str:
    """Of lines that came apart: the remote's where all of it follows, as that is what others have."""
    verified = branch.repo.verified_state()
    if verified is None:
        raise _divergence_error(branch, places)
    if at_remote in places.values() and not audit_fetched(branch.repo, str(at_remote))[0].tampering:
        return str(at_remote)
    return verified


def _make_all_again(branch: StateBranch, base: str, commits: set[str]) -> tuple[str, SyncResult]:
    """All that was verified, and of other lines what takes a version back: nobody decided to undo that."""
    verified, head, joined = branch.repo.verified_state(), base, SyncResult()
    for oid in sorted(commits, key=lambda oid: oid != verified):
        if branch.repo.is_ancestor(oid, head):
            continue
        branch.keep_discarded(oid)
        head, done = make_again(branch, oid, head, only_fail_safe=oid != verified)
        joined = replace(
            joined, replayed=joined.replayed + done.replayed, dropped=joined.dropped + done.dropped
        )
    return head, joined


def _related_places(branch: StateBranch, places: dict[str, str]) -> dict[str, str]:
    """Without the branches that do not continue what was verified here, nor were continued by it."""
    verified = branch.repo.verified_state()
    if verified is None:
        return places
    return {name: oid for name, oid in places.items() if not _is_other_branch(branch, oid, verified)}


def _is_other_branch(branch: StateBranch, commit: str, verified: str) -> bool:
    """Whether it shares no history with what was verified, or has merged that into another one."""
    base = branch.repo.common_ancestor(commit, verified)
    return base is None or (base == verified and not branch.repo.continues(verified, commit))


def _fetch_remote_head(branch: StateBranch) -> str | None:
    """What the remote's branch is, also where it was rewritten; kept under a ref of its own meanwhile."""
    if not branch.online or not branch.fetch(_RECOVERED_REF, force=True):
        return None
    commit = branch.repo.refs(_RECOVERED_REF)[_RECOVERED_REF]
    delete_ref(branch.settings, _RECOVERED_REF)
    return commit


def _dangling_commits(branch: StateBranch) -> dict[str, str]:
    """Commits that no ref leads to any more, the newest of each line."""
    words = ("fsck", "--lost-found", "--no-reflogs", "--no-progress", "--connectivity-only")
    lines = run_git(branch.settings, *words, ok=tuple(range(128))).decode("utf-8", "replace").splitlines()
    dangling = [line.split()[-1] for line in lines if line.startswith("dangling commit ")]
    ours = [oid for oid in dangling if branch.repo.list_files(oid, "releases")]
    return {f"the commit {oid[:12]}, which nothing leads to any more": oid for oid in ours}


def _divergence_error(branch: StateBranch, places: dict[str, str]) -> Invalid:
    for oid in places.values():  # so that neither is lost to git gc while somebody thinks
        update_refs(branch.settings, RefUpdate(f"refs/promptops/kept/{oid[:12]}", oid, ""))
    lines = ", ".join(f"{name} at {oid[:12]}" for name, oid in places.items())
    return Invalid(
        f"{STATE_BRANCH} is not one line of history: {lines}",
        hint="promptops release sync where the remote's is right; else choose one: "
        f"git update-ref {STATE_REF} COMMIT, then git push (refs/promptops/kept has them all)",
    )


# its files


def _repair_files(branch: StateBranch, commit: str) -> tuple[str, tuple[str, ...]]:
    """A commit in which every file is as the transitions left it, and the files that had to be repaired."""
    audit = audit_history(branch.repo, None, commit)
    if not audit.tampering:
        return commit, ()
    files = {each.path: _good_content(branch, audit, each) for each in audit.tampering}
    message = format_message(
        f"release: recover {', '.join(files)}", {"Transition": "recover", "Actor": branch.identity.actor}
    )
    return branch.commit(commit, files, message), tuple(files)


def _good_content(branch: StateBranch, audit: BranchAudit, found: Tampering) -> bytes | None:
    """What a file has to hold; None where it has to be taken away."""
    prompt = found.path.removeprefix("releases/").removesuffix(".yaml")
    if found.path == release_path(prompt) and prompt in audit.states:
        return encode_release(audit.states[prompt])
    return branch.repo.read_blob(found.good) if found.good else None

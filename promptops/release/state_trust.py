"""Which commit of the state branch a prompt's releases are read from: the newest that follows from its log.

What was verified is remembered under a ref, so that only what is new is looked at; while nothing is new this
costs no process.
"""

from contextlib import suppress

from promptops.errors import Invalid, PromptopsError
from promptops.git.repo import VERIFIED_REF, GitRepo
from promptops.git.state_branch import RefUpdate, update_refs
from promptops.log import PackageLogger
from promptops.release.tampering import BranchAudit, Tampering
from promptops.versions.release_reader import unrelated_heads

_LOG = PackageLogger("promptops.release")

RECOVER_HINT = "promptops release verify names every file, promptops release recover repairs them"


def audit_state(repo: GitRepo, head: str) -> BranchAudit:
    """Look at what is new since the last time, and remember it where all of it is good."""
    verified = repo.verified_state()
    if verified == head:
        return BranchAudit(head=head)
    if verified and not repo.is_ancestor(verified, head):
        return _replaced_branch(repo, verified, head)
    audit = _audit_since(repo, verified, head)
    if not audit.tampering:
        remember_verified(repo, head, verified)
    return audit


def remember_verified(repo: GitRepo, commit: str, before: str | None) -> None:
    """Note up to where all is good, if that can be noted: what only may be read is verified each time.

    ``before``: what must have been noted; "" for whatever it was.
    """
    with suppress(PromptopsError):
        update_refs(repo.settings, RefUpdate(VERIFIED_REF, commit, before), patience_s=0)
    repo.refresh_refs()


def audit_whole_branch(repo: GitRepo, head: str) -> BranchAudit:
    """Look at every commit, also where it was looked at before."""
    verified = repo.verified_state()
    if verified and not repo.is_ancestor(verified, head):
        return _replaced_branch(repo, verified, head)
    return _audit_since(repo, None, head)


def audit_fetched(repo: GitRepo, head: str) -> tuple[BranchAudit, str | None]:
    """Look at what the remote has, which need not have the newest commits of here; and from where on."""
    verified = repo.verified_state()
    if verified in (None, head):
        return (audit_state(repo, head) if verified is None else BranchAudit(head=head)), head
    base = repo.common_ancestor(str(verified), head)
    if base is None:
        return _replaced_branch(repo, str(verified), head), None
    audit = _audit_since(repo, base, head)
    return audit, base if audit.tampering else head


def _audit_since(repo: GitRepo, base: str | None, head: str) -> BranchAudit:
    from promptops.release.ledger.audit import audit_history

    return audit_history(repo, base, head)


def _replaced_branch(repo: GitRepo, verified: str, head: str) -> BranchAudit:
    problem = Tampering(
        path="",
        commit=head,
        author=repo.author(head),
        problem=f"the branch does not continue {verified[:12]}, which was verified here before",
        prompts=None,
    )
    return BranchAudit(head=head, tampering=(problem,), base=verified)


def trusted_commit(repo: GitRepo, audit: BranchAudit, prompt: str) -> str | None:
    """The commit that a prompt is served from: the last good one, or by ``on_tamper: warn`` the newest.

    What was tampered with is said.
    """
    found = audit.concerning(prompt)
    if not found:
        return audit.head
    warns = allows_tampering(repo)
    good = audit.head if warns else audit.good_commit(prompt)
    what = "it is taken as it is (release: {on_tamper: warn})" if warns else _fallback_phrase(good)
    _LOG.warning(f"{found[0].sentence}\n  {what}; {RECOVER_HINT}")
    return good


def unrelated_branches(repo: GitRepo) -> list[Tampering]:
    """Other branches that stand under the name of the state, and are not used."""
    problem = "{} is another branch than was verified here; it is not used"
    return [
        Tampering(path="", commit=oid, author=repo.author(oid), problem=problem.format(name))
        for name, oid in unrelated_heads(repo).items()
    ]


def _fallback_phrase(good: str | None) -> str:
    return f"the last good state, of {good[:12]}, is used" if good else "there was no good state before"


def require_untampered(repo: GitRepo, audit: BranchAudit, prompt: str) -> None:
    """Raise Invalid where something of a prompt's was tampered with, and that is not allowed."""
    found = audit.concerning(prompt)
    if found and not allows_tampering(repo):
        raise tampering_error(found)


def tampering_error(found: "list[Tampering] | tuple[Tampering, ...]") -> Invalid:
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Invalid(f"{found[0].sentence}{more}", hint=RECOVER_HINT)


def allows_tampering(repo: GitRepo) -> bool:
    return str(repo.settings.release.get("on_tamper", "refuse")) == "warn"

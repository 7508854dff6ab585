"""Which commit of the state branch a prompt's releases are read from: the newest that follows from its log.

What was verified is remembered under a ref, so that only what is new is looked at; while nothing is new this
costs no process.
"""

from collections.abc import Mapping
from contextlib import suppress

from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.git.repo import VERIFIED_REF, GitRepo
from promptops.git.state_branch import RefUpdate, update_refs
from promptops.log import PackageLogger
from promptops.release.tampering import BranchAudit, Tampering
from promptops.versions.release_reader import (
    read_release,
    read_release_of_any_project,
    read_release_states,
    released_names,
    unrelated_heads,
)
from promptops.versions.release_state import ReleaseState

_LOG = PackageLogger("promptops.release")

RECOVER_HINT = "promptops release verify names every file, promptops release recover repairs them"


def audit_state(repo: GitRepo, head: str) -> BranchAudit:
    """Look at what is new since the last time, and remember it where all of it is good."""
    verified = repo.verified_state()
    if verified == head:
        return BranchAudit(head=head)
    if verified and not repo.continues(verified, head):
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
    if verified and not repo.continues(verified, head):
        return _replaced_branch(repo, verified, head)
    return _audit_since(repo, None, head)


def audit_fetched(repo: GitRepo, head: str) -> tuple[BranchAudit, str | None]:
    """Look at what the remote has, which need not have the newest commits of here; and from where on."""
    verified = repo.verified_state()
    if verified in (None, head):
        return (audit_state(repo, head) if verified is None else BranchAudit(head=head)), head
    base = repo.common_ancestor(str(verified), head)
    if base is None or not repo.continues(base, head):
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


@dataclass(frozen=True, slots=True)
class AuditedReleases:
    """The releases of an audited branch, as ``TrustedReleases`` has them."""

    repo: GitRepo
    audit: BranchAudit

    @classmethod
    def at(cls, repo: GitRepo, head: str) -> "AuditedReleases":
        return cls(repo, audit_state(repo, head))

    @property
    def content(self) -> str:
        return self.audit.content

    def release(self, prompt: str) -> ReleaseState | None:
        """As the newest commit says that can be trusted with them. Raises Invalid: another project's."""
        good = trusted_commit(self.repo, self.audit, prompt)
        return read_release(self.repo, good, prompt) if good else None

    def releases(self) -> dict[str, ReleaseState]:
        """Those of every prompt of this project; of what was changed by hand the last good ones."""
        if self.audit.tampering:
            commits = {self.audit.head, self.content}
            names = self._tampered_names().union(*(released_names(self.repo, each) for each in commits))
            found = {name: self._of_any_project(name) for name in sorted(names)}
        else:
            found = {**read_release_states(self.repo, self.content)}
        prefix = self.repo.settings.prefix
        return {name: state for name, state in found.items() if state and state.project == prefix}

    def files(self, folder: str) -> dict[str, bytes]:
        """All files below a folder, as the transitions left them."""
        tampered = self.tampered_files()
        commit = self.audit.head if allows_tampering(self.repo) else self.content
        paths = [entry.path for entry in self.repo.list_files(commit, folder)]
        whole = [path for path in paths if path not in tampered]
        texts = self.repo.read_many([(commit, path) for path in whole])
        repaired = {
            path: self.repo.read_blob(good)
            for path, good in tampered.items()
            if good and path.startswith(f"{folder}/")
        }
        return dict(zip(whole, texts, strict=True)) | repaired

    def tampered_files(self) -> Mapping[str, str]:
        """The blobs that files were before somebody changed them by hand; "" of those that were not there."""
        if allows_tampering(self.repo):
            return {}
        return {each.path: each.good for each in self.audit.tampering if each.path}

    def _tampered_names(self) -> set[str]:
        return {name for each in self.audit.tampering for name in each.prompts or ()}

    def _of_any_project(self, prompt: str) -> ReleaseState | None:
        good = trusted_commit(self.repo, self.audit, prompt)
        return read_release_of_any_project(self.repo, good, prompt) if good else None


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

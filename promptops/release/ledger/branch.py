"""The state branch of one repository: where it stands, here and at its remote, and how it moves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from promptops.config.settings import Settings
from promptops.errors import Invalid
from promptops.git.remote import OnTransfer, fetch_state_branch, push_commit, tracking_ref
from promptops.git.repo import STATE_BRANCH, STATE_REF, GitRepo
from promptops.git.state_branch import (
    GitIdentity,
    RefUpdate,
    SigningError,
    read_git_identity,
    state_branch_checkouts,
    update_refs,
    update_work_tree,
    write_commit,
)
from promptops.log import PackageLogger
from promptops.release.state_trust import audit_state, remember_verified
from promptops.release.tampering import BranchAudit
from promptops.versions.release_reader import find_state_commit

_LOG = PackageLogger("promptops.release")


class StateBranch:
    """``online``: whether there is a remote and it is to be used."""

    def __init__(
        self,
        settings: Settings,
        repo: GitRepo,
        *,
        local: bool = False,
        on_transfer: OnTransfer | None = None,
    ) -> None:
        self.settings = settings
        self.repo = repo
        self.local = local
        self._on_transfer = on_transfer
        self._is_pinned = False
        self._actor = ""
        self._audit: BranchAudit | None = None

    @cached_property
    def identity(self) -> GitIdentity:
        found = read_git_identity(self.settings)
        return replace(found, actor=self._actor) if self._actor else found

    def act_as(self, actor: str) -> None:
        """Record moves, and judge approvals, in the name of somebody else than who runs this process."""
        self._actor = actor
        self.__dict__.pop("identity", None)

    @property
    def online(self) -> bool:
        return not self.local and self.remote is not None

    @cached_property
    def remote(self) -> str | None:
        """The remote that the state is shared through: that of ``release.from``, origin, or the only one."""
        remotes = self.identity.remotes
        source = str(self.settings.release.get("from", ""))
        named = [name for name in remotes if source.startswith(f"{name}/")]
        if named or "origin" in remotes or len(remotes) <= 1:
            return max(named, key=len, default="origin" if "origin" in remotes else next(iter(remotes), None))
        raise Invalid(
            f"which remote is the state shared through: {', '.join(remotes)}?",
            hint="promptops.yaml says so: release: {from: REMOTE/main}",
        )

    @property
    def local_head(self) -> str | None:
        """Commit of the local branch."""
        return self.repo.state_heads().get(STATE_REF)

    @property
    def remote_head(self) -> str | None:
        """Commit of the remote's branch as last fetched."""
        return self.repo.state_heads().get(tracking_ref(self.remote)) if self.remote else None

    def newest_commit(self, *, own: bool = False) -> str | None:
        """The newest commit, here or as last fetched. ``own``: the local one where both have moved on."""
        if not self._is_pinned:
            self.repo.reread_refs()
        try:
            return find_state_commit(self.repo)
        except Invalid:
            if own and self.local_head:
                return self.local_head
            raise

    def audit(self, head: str) -> BranchAudit:
        """What of the branch was tampered with, up to ``head``. Looked at once."""
        if self._audit is not None and head == self._audit.base:  # what was verified, in place of what is not
            return BranchAudit(head=head)
        if self._audit is None or self._audit.head != head:
            self._audit = audit_state(self.repo, head)
        return self._audit

    def verified_with(self, new: str, head: str | None) -> str | None:
        """``new``, made here on ``head``, where all of that is known to be good."""
        return new if head is None or not self.audit(head).tampering else None

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Within the block all is read as of its beginning, and git is asked once what is newest."""
        self.repo.refresh_refs()
        self._is_pinned = True
        try:
            yield
        finally:
            self._is_pinned = False

    def commit(
        self, parent: str | None, files: Mapping[str, bytes | None], message: str, *, unsigned: bool = False
    ) -> str:
        """A new commit, to which no ref points yet. ``unsigned``: go on where it can't be signed."""
        try:
            return write_commit(self.settings, parent, files, message, sign=self.identity.signs)
        except SigningError as error:
            if not unsigned:
                raise
            _LOG.warning(f"{error.message}; written without signature")
            return write_commit(self.settings, parent, files, message)

    def move(self, new: str, old: str | None, *, pushed: bool = False, verified: str | None = None) -> bool:
        """Move the local branch from ``old``; False where it is not there any more.

        ``old``: what ``here`` was when that was decided. ``pushed``: the remote has the commit, which is
        noted as fetched. ``verified``: the commit up to which all is known to be good from now on.
        """
        moves = [RefUpdate(STATE_REF, new, old)]
        if pushed and self.remote:
            moves.append(RefUpdate(tracking_ref(self.remote), new, ""))
        if not update_refs(self.settings, *(move for move in moves if move.old != move.new)):
            return False
        if verified:
            remember_verified(self.repo, verified, "")
        self.repo.refresh_refs()
        for work_tree in state_branch_checkouts(self.settings):
            if old != new and not update_work_tree(self.settings, work_tree, old, new):
                _LOG.warning(
                    f"{STATE_BRANCH} is checked out in {work_tree} with changes of somebody's\n"
                    "  they are kept and not released; put that work tree elsewhere: "
                    f"git -C {work_tree} switch --detach"
                )
        return True

    def keep_discarded(self, commit: str) -> None:
        """Keep commits that the branch does not lead to any more under a ref of their own."""
        update_refs(self.settings, RefUpdate(f"refs/promptops/discarded/{commit[:12]}", commit, ""))

    def fetch(self, to: str = "", *, force: bool = False) -> bool:
        """Fetch the branch, and say whether the remote has one; see ``fetch_state_branch``."""
        return fetch_state_branch(
            self.settings, str(self.remote), to, force=force, on_transfer=self._on_transfer
        )

    def push(self, commit: str, ref: str = STATE_REF) -> bool:
        """Push a commit; False where the remote has moved on. See ``push_commit``."""
        return push_commit(self.settings, str(self.remote), commit, ref, on_transfer=self._on_transfer)

    def record_pushed(self, commit: str) -> None:
        """Note what the remote has by now."""
        if self.remote:
            update_refs(self.settings, RefUpdate(tracking_ref(self.remote), commit, ""))
            self.repo.refresh_refs()

"""The releases of the state branch that can be trusted: what somebody changed there by hand is not read.

Only the rules of transitions, in a layer above, can tell one from the other. So whatever starts the program
says how a branch is audited (``audit_releases_by``), and nothing reads a branch that is not.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # imported by every command line, of which few read releases
    from collections.abc import Callable, Mapping

    from promptops.git.repo import GitRepo
    from promptops.versions.release_state import ReleaseState


class TrustedReleases(Protocol):
    """What is released as of one commit of the state branch."""

    @property
    def content(self) -> str:
        """The commit whose versions, plans and evidence may be read."""
        ...

    def release(self, prompt: str) -> "ReleaseState | None": ...

    def releases(self) -> "dict[str, ReleaseState]":
        """Those of every prompt of this project."""
        ...

    def files(self, folder: str) -> "Mapping[str, bytes]":
        """The files below a folder, as the transitions left them, by path."""
        ...


class _Auditor:
    audit: "Callable[[GitRepo, str], TrustedReleases]"


def audit_releases_by(audit: "Callable[[GitRepo, str], TrustedReleases]") -> None:
    """``audit`` is given the newest commit of the state branch."""
    _Auditor.audit = staticmethod(audit)


def trusted_releases(repo: "GitRepo") -> TrustedReleases | None:
    """None before the first release. What is not trusted is said, where it is asked for."""
    from promptops.versions.release_reader import find_state_commit

    commit = find_state_commit(repo)
    return _Auditor.audit(repo, commit) if commit else None

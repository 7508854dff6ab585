"""The command line: ``main`` finds the verb, ``commands`` has one file per verb, ``reports`` the output."""

from typing import TYPE_CHECKING

from promptops.versions.trusted_releases import audit_releases_by

if TYPE_CHECKING:  # few commands read releases
    from promptops.git.repo import GitRepo
    from promptops.versions.trusted_releases import TrustedReleases


def _audit(repo: "GitRepo", head: str) -> "TrustedReleases":
    from promptops.release.state_trust import AuditedReleases

    return AuditedReleases.at(repo, head)


audit_releases_by(_audit)

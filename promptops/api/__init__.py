"""What applications import: ``from promptops import Workspace``."""

from promptops.api.prepared_call import PreparedCall
from promptops.api.streaming import Stream
from promptops.api.workspace import Workspace
from promptops.release.state_trust import AuditedReleases
from promptops.versions.trusted_releases import audit_releases_by

audit_releases_by(AuditedReleases.at)

__all__ = ["PreparedCall", "Stream", "Workspace"]

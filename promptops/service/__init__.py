"""Long-lived calling for the Python API: calls made, logged in groups, and shadowed on background threads."""

from promptops.service.service import CallRequest, Service
from promptops.service.sources import RefreshableSource, RepositorySource

__all__ = ["CallRequest", "RefreshableSource", "RepositorySource", "Service"]

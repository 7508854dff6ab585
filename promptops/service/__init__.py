"""What the faces share: calls made, logged in groups and shadowed on threads of their own."""

from promptops.service.service import CallRequest, Service
from promptops.service.sources import RefreshableSource, RepositorySource

__all__ = ["CallRequest", "RefreshableSource", "RepositorySource", "Service"]

"""What applications import: ``from promptops import Workspace``."""

from promptops.api.prepared_call import PreparedCall
from promptops.api.streaming import Stream
from promptops.api.workspace import Workspace

__all__ = ["PreparedCall", "Stream", "Workspace"]

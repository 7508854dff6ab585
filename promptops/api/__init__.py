"""What applications import: ``from promptops import Workspace``."""

from promptops.api.prepared_call import PreparedCall
from promptops.api.streaming import Stream
from promptops.api.workspace import Workspace
from promptops.runner import Run

__all__ = ["PreparedCall", "Run", "Stream", "Workspace"]

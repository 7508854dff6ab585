"""What applications import: ``from promptops import Workspace``."""

from promptops.api.handed_out import Call
from promptops.api.streaming import Stream
from promptops.api.workspace import Workspace
from promptops.runner import Run

__all__ = ["Call", "Run", "Stream", "Workspace"]

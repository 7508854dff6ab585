"""Which version of a channel answers a call: assignment, breaker, stable where the canary can't be sent."""

from promptops.runner.routing.router import Placement, Serving, ready
from promptops.runner.routing.source import GitSource, Source

__all__ = ["GitSource", "Placement", "Serving", "Source", "ready"]

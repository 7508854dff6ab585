"""Which version of a channel answers a call: assignment, breaker, stable where the canary can't be sent."""

from promptops.runner.routing.router import Router, RoutingDecision, prepare_routed_run
from promptops.runner.routing.source import GitSource, ReleaseSource

__all__ = ["GitSource", "ReleaseSource", "Router", "RoutingDecision", "prepare_routed_run"]

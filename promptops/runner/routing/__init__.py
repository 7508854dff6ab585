"""Which version of a channel answers a call: assignment, breaker, stable where the canary can't be sent."""

from promptops.runner.routing.router import (
    FOLLOW_UP,
    KeptArm,
    Router,
    RoutingDecision,
    prepare_routed_run,
)
from promptops.runner.routing.source import GitSource, ReleaseSource

__all__ = [
    "FOLLOW_UP",
    "GitSource",
    "KeptArm",
    "ReleaseSource",
    "Router",
    "RoutingDecision",
    "prepare_routed_run",
]

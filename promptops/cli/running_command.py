"""The command that this process runs: its verb with the values of its parameters."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple


class RunningCommand(NamedTuple):
    path: Sequence[str]  # the words of the verb
    verb: Callable[..., object]
    values: Mapping[str, Any]


RUNNING: ContextVar[RunningCommand | None] = ContextVar("running", default=None)
GOES_ON_WITH: ContextVar[str | None] = ContextVar("goes_on_with", default=None)
"""The id of the work that the command is to go on with, where ``jobs collect`` has begun it."""

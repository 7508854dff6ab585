"""One drain at a time for each registry."""

from contextlib import AbstractContextManager
from pathlib import Path

from promptops.config.locks import lock_attempt


def exclusive_lock(registry: Path, timeout_s: float | None = 0.0) -> AbstractContextManager[bool]:
    """Whether no other process drains now; none begins while this is held.

    ``timeout_s``: how long another's end is waited for; None for as long as it takes.
    """
    return lock_attempt(registry.with_name(f"{registry.name}-shadow.lock"), timeout_s)

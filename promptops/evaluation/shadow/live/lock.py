"""One drain at a time for each registry."""

from contextlib import AbstractContextManager

from promptops.config.locks import lock_attempt
from promptops.config.registry_location import RegistryLocation, local_file


def exclusive_lock(registry: RegistryLocation, timeout_s: float | None = 0.0) -> AbstractContextManager[bool]:
    """Whether no other process drains now; none begins while this is held.

    ``timeout_s``: how long another's end is waited for; None for as long as it takes.
    """
    return lock_attempt(local_file(registry).with_name(f"{local_file(registry).name}-shadow.lock"), timeout_s)

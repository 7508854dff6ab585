"""A registry that a long-running reader follows: where another file takes its place, that one is read."""

from collections.abc import Callable
from contextlib import suppress

from promptops.config.closing import Closing
from promptops.errors import PromptopsError
from promptops.registry.database import RegistryDatabase


class FollowedRegistry(Closing):
    """Opened when it is first asked for, and again once it is no longer what others find at its path."""

    def __init__(self, open_registry: Callable[[], RegistryDatabase]) -> None:
        self._open = open_registry
        self._known: RegistryDatabase | None = None

    def current(self) -> RegistryDatabase:
        """Raises what is wrong with the registry."""
        if self._known is not None and not self._known.is_there():
            self.close()
        if self._known is None:
            self._known = self._open()
        return self._known

    def close(self) -> None:
        known, self._known = self._known, None
        if known is not None:
            with suppress(PromptopsError):
                known.close()

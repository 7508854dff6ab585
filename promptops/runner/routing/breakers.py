"""What the registry on this machine has to say while calls are served: breakers, and the key of units."""

import time
from threading import Lock

from promptops.config.registry_location import RegistryLocation
from promptops.errors import PromptopsError
from promptops.registry import (
    FAILURES_TO_OPEN,
    FollowedRegistry,
    RegistryDatabase,
    UnitKey,
    breaker_reason,
    is_canary_failing,
    open_breaker,
    open_breakers,
    unit_key,
    unit_key_from_env,
)

_CACHE_TTL_S = 0.2  # how long what was read holds
_BUSY_TIMEOUT_S = 0.2  # serving does not wait
_RETRY_AFTER_S = 5.0  # until a registry that could not be read is tried again


class LocalBreakers:
    """May be shared by threads. A registry that can't be read changes nothing of what was known.

    ``log``: without it nothing is logged, so that no file is made where there is none.
    """

    def __init__(self, path: RegistryLocation, *, log: bool = True) -> None:
        open_registry = RegistryDatabase.open if log else RegistryDatabase.open_existing
        self._lock = Lock()
        self._registry = FollowedRegistry(lambda: open_registry(path, busy_s=_BUSY_TIMEOUT_S))
        self._key: UnitKey | None = unit_key_from_env()
        self._open: dict[str, str] = {}
        self._next_refresh = 0.0

    def key(self) -> UnitKey | None:
        """What units are hashed with; None while the registry that keeps it can't be read."""
        if self._key is None:
            self._look()
        return self._key

    def is_open(self, rollout: str) -> bool:
        """Whether this canary is out of service here."""
        if time.monotonic() >= self._next_refresh:
            self._look()
        return rollout in self._open

    def open_when_failing(self, rollout: str) -> bool:
        """Take a canary out of service when its latest calls all failed; whether that has happened now."""
        with self._lock:
            try:
                registry = self._registry.current()
                if breaker_reason(registry, rollout) or not is_canary_failing(registry, rollout):
                    return False
                open_breaker(registry, rollout, f"{FAILURES_TO_OPEN} canary errors in a row, none of stable")
            except PromptopsError:  # the next failure looks again
                return False
            self._next_refresh = 0.0
            return True

    def close(self) -> None:
        self._registry.close()

    def _look(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._next_refresh:
                return
            try:
                registry = self._registry.current()
                self._open = open_breakers(registry)
                self._key = self._key or unit_key(registry)
                self._next_refresh = now + _CACHE_TTL_S
            except PromptopsError:
                self._next_refresh = now + _RETRY_AFTER_S

"""Limits over time. Pure but for the clock and the store of amounts that they are given."""

import time
from collections.abc import Callable

from promptops.service.usage_store import UsageStore


class MinuteAllowance:
    """So many a minute: as many at once, then at an even pace. ``seconds``: another time than a minute."""

    def __init__(
        self,
        per_minute: float,
        store: UsageStore,
        name: str,
        clock: Callable[[], float] = time.monotonic,  # the same for all processes of a machine
        seconds: float = 60.0,
    ) -> None:
        self._seconds = seconds
        self._per_minute = per_minute
        self._store = store
        self._name = name
        self._clock = clock

    def wait_for(self, amount: float) -> float:
        """Seconds until the amount may be taken; 0 where it may now. One above the whole waits for it all."""
        missing = min(amount, self._per_minute) - self._level(self._clock())
        return max(0.0, missing * self._seconds / self._per_minute)

    def take(self, amount: float) -> None:
        """Also what is negative, which comes back."""
        now = self._clock()
        self._store.write(self._name, min(self._per_minute, self._level(now) - amount), now)

    def _level(self, now: float) -> float:
        found = self._store.read(self._name)
        if found is None:
            return self._per_minute
        level, seen = found
        return min(self._per_minute, level + max(0.0, now - seen) * self._per_minute / self._seconds)

"""Limits over time, of one process. Pure but for the clock that it is given."""

from collections import OrderedDict
from collections.abc import Callable


class MinuteAllowance:
    """So many a minute: as many at once, then at an even pace."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._level = per_minute
        self._seen = clock()

    def wait_for(self, amount: float) -> float:
        """Seconds until the amount may be taken; 0 where it may now. One above the whole waits for it all."""
        self._refill()
        missing = min(amount, self._per_minute) - self._level
        return max(0.0, missing * 60 / self._per_minute)

    def take(self, amount: float) -> None:
        """Also what is negative, which comes back."""
        self._refill()
        self._level = min(self._per_minute, self._level - amount)

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._per_minute, self._level + (now - self._seen) * self._per_minute / 60)
        self._seen = now


class UnitBuckets:
    """A bucket for each of the units that called last."""

    def __init__(self, per_minute: float, clock: Callable[[], float], most: int = 10_000) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, MinuteAllowance] = OrderedDict()

    def of(self, unit: str) -> MinuteAllowance:
        if unit not in self._buckets:
            self._buckets[unit] = MinuteAllowance(self._per_minute, self._clock)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(unit)
        return self._buckets[unit]

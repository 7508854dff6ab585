"""The worst examples of a kind, so many at most."""

import heapq
from collections.abc import Callable
from dataclasses import field
from typing import Generic, TypeVar

from promptops.dataclass import dataclass

MAX_LISTED = 100
Example = TypeVar("Example")


@dataclass(slots=True)
class TopRegressions(Generic[Example]):
    """Those of the largest loss, the earlier first among equals."""

    limit: int = MAX_LISTED
    total: int = 0
    _heap: list[tuple[float, int, Example]] = field(default_factory=list)

    def add(self, loss: float, example: Callable[[], Example]) -> None:
        """``example`` makes what is listed; it is asked only where it is among the worst."""
        self.total += 1
        if len(self._heap) < self.limit:
            heapq.heappush(self._heap, (loss, -self.total, example()))
        elif self._heap[0][0] < loss:
            heapq.heapreplace(self._heap, (loss, -self.total, example()))

    def worst_first(self) -> tuple[Example, ...]:
        return tuple(entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2], reverse=True))

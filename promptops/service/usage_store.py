"""Where the amounts are kept that limits look at: in this process, or shared by those of one server."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

OF_UNITS = "unit/"
"""What names of amounts begin with that are forgotten when there are too many, the oldest first."""

_MAX_UNITS = 10_000


class UsageStore(Protocol):
    """Amounts by name. Each has a moment, or a period, that it is of."""

    def locked(self) -> AbstractContextManager[None]:
        """No other process reads or writes amounts meanwhile. Raises Unavailable where that cannot be had."""
        ...

    def apply(self, work: Callable[[], None]) -> None:
        """Do it so that no other process reads or writes meanwhile: now, or as soon as that can be had."""
        ...

    def read(self, name: str) -> tuple[float, float] | None: ...
    def write(self, name: str, amount: float, moment: float) -> None: ...

    def add(self, name: str, amount: float) -> None:
        """Of what this process has under way: it ends with the process."""
        ...

    def total(self, name: str) -> float:
        """Of what all processes have under way."""
        ...


class LocalUsage:
    """Of one process. Used by one thread."""

    def __init__(self, most_units: int = _MAX_UNITS) -> None:
        self._amounts: dict[str, tuple[float, float]] = {}
        self._units: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._under_way: dict[str, float] = {}
        self._most_units = most_units

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def apply(self, work: Callable[[], None]) -> None:
        work()

    def read(self, name: str) -> tuple[float, float] | None:
        return self._units.get(name) if name.startswith(OF_UNITS) else self._amounts.get(name)

    def write(self, name: str, amount: float, moment: float) -> None:
        if not name.startswith(OF_UNITS):
            self._amounts[name] = amount, moment
            return
        self._units[name] = amount, moment
        self._units.move_to_end(name)
        if len(self._units) > self._most_units:
            self._units.popitem(last=False)

    def add(self, name: str, amount: float) -> None:
        self._under_way[name] = self._under_way.get(name, 0.0) + amount

    def total(self, name: str) -> float:
        return self._under_way.get(name, 0.0)

"""Much work at once, results in the order of what was asked, memory bounded."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from promptops.dataclass import dataclass

Item = TypeVar("Item")
Result = TypeVar("Result")
Final = TypeVar("Final")
NO_RESULT: Any = object()
"""What work comes back with that has nothing to hand on."""


@dataclass(frozen=True, slots=True)
class Pending(Generic[Result]):
    """A result that counts once ``until`` is done; ``finish`` makes it then."""

    until: asyncio.Future[Any]
    finish: Callable[[], Result]

    async def wait(self) -> Result:
        await self.until
        return self.finish()

    @classmethod
    def done(cls, result: Result) -> "Pending[Result]":
        """One that is there already."""
        until: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until.set_result(None)
        return cls(until, lambda: result)

    def then(self, change: Callable[[Result], Final]) -> "Pending[Final]":
        return Pending(self.until, lambda: change(self.finish()))


class OrderedMap(Generic[Item, Result]):
    """``width`` pieces of work run at once; at most ``window`` are begun and not yet handed on.

    When one raises, no further one is begun, those under way are finished and handed on, and then its
    error is raised. ``stop`` does the same without an error. Work that comes back as ``Pending`` makes room
    for the next piece at once; at most ``width`` results are pending.
    """

    def __init__(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Awaitable[Result | Pending[Result]]],
        *,
        width: int,
        window: int,
    ) -> None:
        self._items: Iterator[Item] = iter(items)
        self._work = work
        self._width = width
        self._window = max(window, width)
        self._begun = self._yielded = self._idle = self._pending = 0
        self._done: dict[int, Result | object] = {}
        self._failures: list[BaseException] = []
        self._stopped = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def stop(self) -> None:
        """Begin nothing further."""
        self._stopped = True
        self._room.set()

    @property
    def in_flight(self) -> int:
        return self._begun - self._yielded - len(self._done)

    async def results(self) -> AsyncGenerator[Result, None]:
        workers = [asyncio.create_task(self._keep_working()) for _ in range(self._width)]
        try:
            while True:
                for result in self._ready():
                    yield result
                if self._idle == self._width and not self._pending:
                    break
                await self._news.wait()
                self._news.clear()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if self._failures:
            raise self._failures[0]

    def _ready(self) -> Iterator[Result]:
        while self._yielded in self._done:
            result = self._done.pop(self._yielded)
            self._yielded += 1
            self._room.set()
            if result is not NO_RESULT:
                yield result  # type: ignore[misc]  # the one other object there is

    async def _keep_working(self) -> None:
        try:
            while await self._has_room():
                for item in self._items:
                    await self._one(item)
                    break
                else:
                    return
        except Exception as error:  # noqa: BLE001 - of the items; raised when the rest is done
            self._fail(error)
        finally:
            self._idle += 1
            self._news.set()

    async def _has_room(self) -> bool:
        while not self._stopped and (
            self._begun - self._yielded >= self._window or self._pending >= self._width
        ):
            self._room.clear()
            await self._room.wait()
        return not self._stopped

    async def _one(self, item: Item) -> None:
        place = self._begun
        self._begun += 1
        try:
            result: Result | Pending[Result] | object = await self._work(item)
        except Exception as error:  # noqa: BLE001 - raised when the rest is done
            self._fail(error)
            result = NO_RESULT
        if isinstance(result, Pending):
            self._pending += 1
            result.until.add_done_callback(lambda _: self._finish(place, result))
        else:
            self._store_result(place, result)

    def _finish(self, place: int, pending: Pending[Result]) -> None:
        self._pending -= 1
        try:
            pending.until.result()
            result: Result | object = pending.finish()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised when the rest is done
            self._fail(error)
            result = NO_RESULT
        self._store_result(place, result)
        self._room.set()
        if not self._pending:
            self._news.set()

    def _store_result(self, place: int, result: Result | object) -> None:
        self._done[place] = result
        if place == self._yielded:
            self._news.set()

    def _fail(self, error: BaseException) -> None:
        self._failures.append(error)
        self.stop()

"""An answer as it comes, for threads and for event loops."""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future

from promptops.config.closing import Closing
from promptops.errors import Unavailable
from promptops.providers.types import OnText
from promptops.runner import Run


class Stream(Closing):
    """One answer as it comes. Leaving the loop early ends the call, logged as interrupted.

    Where an answer may still be repaired, it comes whole at the end; where the connection is cut after some
    text has come, there is no second attempt. ``run`` is the logged run, once the text has ended.
    """

    def __init__(self, begin: Callable[[OnText], Future[Run]]) -> None:
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._wake: Callable[[], object] = _noop
        self._future = begin(self._take)
        self._future.add_done_callback(lambda _: self._take(None))

    def __iter__(self) -> Iterator[str]:
        try:
            while (piece := self._pieces.get()) is not None:
                yield piece
            _ = self.run  # raises what the call did
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(news.set)
        try:
            while True:
                news.clear()
                while not self._pieces.empty():
                    piece = self._pieces.get()
                    if piece is None:
                        _ = self.run
                        return
                    yield piece
                await news.wait()
        finally:
            self.close()

    @property
    def run(self) -> Run:
        """Waits for the end. Raises what the call did."""
        try:
            return self._future.result()
        except CancelledError:
            raise Unavailable("this stream was closed before its end", hint="read it to its end") from None

    def close(self) -> None:
        """End the call when it is still under way."""
        self._future.cancel()
        self._pieces.put(None)

    def _take(self, piece: str | None) -> None:
        self._pieces.put(piece)
        with contextlib.suppress(RuntimeError):  # the loop that listened has closed
            self._wake()


def _noop() -> None: ...

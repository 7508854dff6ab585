"""An answer that is sent as it comes."""

import asyncio
from collections.abc import AsyncIterator

from promptops.runner import Run
from promptops.service import Service
from promptops.service.service import ReadyCall


class AnswerStream:
    """One call on its way. Leaving it early ends the call, which is logged as interrupted."""

    def __init__(self, service: Service, call: ReadyCall) -> None:
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(service.answer(call, self._pieces.put_nowait, all_as_text=False))
        self._task.add_done_callback(lambda _: self._pieces.put_nowait(None))

    async def pieces(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def run(self) -> Run:
        """The logged run, once the text has ended. Raises what the call did."""
        return await self._task

    async def close(self) -> None:
        """Return when the call has ended and its row is on disk."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # seen: whoever waited for it has gone

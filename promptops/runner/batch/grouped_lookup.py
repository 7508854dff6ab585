"""Kept replies, looked for together: all that is asked for in one turn of the event loop is one query.

A query each would hand the interpreter to the thread that writes the log, call by call.
"""

import asyncio
from collections.abc import Mapping, Sequence

from promptops.registry import CachedReply, ReplyCache

Replies = Mapping[str, CachedReply]


class GroupedLookup:
    def __init__(self, replies: ReplyCache) -> None:
        self._replies = replies
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Replies]]] = []

    async def find(self, keys: Sequence[str]) -> Replies:
        """The newest reply under each key that has one, and maybe under others."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._find_all)
        found: asyncio.Future[Replies] = loop.create_future()
        self._waiting.append((keys, found))
        return await found

    def _find_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            replies = self._replies.find([key for keys, _ in waiting for key in keys])
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            for _, found in waiting:
                if not found.done():
                    found.set_exception(error)
            return
        for _, found in waiting:
            if not found.done():  # nobody waits any more
                found.set_result(replies)

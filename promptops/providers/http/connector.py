"""aiohttp's connections, bounded in what they take before a body begins and beside it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage

from promptops.providers.http.body import MAX_INFORMATIONAL, MAX_STREAM_BYTES, TURN_BYTES

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

_MAX_WIRE_BYTES = MAX_STREAM_BYTES + MAX_STREAM_BYTES // 2  # chunk sizes, trailers and heads among them


class BoundedConnector(TCPConnector):
    """As many connections as there are calls at once."""

    def __init__(self) -> None:
        super().__init__(limit=0)
        # aiohttp has no public way to count what its parser swallows (extensions of chunks, trailers, 1xx),
        # nor to say which class reads a connection: neither connector nor session takes one, and sockets are
        # made below TLS. A test notices when the attribute moves.
        handler: type[ResponseHandler] = _BoundedHandler
        self._factory = partial(handler, loop=asyncio.get_running_loop())


class _BoundedHandler(ResponseHandler):
    _taken = _informational = 0

    def set_response_params(self, **options: Any) -> None:
        """Called by aiohttp before each request."""
        self._taken = self._informational = 0
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        if self._taken > _MAX_WIRE_BYTES:
            self._give_up()
            return
        for start in range(0, len(data) or 1, TURN_BYTES):
            payload = self._payload
            super().data_received(data[start : start + TURN_BYTES])
            if self._exception is not None:
                self._pass_on(payload, self._exception)
                return
            if self._informational > MAX_INFORMATIONAL:
                self._give_up()
                return

    @staticmethod
    def _pass_on(payload: StreamReader | None, error: BaseException) -> None:
        """Left to itself, aiohttp keeps the reader of a body waiting when its parser fails in the middle."""
        if payload is not None and payload.exception() is None and not payload.is_eof():
            payload.set_exception(error)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._informational += 100 <= data[0].code < 200  # the status of news before the reply
        super().feed_data(data, size)

    def _give_up(self) -> None:
        error = BadHttpMessage("too much of it")
        self._informational = 0
        self._buffer.clear()
        self._pass_on(self._payload, error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

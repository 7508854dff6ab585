"""Many whole replies at once, on connections that are kept open: HTTP/1.1 and nothing else of it.

A call costs a third of what a general client makes of it. Proxies and event streams are not for this file.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING

from promptops.providers.http.errors import connection_error, cut_off_error
from promptops.providers.http.transport import MAX_REPLY_BYTES, HttpReply, HttpRequest
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from ssl import SSLContext

    from promptops.providers.http.network import Address

_MAX_HEAD_BYTES = 256 * 1024
_MAX_IDLE_S = 15.0  # an idle connection is not trusted for longer: servers close theirs without a word
_BODILESS_STATUSES = frozenset({204, 304})
_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class ResponseParser:
    """One reply as it comes in. ``take`` and ``end`` give it when it is whole."""

    data: bytearray = field(default_factory=bytearray)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    kept: bool = False  # whether the connection may be used again
    _length: int | None = None
    _chunks: list[bytes] | None = None
    _size: int = 0

    def take(self, data: bytes) -> HttpReply | None:
        """Raises HTTPException when it is not HTTP, ModelError when it is too much."""
        self.data += data
        self._size += len(data)
        if self._size > MAX_REPLY_BYTES:
            raise ModelError("malformed_reply", f"the reply is larger than {MAX_REPLY_BYTES // 2**20} MiB")
        if not self.status and not self._head():
            return None
        if self._chunks is not None:
            return self._whole(b"".join(self._chunks)) if self._unchunk(self._chunks) else None
        if self._length is None or len(self.data) < self._length:
            return None
        self.kept = self.kept and len(self.data) == self._length
        return self._whole(bytes(self.data[: self._length]))

    def end(self) -> HttpReply | None:
        """The other end has closed: what has come is whole only when nothing says how long it is."""
        if self.status and self._chunks is None and self._length is None:
            self.kept = False
            return self._whole(bytes(self.data))
        return None

    @property
    def begun(self) -> bool:
        return self._size > 0

    def _head(self) -> bool:
        if not self.data.startswith(b"HTTP/1."[: len(self.data)]):
            raise HTTPException
        end = self.data.find(_HEAD_END)
        if end < 0:
            if len(self.data) > _MAX_HEAD_BYTES:
                raise HTTPException
            return False
        first, *lines = bytes(self.data[:end]).decode("latin-1").split("\r\n")
        del self.data[: end + len(_HEAD_END)]
        status = _status(first)
        if 100 <= status < 200:  # noqa: PLR2004 - news, not the reply
            return self._head()
        self.headers = dict(map(_header, lines))
        self.status = status
        self._frame(first)
        return True

    def _frame(self, first: str) -> None:
        headers = self.headers
        tokens = headers.get("connection", "").lower()
        self.kept = first.startswith("HTTP/1.1") and "close" not in tokens
        if self.status in _BODILESS_STATUSES:
            self._length = 0
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._chunks = []
        elif length := headers.get("content-length"):
            if not length.isdecimal():
                raise HTTPException
            self._length = int(length)

    def _unchunk(self, chunks: list[bytes]) -> bool:
        """Move whole chunks over; True after the last."""
        while (line_end := self.data.find(b"\r\n")) >= 0:
            size = _chunk_size(bytes(self.data[:line_end]))
            if size == 0:
                return self._trailers(line_end)
            start, stop = line_end + 2, line_end + 2 + size
            if len(self.data) < stop + 2:
                return False
            chunks.append(bytes(self.data[start:stop]))
            del self.data[: stop + 2]
        return False

    def _trailers(self, line_end: int) -> bool:
        end = self.data.find(_HEAD_END, line_end)
        if end < 0:
            return False
        self.kept = self.kept and end == line_end and len(self.data) == end + len(_HEAD_END)
        return True

    def _whole(self, body: bytes) -> HttpReply:
        if self.headers.get("content-encoding", "").lower() in {"gzip", "x-gzip", "deflate"}:
            body = _inflate(body)  # it was asked not to, and some proxies do not listen
        return HttpReply(self.status, self.headers, body)


def _status(line: str) -> int:
    _, _, rest = line.partition(" ")
    digits = rest[:3]
    if not digits.isdecimal() or len(digits) != 3:  # noqa: PLR2004
        raise HTTPException
    return int(digits)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise HTTPException from None


def _inflate(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(47).decompress(body, MAX_REPLY_BYTES)
    except zlib.error:
        raise ModelError("malformed_reply", "the reply is compressed, and damaged") from None


class _Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.open = True
        self._transport: asyncio.Transport | None = None
        self._incoming: ResponseParser | None = None
        self._reply: asyncio.Future[HttpReply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream, as it says

    def ask(self, request: bytes, reply: asyncio.Future[HttpReply]) -> None:
        self._incoming, self._reply = ResponseParser(), reply
        if not self.open or self._transport is None:
            reply.set_exception(ConnectionResetError())
            return
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._incoming is None:  # words that nobody asked for
            self.close()
            return
        try:
            whole = self._incoming.take(data)
        except (HTTPException, ModelError) as error:
            self._fail(error)
            return
        if whole is not None:
            self._finish(whole)

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        incoming = self._incoming
        if incoming is None:
            return
        whole = incoming.end() if error is None else None
        if whole is not None:
            self._finish(whole)
        elif incoming.begun and incoming.status:
            self._fail(EOFError())
        else:
            self._fail(error if isinstance(error, OSError) and not incoming.begun else ConnectionResetError())

    def close(self) -> None:
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, whole: HttpReply) -> None:
        incoming, reply = self._incoming, self._reply
        self._incoming = self._reply = None
        if incoming is None or not incoming.kept:
            self.close()
        if reply is not None and not reply.done():
            reply.set_result(whole)

    def _fail(self, error: Exception) -> None:
        reply = self._reply
        self._incoming = self._reply = None
        self.close()
        if reply is not None and not reply.done():
            reply.set_exception(error)


PoolKey = tuple[str, str, int]


class ConnectionPool:
    """As many connections as there are calls at once, used again while they are fresh."""

    def __init__(self) -> None:
        self._idle: dict[PoolKey, list[_Connection]] = {}

    async def send(self, request: HttpRequest, address: Address, tls: SSLContext | None) -> HttpReply:
        """Raises ModelError (connection, cut_off, malformed_reply)."""
        try:
            return await self._exchange(request, address, tls)
        except EOFError:
            failure = cut_off_error(address.netloc)
        except (OSError, HTTPException, ValueError) as error:
            failure = connection_error(error, address.netloc)
        raise failure

    async def _exchange(self, request: HttpRequest, address: Address, tls: SSLContext | None) -> HttpReply:
        place = address.scheme, address.host, address.port
        text = _encode_request(request, address)
        connection = self._kept(place) or await _connect(address, tls)
        reply: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        try:
            connection.ask(text, reply)
            whole = await reply
        except BaseException:
            connection.close()
            raise
        if connection.open:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(place, []).append(connection)
        return whole

    def _kept(self, place: PoolKey) -> _Connection | None:
        """The connection used last, which is the least likely to have been given up."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.open and time.monotonic() - connection.idle_since < _MAX_IDLE_S:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


async def _connect(address: Address, tls: SSLContext | None) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        _Connection,
        address.host,
        address.port,
        ssl=tls,
        server_hostname=address.host if tls else None,
        happy_eyeballs_delay=0.25,
    )
    return connection


def _encode_request(request: HttpRequest, address: Address) -> bytes:
    lines = [f"POST {address.target} HTTP/1.1", f"Host: {address.netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"Content-Length: {len(request.body)}", "", ""]
    head = "\r\n".join(lines)
    if any(sign in address.target for sign in " \r\n\t") or head.count("\r\n") != len(lines) - 1:
        raise ValueError("its address or a header holds characters that HTTP does not take")
    return head.encode("ascii") + request.body

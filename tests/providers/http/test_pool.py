"""Connections that are kept: what a reply is made of, and when one may be used again."""

import asyncio
import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.providers.http.network import Network
from promptops.providers.http.pool import ResponseParser
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.transport import HttpReply, HttpRequest
from promptops.providers.types import ModelError
from support.provider import Provider, body, text

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nX: a\r\ncontent-length: 11\r\n\r\nhello world"
NEWS = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"


def whole(*pieces: bytes) -> tuple[HttpReply | None, ResponseParser]:
    incoming = ResponseParser()
    found = None
    for piece in pieces:
        assert found is None
        found = incoming.take(piece)
    return found, incoming


@pytest.mark.parametrize("reply", [CHUNKED, PLAIN, NEWS + PLAIN])
@given(st.lists(st.integers(1, 40), max_size=8))
def test_pieces_of_any_size(reply: bytes, cuts: list[int]) -> None:
    places = sorted({min(sum(cuts[: i + 1]), len(reply)) for i in range(len(cuts))} | {0, len(reply)})
    pieces = [reply[a:b] for a, b in pairwise(places)]
    found, incoming = whole(*pieces)
    assert found is not None
    assert (found.status, found.body, incoming.kept) == (200, b"hello world", True)


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (PLAIN.replace(b"X: a", b"Connection: close"), False),
        (PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (PLAIN + b"more", False),
        (CHUNKED.replace(b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n"), False),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", True),
    ],
)
def test_when_a_connection_is_used_again(reply: bytes, kept: bool) -> None:
    found, incoming = whole(reply)
    assert (found is not None, incoming.kept) == (True, kept)


@pytest.mark.parametrize(
    "reply",
    [
        b"220 mail\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    ],
)
def test_what_is_no_http(reply: bytes) -> None:
    from http.client import HTTPException

    with pytest.raises(HTTPException):
        ResponseParser().take(reply)


def test_without_a_length_it_ends_with_the_connection() -> None:
    found, incoming = whole(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert found is None
    ended = incoming.end()
    assert ended is not None
    assert (ended.body, incoming.kept) == (b"hello", False)
    assert whole(PLAIN[:-1])[1].end() is None


def test_compressed_against_our_wish() -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    found, _ = whole(head + packed)
    assert found is not None
    assert found.body == b"hello"
    with pytest.raises(ModelError, match="damaged"):
        whole(head + b"x" * len(packed))


def ask(transport: PooledTransport, base_url: str, **headers: str) -> Any:
    request = HttpRequest(f"{base_url}/x", headers, json.dumps({"messages": []}).encode())
    return transport.send(request)


def test_one_connection_serves_many_calls_and_idle_ones_that_were_closed_are_left() -> None:
    async def go(provider: Provider) -> int:
        transport = PooledTransport(Network())
        for _ in range(5):
            assert (await ask(transport, provider.base_url)).status == 200
        (idle,) = transport._kept._idle.values()  # noqa: SLF001 - how many there are is the point
        (connection,) = idle
        connection.idle_since -= 100
        assert (await ask(transport, provider.base_url)).status == 200
        assert not connection.open
        await transport.aclose()
        return len(provider.requests)

    with Provider(text("hi")) as provider:
        assert asyncio.run(go(provider)) == 6


def test_a_connection_that_was_closed_after_a_reply_is_not_used_again() -> None:
    async def go(provider: Provider) -> None:
        transport = PooledTransport(Network())
        for _ in range(3):
            assert (await ask(transport, provider.base_url)).status == 200
        await transport.aclose()

    with Provider(body(b"{}", Connection="close")) as provider:
        asyncio.run(go(provider))


def test_a_header_that_would_be_two_is_not_sent() -> None:
    async def go(provider: Provider) -> None:
        with pytest.raises(ModelError, match="characters that HTTP does not take"):
            await ask(PooledTransport(Network()), provider.base_url, X="a\r\nY: b")

    with Provider() as provider:
        asyncio.run(go(provider))
        assert not provider.requests

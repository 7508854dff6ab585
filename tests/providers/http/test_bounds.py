"""Every read is bounded, in bytes, in time and in work per turn of the loop, whichever transport reads."""

import asyncio
import gzip
import itertools
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from promptops.providers.http import body, connector
from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.provider import Provider, text
from support.raw_server import RawServer

MIB = 2**20
OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
STREAM = OK + b"Content-Type: text/event-stream\r\n\r\n"
ASK = CompletionRequest(model="openai/m", messages=({"role": "user", "content": "hello"},), timeout=60)

Make = type[SingleTransport] | type[PooledTransport]


@pytest.fixture(params=[SingleTransport, PooledTransport])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small part of what is allowed, so that the tests need not send hundreds of megabytes."""
    monkeypatch.setattr(body, "MAX_REPLY_BYTES", MIB // 8)
    monkeypatch.setattr(body, "MAX_STREAM_BYTES", MIB // 4)
    monkeypatch.setattr(connector, "_MAX_WIRE_BYTES", MIB // 2)


async def complete(
    make: Make, base_url: str, request: CompletionRequest = ASK, network: Network | None = None
) -> Completion:
    wire = OpenAIClient(
        name="openai", base_url=base_url, api_key="k" * 20, model="m", transport=make(network or Network())
    )
    try:
        return await wire.complete(request, None)
    finally:
        await wire.aclose()


def refused(
    make: Make,
    reply: bytes | Callable[[], Iterable[bytes]],
    request: CompletionRequest = ASK,
    pause: float = 0,
) -> tuple[ModelError, int]:
    """How a call fails, and how many bytes the other side could send."""
    with RawServer(reply, pause=pause) as server, pytest.raises(ModelError) as caught:
        asyncio.run(complete(make, server.base_url, request))
    return caught.value, server.sent


def forever(head: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    many = piece * max(1, 16_384 // len(piece))
    return lambda: itertools.chain([head], itertools.repeat(many))


@pytest.mark.parametrize(
    "size",
    [
        b"-5",
        b"+5",
        b"0x5",
        b"1_0",
        b"zz",
        b"",
        b" 5",
        b"5 5",
        b"f" * 5_000,
        b"9" * 17,
        b"\xd9\xa5",
        b"-" + b"1" * 99,
    ],
)
def test_a_chunk_whose_size_is_none(make: Make, size: bytes) -> None:
    rest = size + b"\r\n{}\r\n0\r\n\r\n"
    error, _ = refused(make, CHUNKED + rest)
    later, _ = refused(make, lambda: [CHUNKED + b"1\r\n{\r\n", rest], pause=0.05)
    assert (error.type, later.type) == ("malformed_reply", "malformed_reply")


@pytest.mark.parametrize(
    "length", [b"-1", b"+2", b"1" * 5_000, b"0x10", b"2_0", b"two", b"2\r\nContent-Length: 3"]
)
def test_a_length_that_is_none(make: Make, length: bytes) -> None:
    error, _ = refused(make, JSON + b"Content-Length: " + length + b"\r\n\r\n{}")
    assert error.type == "malformed_reply"


def test_a_length_beyond_what_is_taken_is_refused_before_the_body(make: Make) -> None:
    error, _ = refused(make, JSON + b"Content-Length: 104857600\r\n\r\n")
    assert "the reply is larger than" in str(error)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (JSON + b"\r\n", b"x" * 1000),
        (CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"1;", b"extension"),
        (CHUNKED + b"0\r\n", b"X-Trailer: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (OK, b"X-Header: x\r\n"),
        (OK + b"X: ", b"x"),
        (b"HTTP/1.1 200 ", b"O"),
    ],
    ids=[
        "body",
        "chunks",
        "tiny chunks",
        "extension",
        "trailers",
        "100",
        "103",
        "headers",
        "header",
        "reason",
    ],
)
def test_what_never_ends_is_given_up(make: Make, head: bytes, piece: bytes) -> None:
    error, sent = refused(make, forever(head, piece))
    assert error.retryable
    assert error.type != "timeout"
    assert sent < 30 * MIB  # buffers of the operating system among them


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "piece",
    [
        b"data: {}\n\n",
        b": ping\n\n",
        b"\n",
        b"x",
        b"data: nonsense\n",
        b"data: [1,\n",
        b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "a"}}]}}]}\n\n',
    ],
)
def test_a_stream_that_never_ends_is_given_up(make: Make, piece: bytes) -> None:
    error, sent = refused(make, forever(STREAM, piece), replace(ASK, stream=True))
    assert error.type == "malformed_reply"
    assert sent < 30 * MIB


@pytest.mark.no_cover
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_bomb_does_not_go_off(make: Make, pack: Callable[[bytes, int], bytes], stream: bool) -> None:
    name = b"gzip" if pack is gzip.compress else b"deflate"
    kind = STREAM if stream else JSON + b"\r\n"
    bomb = kind[:-2] + b"Content-Encoding: " + name + b"\r\n\r\n" + pack(bytes(32 * MIB), 1)
    tracemalloc.start()
    error, _ = refused(make, bomb, replace(ASK, stream=stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "larger than" in str(error)
    assert peak < 8 * MIB


@pytest.mark.parametrize("stream", [False, True])
def test_a_drip_does_not_outlast_the_time_limit(make: Make, stream: bool) -> None:
    began = time.monotonic()
    kind = STREAM if stream else JSON + b"\r\n"
    pieces = lambda: itertools.chain([kind], itertools.repeat(b": "))
    error, _ = refused(make, pieces, replace(ASK, stream=stream, timeout=0.3), pause=0.05)
    assert error.type == "timeout"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("head", [OK, b"HTTP/1.1 100 Continue\r\n", CHUNKED, CHUNKED + b"1"])
def test_a_drip_before_the_body_neither(make: Make, head: bytes) -> None:
    pieces = lambda: itertools.chain([head], itertools.repeat(b"1"))
    error, _ = refused(make, pieces, replace(ASK, timeout=0.3), pause=0.05)
    assert error.type == "timeout"


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "hostile",
    [
        forever(STREAM, b"data: {}\n\n"),
        forever(STREAM, b"\n"),
        forever(JSON + b"\r\n", b"[],"),
        forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        lambda: [STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"\n" * 8 * MIB, 1)],
        lambda: [JSON + b"\r\n[" + b"[]," * 600_000 + b"[]]"],
        lambda: [STREAM + b"data: [" + b"[]," * 200_000 + b"[]]\n\n"],
    ],
    ids=["events", "blanks", "body", "1xx", "bomb", "many values", "a large event"],
)
def test_one_bad_connection_delays_no_other_call(
    hostile: Callable[[], Iterable[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest time for which the loop came to nobody else while such a reply was read."""
    monkeypatch.setattr(body, "MAX_REPLY_BYTES", 8 * MIB)

    async def go(bad: str, good: str) -> float:
        longest, call = 0.0, asyncio.create_task(complete(PooledTransport, bad, replace(ASK, stream=True)))
        while not call.done():
            began = time.thread_time()  # a busy machine makes no turn longer
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)
        with pytest.raises(ModelError):
            await call
        assert (await complete(PooledTransport, good)).text == "hello"
        return longest

    with RawServer(hostile) as bad, Provider(text("hello")) as good:
        assert asyncio.run(go(bad.base_url, good.base_url)) < 0.5


def test_a_proxy_that_refuses_is_called_a_proxy_that_refuses(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for scheme in ("http", "https"):
        network = Network.from_env({f"{scheme}_proxy": f"http://me:hunter2@127.0.0.1:{port}"})
        with pytest.raises(ModelError) as caught:
            asyncio.run(complete(make, f"{scheme}://provider.example/v1", network=network))
        assert str(caught.value) == f"the proxy http://127.0.0.1:{port} refused the connection"
        assert "PROXY" in caught.value.hint

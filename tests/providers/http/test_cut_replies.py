"""Replies that break off, at each byte: what had come is said, by both transports alike."""

import asyncio
import gzip
from collections.abc import Iterator

import pytest

from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import CompletionRequest, ModelError
from support.raw_calls import ASK
from support.raw_forms import DONE, EVENTS, GZIP, JSON, chunked, until_closed, whole
from support.raw_server import RawServer

BODY = b'{"choices":[{"message":{"content":"bi\xc3\xa4"},"finish_reason":"stop"}]}'
SAID = b'data: {"choices":[{"delta":{"content":"bi"}}]}\n\n'
END = b'data: {"choices":[{"delta":{"content":"\xc3\xa4"},"finish_reason":"stop"}]}\n\n'
WHOLE = ("biä", "stop")
FORMS = {
    "whole": (whole(BODY), False),
    "gzip in chunks": (chunked(gzip.compress(BODY), JSON | GZIP, size=40), False),
    "stream until closed": (until_closed(SAID + END + DONE, EVENTS), True),
    "stream in chunks": (chunked(SAID + END, EVENTS, size=30), True),
}


async def ask_all(server: RawServer, count: int, *, stream: bool) -> list[tuple[object, ...]]:
    """Each reply of the server twice, by one transport and by the other."""
    clients = [
        OpenAIClient(name="openai", base_url=server.base_url, api_key="k" * 20, model="m", transport=each)
        for each in (SingleTransport(Network()), PooledTransport(Network()))
    ]
    request = CompletionRequest(model="openai/m", messages=ASK, stream=stream, timeout=20)
    came: list[tuple[object, ...]] = []
    for _ in range(count):
        for client in clients:
            try:
                answer = await client.complete(request)
                came.append((answer.text, answer.finish_reason))
            except ModelError as error:
                came.append((error.type, error.partial))
    for client in clients:
        await client.aclose()
    return came


@pytest.mark.slow  # a connection for each byte, twice
@pytest.mark.parametrize("form", FORMS)
def test_a_reply_that_breaks_off(form: str) -> None:
    raw, stream = FORMS[form]
    lengths = (length for length in range(len(raw) + 1) for _ in range(2))

    def reply() -> Iterator[bytes]:
        yield raw[: next(lengths)]

    with RawServer(reply) as server:
        came = asyncio.run(ask_all(server, len(raw) + 1, stream=stream))
    for length, (single, pooled) in enumerate(zip(came[::2], came[1::2], strict=True)):
        assert single == pooled, (length, raw[:length])
        kind, partial = single
        assert single == ("biä", "stop") or (
            kind in ("cut_off", "connection") and partial in ("", "bi", "biä")
        )
    assert came[-1] == WHOLE
    assert stream or WHOLE not in came[:-2]

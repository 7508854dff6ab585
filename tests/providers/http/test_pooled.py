"""Connections that are kept: when one is used again, and what is sent over it."""

import asyncio
import json
import threading

import pytest

from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.transport import HttpReply, HttpRequest
from promptops.providers.types import ModelError
from support.provider import Answer, Provider, Received, body, text


async def ask(transport: PooledTransport, base_url: str, **headers: str) -> HttpReply:
    return await transport.send(
        HttpRequest(f"{base_url}/x", headers, json.dumps({"messages": [{"role": "user"}]}).encode())
    )


async def calls(provider: Provider, count: int) -> list[int]:
    transport = PooledTransport(Network())
    try:
        return [(await ask(transport, provider.base_url)).status for _ in range(count)]
    finally:
        await transport.aclose()


def test_one_connection_serves_many_calls() -> None:
    with Provider(text("hi")) as provider:
        assert asyncio.run(calls(provider, 5)) == [200] * 5
        assert provider.connections == 1


def test_a_connection_that_was_closed_after_a_reply_is_not_used_again() -> None:
    with Provider(body(b"{}", Connection="close")) as provider:
        assert asyncio.run(calls(provider, 3)) == [200] * 3
        assert provider.connections == 3


def test_calls_at_once_have_a_connection_each() -> None:
    async def go(provider: Provider) -> None:
        transport = PooledTransport(Network())
        await asyncio.gather(*(ask(transport, provider.base_url) for _ in range(150)))
        await transport.aclose()

    everybody = threading.Barrier(150, timeout=30)

    def answer(_: Received) -> Answer:
        everybody.wait()
        return body(b"{}")

    with Provider(answer) as provider:
        asyncio.run(go(provider))
        assert provider.connections == 150


def test_a_header_that_would_be_two_is_not_sent() -> None:
    async def go(provider: Provider) -> None:
        transport = PooledTransport(Network())
        with pytest.raises(ModelError) as caught:
            await ask(transport, provider.base_url, X="a\r\nY: b")
        assert caught.value.type == "connection"
        await transport.aclose()

    with Provider() as provider:
        asyncio.run(go(provider))
        assert not provider.requests


def test_the_address_is_sent_as_it_is_written() -> None:
    async def go(base_url: str) -> None:
        transport = PooledTransport(Network())
        await transport.send(HttpRequest(f"{base_url}/a%2Fb?x=%41+1", {}, b"{}"))
        await transport.aclose()

    with Provider(body(b"{}")) as provider:
        asyncio.run(go(provider.base_url))
        assert provider.requests[0].path == "/v1/a%2Fb?x=%41+1"

"""One suite of raw replies, played to both transports: what ``run`` sees is what ``batch`` sees."""

import asyncio
from collections.abc import Callable

import pytest

from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import Transport
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.raw_replies import RAW_REPLIES, RawReply
from support.raw_server import RawServer

ASK = ({"role": "user", "content": "hello"},)


def play(reply: RawReply, make: Callable[[Network], Transport]) -> Completion | ModelError:
    async def go(base_url: str) -> Completion:
        wire = OpenAIClient(
            name="openai", base_url=base_url, api_key="k" * 20, model="m", transport=make(Network())
        )
        request = CompletionRequest(model="openai/m", messages=ASK, stream=reply.stream, timeout=20)
        try:
            return await wire.complete(request)
        finally:
            await wire.aclose()

    with RawServer(reply.raw) as server:
        try:
            return asyncio.run(go(server.base_url))
        except ModelError as error:
            return error


@pytest.mark.parametrize("reply", RAW_REPLIES, ids=lambda reply: reply.name)
def test_both_transports_say_the_same_and_the_right_thing(reply: RawReply) -> None:
    single, pooled = play(reply, SingleTransport), play(reply, PooledTransport)
    for came in (single, pooled):
        check(reply, came)
    assert described(single) == described(pooled)


def check(reply: RawReply, came: Completion | ModelError) -> None:
    if isinstance(came, ModelError):
        assert reply.error, (came.type, str(came))
        assert (came.type, came.partial if reply.text else "") == (reply.error, reply.text)
        assert came.message
        return
    assert not reply.error, came
    assert not reply.text or came.text == reply.text
    assert not reply.calls or calls(came) == reply.calls
    assert reply.reasoning is None or came.reasoning == reply.reasoning
    assert reply.finish is None or came.finish_reason == reply.finish
    assert came.input_tokens is None or came.input_tokens < 2**53


def calls(completion: Completion) -> tuple[tuple[str, str], ...]:
    return tuple((call["function"]["name"], call["function"]["arguments"]) for call in completion.tool_calls)


def described(came: Completion | ModelError) -> tuple[object, ...]:
    if isinstance(came, ModelError):
        return came.type, came.partial, came.status, came.retryable
    return came.text, came.finish_reason, calls(came), came.reasoning, came.input_tokens


def test_the_suite_is_large() -> None:
    assert len({reply.name for reply in RAW_REPLIES}) == len(RAW_REPLIES) >= 80

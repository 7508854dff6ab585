"""One suite of raw replies, played to both transports: what ``run`` sees is what ``batch`` sees."""

from collections.abc import Callable

import pytest

from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import Transport
from promptops.providers.types import Completion, ModelError
from support.raw_calls import call_raw
from support.raw_forms import RawReply
from support.raw_replies import RAW_REPLIES


def play(reply: RawReply, make: Callable[[Network], Transport]) -> Completion | ModelError:
    return call_raw(reply.raw, make, stream=reply.stream)


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

"""Replies of providers, whole and as streams: whatever comes is a completion or a ModelError."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptops.providers.embeddings import embed
from promptops.providers.errors import error_from_reply
from promptops.providers.http.body import BodyReader
from promptops.providers.http.transport import HttpReply
from promptops.providers.openai.response import completion_from_body
from promptops.providers.openai.stream import StreamParser
from promptops.providers.types import Completion, ModelError
from support.fuzzing import chunks, damaged_bytes, damaged_json, fuzz_settings, settle
from support.provider import Provider
from support.provider import body as served

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "cost": 0.1,
    "is_byok": True,
    "cost_details": {"upstream_inference_cost": 0.2},
    "prompt_tokens_details": {
        "cached_tokens": 1,
        "cache_creation_token_details": {"ephemeral_1h_input_tokens": 1},
    },
    "completion_tokens_details": {"reasoning_tokens": 1},
}
MESSAGE = {"content": "<think>a</think>b", "refusal": None, "reasoning": "r", "tool_calls": [CALL]}
REPLIES: list[Any] = [
    {
        "id": "x",
        "model": "m",
        "service_tier": "flex",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": USAGE,
    },
    {"choices": [{"message": {"content": [{"type": "text", "text": "a"}], "function_call": {"name": "f"}}}]},
    {"error": {"message": "no", "code": 429, "type": "insufficient_quota", "innererror": {"code": "x"}}},
    [{"error": {"message": ["no"], "code": "400"}}],
    {"detail": [{"msg": "no"}], "object": "error"},
]
EVENTS: list[Any] = [
    {"model": "m", "choices": [{"index": 0, "delta": {"content": "Gr\u00fc\u00dfe <th"}}]},
    {"choices": [{"delta": {"content": "ink>a</think>b", "tool_calls": [CALL]}, "finish_reason": None}]},
    {"choices": [{"delta": {"refusal": "no", "reasoning_content": "r"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": USAGE, "x_groq": {"usage": USAGE}},
    {"error": {"message": "no", "code": 500}, "usage": USAGE},
]
LINES = [
    b"event: error\n",
    b"data: [DONE]\n\n",
    b": ping\n\n",
    b"\n",
    b"data\n",
    b"id: 1\n",
    b"data: {\ndata: }\n\n",
]
VECTORS = {
    "data": [{"index": 1, "embedding": [0.1, 1]}, {"index": 0, "embedding": [-1e9, 2]}],
    "model": "e",
    "usage": {"prompt_tokens": 3},
}
CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(body=damaged_json(REPLIES))
@fuzz_settings(100)
def test_a_reply_is_a_completion_or_a_model_error(body: bytes) -> None:
    result = settle(lambda: completion_from_body(body, "m"))
    assert isinstance(result, Completion | ModelError)


@pytest.mark.parametrize(
    "shape", ['{"error": {"code": %s}}', '{"error": {"message": %s}}', '[{"error": %s}]']
)
def test_a_reply_is_a_model_error_however_deep_it_is(shape: str) -> None:
    for depth in range(150, 1000, 3):  # where it fits the parser's stack, and no longer the printer's
        body = (shape % ("[" * depth + "]" * depth)).encode()
        assert isinstance(settle(lambda body=body: completion_from_body(body, "m")), ModelError)


@given(content=damaged_json([VECTORS]))
@example(content=b"[" * 100_000)
@example(content=json.dumps(VECTORS).replace("0.1", "9" * 400).encode())
@example(content=json.dumps(VECTORS).replace("[0.1, 1]", '"11"').encode())
@fuzz_settings(60)
def test_a_reply_of_vectors_is_vectors_or_a_model_error(content: bytes) -> None:
    with Provider(served(content)) as provider:
        env = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "k"}
        vectors = settle(lambda: asyncio.run(embed("openai/e", ["a", "b"], env)))
    if not isinstance(vectors, ModelError):
        assert all(type(number) is float for vector in vectors for number in vector)
        assert [len(vector) > 0 for vector in vectors] == [True, True]


@given(
    status=st.sampled_from([301, 400, 401, 404, 408, 429, 500, 599]),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "location"]),
        st.text(max_size=20)
        | st.sampled_from(["1", "9" * 400, "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 1 Jan 0 99"]),
    ),
    body=damaged_json(REPLIES),
)
@fuzz_settings(50)
def test_a_refusal_is_a_model_error_in_one_line(status: int, headers: dict[str, str], body: bytes) -> None:
    error = error_from_reply(HttpReply(status, headers, body), where="there")
    assert "\n" not in error.message
    assert error.message.isprintable()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            parts.append(draw(st.sampled_from(LINES)))
        else:
            event = (
                draw(damaged_json([*EVENTS]))
                if draw(st.booleans())
                else json.dumps(draw(st.sampled_from(EVENTS))).encode()
            )
            parts.append(b"data: " + event + b"\n" * draw(st.integers(1, 2)))
    return draw(damaged_bytes([b"".join(parts)], most=2))


def _streamed(pieces: Sequence[bytes]) -> tuple[Any, list[str]]:
    texts: list[str] = []
    parser = StreamParser(texts.append, 0.0)

    def read() -> Completion:
        body = BodyReader({}, parser.line)
        if all(all(body.feed(piece)) for piece in pieces):
            body.end()
        return parser.completion("m")

    return settle(read), texts


def _comparable(result: Any) -> Any:
    if isinstance(result, ModelError):
        completion = result.completion and replace(result.completion, first_token_ms=None)
        return result.type, result.message, result.hint, result.partial, repr(completion)
    return repr(replace(result, first_token_ms=None))


@given(stream=streams(), cuts=CUTS)
@fuzz_settings(75)
def test_a_stream_says_the_same_wherever_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    whole, texts = _streamed([stream])
    assert isinstance(whole, Completion | ModelError)
    pieces, parts = _streamed(chunks(stream, cuts))
    assert _comparable(pieces) == _comparable(whole)
    assert parts == texts


GZIP = gzip.compress(b"hello " * 50, mtime=0)
RAW = zlib.compressobj(wbits=-15)
BODIES = [
    b"plain",
    GZIP,
    GZIP + GZIP,
    GZIP + b"\0" * 9,
    zlib.compress(b"x" * 40_000),
    RAW.compress(b"a") + RAW.flush(),
]


@given(
    data=damaged_bytes(BODIES),
    encoding=st.sampled_from(["", "identity", "gzip", "x-gzip", "deflate", "GZIP ", "br", "\n"]),
    length=st.sampled_from(["0", "5", "9" * 30, "-1", "x", "\u0665", ""]) | st.text(max_size=5),
    cuts=CUTS,
)
@fuzz_settings(75)
def test_a_body_is_the_same_wherever_it_is_cut(
    data: bytes, encoding: str, length: str, cuts: list[int]
) -> None:
    headers = {"content-encoding": encoding, "content-length": length}

    def read(pieces: Sequence[bytes]) -> bytes | None:
        body = BodyReader(headers)
        try:
            return body.end() if all(all(body.feed(piece)) for piece in pieces) else None
        except EOFError:  # what the transports call cut off
            return None

    whole, pieces = settle(lambda: read([data])), settle(lambda: read(chunks(data, cuts)))
    assert str(pieces) == str(whole)

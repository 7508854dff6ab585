"""Replies as bytes of HTTP, chunked above all: both transports end, with an answer or a ModelError."""

import gzip
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.types import Completion, ModelError
from support.fuzzing import CPU_SECONDS, damaged_bytes, fuzz_settings
from support.raw_calls import call_raw
from support.raw_forms import EVENTS, GZIP, JSON, answer, as_body, chunked, until_closed, whole

pytestmark = pytest.mark.slow

GOOD = as_body(answer())
SAID = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
REPLIES = [
    chunked(GOOD),
    chunked(GOOD, size=40, extra=b";a=b"),
    chunked(GOOD)[:-2] + b"X-Trailer: 1\r\n\r\n",
    chunked(gzip.compress(GOOD, mtime=0), {**JSON, **GZIP}, size=20),
    chunked(SAID, EVENTS, size=9),
    whole(GOOD),
    until_closed(GOOD),
    b"HTTP/1.1 100 Continue\r\n\r\n" + chunked(GOOD),
]
SIZES = [
    b"-1", b"+7", b"0x7", b"7 ", b" 7", b"07", b"7" * 20, b"f" * 5000, b"", b"g", b"1_0", b"\0",
]  # fmt: skip


@st.composite
def framed(draw: st.DrawFn) -> bytes:
    """One of the replies, in which the sizes of some chunks, or any bytes, are others."""
    reply = draw(st.sampled_from(REPLIES))
    lines = reply.split(b"\r\n")
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        lines[place] = draw(st.sampled_from(SIZES) | st.binary(max_size=9) | st.just(lines[place] * 2))
    ends = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"]))
    return draw(damaged_bytes([ends.join(lines)], most=2))


@given(raw=framed(), stream=st.booleans())
@fuzz_settings(60)
def test_a_reply_ends_however_it_is_framed(raw: bytes, stream: bool) -> None:
    started = time.process_time()
    single, pooled = (call_raw(raw, make, stream=stream) for make in (SingleTransport, PooledTransport))
    assert time.process_time() - started < CPU_SECONDS
    for came in (single, pooled):
        assert not isinstance(came, ModelError) or (came.message and came.message.isprintable())
    if isinstance(single, Completion) and isinstance(pooled, Completion):
        assert single.text == pooled.text

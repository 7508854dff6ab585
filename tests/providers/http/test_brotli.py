"""Replies in Brotli, which nobody asked for: read where its library is; else it is said what to install."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from promptops.providers.http.encoding import BrotliDecoder
from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import Transport
from promptops.providers.types import Completion, ModelError
from support.raw_calls import call_raw
from support.raw_forms import DONE, EVENTS, GOOD, JSON, SAID, STOP, chunked, until_closed, whole

BR = {"Content-Encoding": "br"}
MOST = 128 * 1024  # bytes; the library makes a few more than it is asked for
both = pytest.mark.parametrize("make", [SingleTransport, PooledTransport])


@both
def test_it_is_read(make: Callable[[Network], Transport]) -> None:
    brotli = pytest.importorskip("brotli")
    packed, events = brotli.compress(GOOD), brotli.compress(SAID + STOP + DONE)
    for raw in (whole(packed, JSON | BR), chunked(packed, JSON | BR, size=1)):
        came = call_raw(raw, make)
        assert isinstance(came, Completion), came
        assert came.text == "billing"
    streamed = call_raw(until_closed(events, EVENTS | BR), make, stream=True)
    assert isinstance(streamed, Completion), streamed
    assert streamed.text == "billing"
    for raw, kind in (
        (whole(packed[:-5], JSON | BR), "cut_off"),
        (whole(GOOD, JSON | BR), "malformed_reply"),
    ):
        error = call_raw(raw, make)
        assert isinstance(error, ModelError)
        assert error.type == kind


def test_it_comes_out_in_bounded_chunks() -> None:
    brotli = pytest.importorskip("brotli")
    size = 10_000_000
    sizes = list(map(len, BrotliDecoder().chunks(brotli.compress(bytes(size)))))
    assert sum(sizes) == size
    assert max(sizes) < MOST


@both
@pytest.mark.parametrize("library", [None, SimpleNamespace(Decompressor=object, error=ValueError)])
def test_without_a_library_that_bounds_it(
    make: Callable[[Network], Transport], library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", library)
    error = call_raw(whole(b"\x0b\x02\x80", JSON | BR), make)
    assert isinstance(error, ModelError)
    assert (error.type, error.message) == (
        "malformed_reply",
        "the reply is compressed in a way that was not asked for: br",
    )
    assert "pip install 'brotli>=1.2'" in error.hint

"""Content encodings of a reply: decompressed in bounded chunks, against decompression bombs."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from promptops.providers.errors import sanitize_line
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    class Decoder(Protocol):
        def chunks(self, data: bytes) -> Iterator[bytes]:
            """Decompress the next bytes, a bounded chunk at a time."""

        def finish(self) -> None:
            """Raise EOFError when the compressed data ended early."""


_CHUNK = 16 * 1024  # most bytes of one decompressed chunk
_GZIP, _ZLIB, _RAW = 31, 15, -15  # how zlib names the three formats
_GZIP_MAGIC = b"\x1f\x8b"


def decoder_for(headers: Mapping[str, str]) -> Decoder | None:
    """None for a body that is not compressed. Raises ModelError for an encoding that is not read here."""
    name = headers.get("content-encoding", "").strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflater(gzip=name != "deflate")
    hint = "a proxy on the way compresses what was asked for uncompressed"
    if name == "br":
        with suppress(ImportError):
            return BrotliDecoder()
        hint += "; to read it: pip install 'brotli>=1.2'"
    raise ModelError(
        "malformed_reply",
        f"the reply is compressed in a way that was not asked for: {sanitize_line(name)}",
        hint=hint,
    )


class BrotliDecoder:
    """Brotli, where its library is installed in a version that bounds what comes out."""

    def __init__(self) -> None:
        import brotli

        if not hasattr(brotli.Decompressor, "can_accept_more_data"):  # before 1.2
            raise ImportError
        self._stream = brotli.Decompressor()
        self._error = brotli.error

    def chunks(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next bytes; what follows the end is not data."""
        while not self._stream.is_finished():
            try:
                chunk = self._stream.process(data, output_buffer_limit=_CHUNK)
            except self._error:
                raise _damaged() from None
            if chunk:
                yield chunk
            elif self._stream.can_accept_more_data():
                return
            data = b""

    def finish(self) -> None:
        """Raise EOFError when the compressed data ended early."""
        if not self._stream.is_finished():
            raise EOFError


class Inflater:
    """gzip, or deflate in both of the forms that are sent under this name."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._stream: zlib._Decompress | None = None
        self._first = b""

    def chunks(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next bytes, a bounded chunk at a time."""
        while data:
            if self._stream is None:
                data = self._first + data
                if len(data) < 2:  # two bytes tell the formats apart
                    self._first = data
                    return
                self._first = b""
                self._stream = zlib.decompressobj(self._format(data))
            try:
                chunk = self._stream.decompress(data, _CHUNK)
            except zlib.error:
                raise _damaged() from None
            if chunk:
                yield chunk
            data = self._stream.unconsumed_tail or self._next_member()

    def finish(self) -> None:
        """Raise EOFError when the compressed data ended early."""
        if self._first or (self._stream is not None and not self._stream.eof):
            raise EOFError

    def _format(self, data: bytes) -> int:
        if self._gzip:
            return _GZIP
        zlib_header = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0  # RFC 1950
        return _ZLIB if zlib_header else _RAW

    def _next_member(self) -> bytes:
        """What follows the end of a gzip member and is another one; padding is not data."""
        if self._stream is None or not self._stream.eof:
            return b""
        rest = self._stream.unused_data
        if not self._gzip or not rest.startswith(_GZIP_MAGIC):
            return b""
        self._stream = None
        return rest


def _damaged() -> ModelError:
    return ModelError("malformed_reply", "the reply is compressed, and damaged")

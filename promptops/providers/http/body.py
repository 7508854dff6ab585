"""The body of a reply: bounded, unpacked, and split into lines where it is a stream."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from promptops.providers.errors import sanitize_line
from promptops.providers.http.encoding import decoder_for
from promptops.providers.http.transport import OnLine
from promptops.providers.types import ModelError

MAX_REPLY_BYTES = 32 * 1024 * 1024  # of a body, and of one line of an event stream, unpacked
MAX_STREAM_BYTES = 128 * 1024 * 1024  # of a whole event stream: a token takes some 300 bytes of it
MAX_INFORMATIONAL = 20  # replies of status 1xx before the one that counts
TURN_BYTES = 16 * 1024  # looked at in one turn of an event loop that others share


class BodyReader:
    """Collects a reply, or hands its lines on; bounded, so that no endpoint can fill the memory."""

    def __init__(
        self,
        headers: Mapping[str, str],
        on_line: OnLine | None = None,
        into: BinaryIO | None = None,
        most: int = 0,
    ) -> None:
        """``into`` takes up to ``most`` bytes. Raises ModelError for a reply that cannot be read."""
        self._on_line = on_line
        self._into = into
        self._parts: list[bytes] = []
        self._size = self._total = 0
        self._most = most if into else MAX_REPLY_BYTES if on_line is None else MAX_STREAM_BYTES
        self._inflater = decoder_for(headers)
        if content_length(headers) > self._most:
            raise _too_large(self._most)

    def feed(self, chunk: bytes) -> Iterator[bool]:
        """Take the next bytes a step at a time, each short; False when nothing more is wanted."""
        for start in range(0, len(chunk), TURN_BYTES):
            piece = chunk[start : start + TURN_BYTES]
            yield from map(self._take, self._inflater.chunks(piece) if self._inflater else (piece,))

    @property
    def long(self) -> bool:
        """Whether this has taken more than one turn should."""
        return self._total > TURN_BYTES

    def end(self) -> bytes:
        """Finish: the body, or nothing when it went out as lines. Raises EOFError when it was cut short."""
        if self._inflater is not None:
            self._inflater.finish()
        rest = b"".join(self._parts)
        if self._on_line is None:
            return rest
        if rest:
            self._on_line(rest.rstrip(b"\r"))
        return b""

    def _take(self, chunk: bytes) -> bool:
        self._total += len(chunk)
        if self._total > self._most:
            raise _too_large(self._most)
        if self._into is not None:
            _write(self._into, chunk)
            return True
        if self._on_line is None or b"\n" not in chunk:
            self._keep(chunk)
            return True
        whole, _, rest = (b"".join(self._parts) + chunk).rpartition(b"\n")
        self._parts, self._size = [rest], len(rest)
        return all(self._on_line(line.rstrip(b"\r")) for line in whole.split(b"\n"))

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_REPLY_BYTES:
            raise _too_large(MAX_REPLY_BYTES)
        self._parts.append(chunk)


def content_length(headers: Mapping[str, str]) -> int:
    """The announced length; 0 where none is. Raises ModelError for what is not length."""
    text = headers.get("content-length", "0").strip()
    if not text.isascii() or not text.isdecimal():
        raise ModelError("malformed_reply", f"the reply's length is not a number: {sanitize_line(text)}")
    return int(text) if len(text) < 19 else 10**18  # longer than any disk


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as error:  # else it would be taken for one of the network's
        raise ModelError("call_failed", f"the reply cannot be kept: {error.strerror}") from None


def _too_large(most: int) -> ModelError:
    return ModelError("malformed_reply", f"the reply is larger than {most // 2**20} MiB")

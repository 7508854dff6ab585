"""What every way of sending HTTP offers, and the splitting of a stream into lines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from promptops.providers.types import ModelError

MAX_REPLY_BYTES = 64 * 1024 * 1024
OnLine = Callable[[bytes], bool]
"""Takes one line of an event stream; False says that nothing more is wanted."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpRequest({self.url!r})"  # the headers hold a key


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # empty when the lines went to on_line


class Transport(Protocol):
    """Sends one POST; redirects are not followed. Raises ModelError (connection, cut_off)."""

    async def send(self, request: HttpRequest, on_line: OnLine | None = None) -> HttpReply:
        """Lines of a successful event stream go to ``on_line``; any other body comes back whole."""
        ...

    async def aclose(self) -> None: ...


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    return status == 200 and "text/event-stream" in headers.get("content-type", "").lower()  # noqa: PLR2004


class BodyReader:
    """Collects a reply, or hands its lines on; bounded, so that no endpoint can fill the memory."""

    def __init__(self, on_line: OnLine | None) -> None:
        self._on_line = on_line
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; False when nothing more is wanted."""
        if self._on_line is None or b"\n" not in chunk:
            self._keep(chunk)
            return True
        whole, _, rest = (b"".join(self._parts) + chunk).rpartition(b"\n")
        self._parts, self._size = [rest], len(rest)
        return all(self._on_line(line.rstrip(b"\r")) for line in whole.split(b"\n"))

    def end(self) -> bytes:
        """Finish: the body, or nothing when it went out as lines."""
        rest = b"".join(self._parts)
        if self._on_line is None:
            return rest
        if rest:
            self._on_line(rest.rstrip(b"\r"))
        return b""

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_REPLY_BYTES:
            raise ModelError("malformed_reply", f"the reply is larger than {MAX_REPLY_BYTES // 2**20} MiB")
        self._parts.append(chunk)

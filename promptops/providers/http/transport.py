"""What every way of sending HTTP offers."""

from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO, Protocol

from promptops.dataclass import dataclass

OnLine = Callable[[bytes], bool]
"""Takes one line of an event stream; False says that nothing more is wanted."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The last three are for files, and for ``SingleTransport`` alone."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    pieces: Iterable[bytes] | None = None  # the body, where it is long: its length is in the headers
    into: BinaryIO | None = None  # where the body of a reply of status 200 goes, however large
    most: int = 0  # bytes of it

    def __repr__(self) -> str:
        return f"HttpRequest({self.url!r})"  # the headers hold a key


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # empty when the lines went to on_line, or the body into a file


class Transport(Protocol):
    """Sends one request; redirects are not followed. Raises ModelError (connection, cut_off)."""

    async def send(self, request: HttpRequest, on_line: OnLine | None = None) -> HttpReply:
        """Lines of a successful event stream go to ``on_line``; any other body comes back whole."""
        ...

    async def aclose(self) -> None: ...


def is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    return status == 200 and "text/event-stream" in headers.get("content-type", "").lower()

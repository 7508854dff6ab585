"""What every way of sending HTTP offers."""

from collections.abc import Callable, Mapping
from typing import Protocol

from promptops.dataclass import dataclass

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
    return status == 200 and "text/event-stream" in headers.get("content-type", "").lower()

"""Wait for what can be read, whatever its number is: ``select.select`` takes none from 1024 on."""

import selectors
from typing import Any


def readable(*ends: Any, seconds: float) -> list[Any]:
    """Those of ``ends`` (sockets, or numbers of open files) that have something; none when time is over."""
    with selectors.PollSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]

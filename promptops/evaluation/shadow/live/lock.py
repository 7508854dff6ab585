"""One drain at a time for each registry."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.02


@contextmanager
def exclusive_lock(registry: Path, patience_s: float | None = 0.0) -> Iterator[bool]:
    """Whether no other process drains now; none begins while this is held.

    ``patience_s``: how long another's end is waited for; None for as long as it takes.
    """
    until = None if patience_s is None else time.monotonic() + patience_s
    with registry.with_name(f"{registry.name}-shadow.lock").open("a") as file:
        while not (held := _try_lock(file.fileno())):
            if until is not None and time.monotonic() >= until:
                break
            time.sleep(_POLL_S)
        yield held


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

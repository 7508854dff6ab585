"""What the server itself has to say: none of what clients sent, and a lack of open files once a minute."""

import asyncio
import errno
import logging
import time
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

from promptops.log import PackageLogger, with_hint

_LOG = PackageLogger("promptops.gateway")
_INTERVAL_S = 60.0


def http_logger() -> logging.Logger:
    """For aiohttp. Requests that are no HTTP are answered; they may hold keys, and anybody can send many."""
    logger = logging.getLogger("promptops.gateway.http")
    logger.addFilter(_is_no_fault_of_a_client)
    return logger


def _is_no_fault_of_a_client(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class LackOfFilesReport:
    """A handler of the event loop's errors, which come a thousand at once where no file can be opened."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, ValueError) and str(error).startswith("Invalid file descriptor"):
            return  # each of them is tried again, also when the server has stopped listening meanwhile
        if not isinstance(error, OSError) or error.errno not in {errno.EMFILE, errno.ENFILE}:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _INTERVAL_S
            hint = "connections wait until others end; allow more open files (ulimit -n, LimitNOFILE)"
            _LOG.warning(with_hint(f"no connection can be taken: {error.strerror}", hint))

"""Shows on stderr what the packages below log. Loads ``logging``, so it is loaded by the first message."""

import logging

from promptops.console import note
from promptops.log import LIBRARY

_REPEAT_S = 60
_MAX_REMEMBERED = 1000


class ConsoleHandler(logging.Handler):
    """Warnings carry the program's name, and one is not said again within a minute.

    What is said of progress goes without the name.
    """

    def __init__(self) -> None:
        super().__init__()
        self._warned: dict[str, float] = {}  # when, by message

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno < logging.WARNING:
            note(message)
        elif record.created - self._warned.get(message, -_REPEAT_S) >= _REPEAT_S:
            if len(self._warned) >= _MAX_REMEMBERED:
                self._warned.clear()
            self._warned[message] = record.created
            note(f"{LIBRARY}: {message}")


def attach(library: logging.Logger) -> None:
    library.addHandler(ConsoleHandler())
    library.setLevel(logging.INFO)
    library.propagate = False  # a library that configures the root logger would show it twice


def detach() -> None:
    library = logging.getLogger(LIBRARY)
    for handler in [each for each in library.handlers if isinstance(each, ConsoleHandler)]:
        library.removeHandler(handler)
    library.setLevel(logging.NOTSET)
    library.propagate = True

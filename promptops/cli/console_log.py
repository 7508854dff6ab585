"""Shows on stderr what the packages below log. Loads ``logging``, so it is loaded by the first message."""

import logging

from promptops.console import note
from promptops.log import LIBRARY


class ConsoleHandler(logging.Handler):
    """Warnings carry the program's name; what is said of progress goes without."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{LIBRARY}: " if record.levelno >= logging.WARNING else ""
        note(f"{prefix}{record.getMessage()}")


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

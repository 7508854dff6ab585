"""What happens below CLI and API and a user should know of: one logger of ``logging`` for each package.

The command line shows it on stderr. An application that uses the Python API handles the loggers below
``promptops`` as those of any library: it hears nothing where it has not configured ``logging``.
``logging`` is loaded by the first message, since most commands have none and its import takes milliseconds.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

LIBRARY = "promptops"
before_first_message: "list[Callable[[logging.Logger], object]]" = []
"""Called once with the logger of the whole library when ``logging`` is loaded, to attach handlers."""


class PackageLogger(NamedTuple):
    """``name`` is the package's, such as ``promptops.runner``."""

    name: str

    def warning(self, message: str) -> None:
        self._logger().warning("%s", message)

    def info(self, message: str) -> None:
        self._logger().info("%s", message)

    def _logger(self) -> "logging.Logger":
        import logging

        library = logging.getLogger(LIBRARY)
        while before_first_message:
            before_first_message.pop()(library)
        if not library.handlers:
            library.addHandler(logging.NullHandler())  # else `logging` would print warnings by itself
        return logging.getLogger(self.name)


def with_hint(message: str, hint: str) -> str:
    """A message with the next step on a line of its own."""
    return f"{message}\n  {hint}" if hint else message

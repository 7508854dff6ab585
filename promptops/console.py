"""How things look: the only file that prints.

Data goes to stdout and everything said about it to stderr. On a terminal, control characters in
data are escaped, so that a model's answer can't move the cursor or set the window's title.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from promptops.escapes import escape, escape_json

StyledLine = Sequence[tuple[str, str]]  # the pieces of a line, each with the name of its colour or ""
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_MIN_COLUMN_WIDTH = 6  # columns below which shortening a table's column says nothing


def escape_line(text: str, limit: int | None = None) -> str:
    """The text on one line, shortened to ``limit`` characters."""
    line = " ".join(escape(text).split())
    return line if limit is None else shorten(line, limit)


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def print_text(text: str, end: str = "\n", *, flush: bool = False) -> None:
    """Print data as it is when piped, escaped on a terminal."""
    sys.stdout.write((escape(text) if sys.stdout.isatty() else text) + end)
    if flush:
        sys.stdout.flush()


def print_wrapped(text: str, *, indent: int) -> None:
    """Print a sentence: in lines that fit a terminal, else in one."""
    import textwrap

    room = terminal_width() if stdout_is_terminal() else sys.maxsize
    for start in textwrap.wrap(text, room, initial_indent=" " * indent, subsequent_indent=" " * indent):
        print_text(start)


def note(text: str) -> None:
    """Say something about the data, on stderr, where no secret belongs."""
    from promptops.redaction import redact

    sys.stdout.flush()
    sys.stderr.write(escape(redact(text)) + "\n")
    sys.stderr.flush()


def show_status_line(text: str) -> None:
    """One line on stderr that the next one, or an empty one, replaces. For terminals alone."""
    sys.stderr.write(f"\r{escape_line(text, terminal_width() - 1)}\x1b[K")
    sys.stderr.flush()


def stderr_is_terminal() -> bool:
    """Whether stderr can rewrite a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def note_traceback() -> None:
    """Say where the exception that is handled comes from; what libraries put into one is not known."""
    import traceback

    note(traceback.format_exc().rstrip("\n"))


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but yes is no."""
    sys.stdout.flush()
    sys.stderr.write(escape(question) + " [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def clear_screen() -> None:
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[2J")


def print_json(value: Any) -> None:
    print_json_text(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_line(value: Any) -> None:
    """Print one object of a stream, at once."""
    print_json_text(json.dumps(value, ensure_ascii=False))
    sys.stdout.flush()


def print_json_text(text: str) -> None:
    sys.stdout.write(escape_json(text) + "\n")


def print_report(text: str, form: str) -> None:
    """Print the whole text of one form."""
    if form == "json":
        print_json_text(text.rstrip("\n"))
    else:
        print_text(text, end="")


class DataStream:
    """Stdout as a file for data: escaped on a terminal, as it is when piped."""

    def write(self, text: str) -> int:
        print_text(text, end="")
        return len(text)


def supports_colour(stream: TextIO) -> bool:
    """As git and no-color.org have it."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if supports_colour(sys.stdout) else text


def stdout_supports_colour() -> bool:
    """Whether colours reach stdout, so that signs in the text can be left out."""
    return supports_colour(sys.stdout)


def print_styled(pieces: StyledLine) -> None:
    """Print one line of data: escaped, then painted."""
    plain = escape if sys.stdout.isatty() else str
    sys.stdout.write(
        "".join(paint(plain(text), colour) if colour else plain(text) for text, colour in pieces)
    )
    sys.stdout.write("\n")


def stdout_is_terminal() -> bool:
    return sys.stdout.isatty()


def pluralize(number: int, noun: str) -> str:
    """``1 case``, ``1,200 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def terminal_width() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Sequence[int] = ()
) -> None:
    """Print rows under their headers, without columns that hold nothing.

    On a terminal the widest text columns are shortened until the table fits; not the first, which names
    the row and must be fit to be pasted.
    """
    table = [list(row) for row in rows]
    shown = [i for i in range(len(headers)) if any(row[i] is not None for row in table) or not table]
    cells = [[_cell_text(row[i]) for i in shown] for row in table]
    right = [place for place, i in enumerate(shown) if i in numeric]
    names = [headers[i] for i in shown]
    if sys.stdout.isatty():
        cells = _fit_to_terminal(names, cells, right)
    align = ["right" if place in right else "left" for place in range(len(shown))]
    for line in _tabulate(names, cells, align).splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def _tabulate(headers: Sequence[str], cells: list[list[str]], align: list[str]) -> str:
    import tabulate  # 70 ms that a verb without a table need not pay

    tabulate.MIN_PADDING = 0  # else a narrow column is wider than its header, and a line than the terminal
    alignment = align if cells else None
    return tabulate.tabulate(cells, headers, tablefmt="plain", disable_numparse=True, colalign=alignment)


def _cell_text(value: Any) -> str:
    if value is None:
        return "-"
    return escape_line(str(value))


def _fit_to_terminal(
    headers: Sequence[str], cells: list[list[str]], numeric: Sequence[int]
) -> list[list[str]]:
    widths = [max([len(header), *(len(row[i]) for row in cells)]) for i, header in enumerate(headers)]
    spare = terminal_width() - 2 * (len(headers) - 1)
    while sum(widths) > spare:
        widest = max(
            (i for i in range(1, len(widths)) if i not in numeric), key=widths.__getitem__, default=0
        )
        if widest == 0 or widths[widest] <= max(_MIN_COLUMN_WIDTH, len(headers[widest])):
            break
        widths[widest] -= 1
    return [[shorten(cell, widths[i]) for i, cell in enumerate(row)] for row in cells]

"""How things look: the only file that prints.

Data goes to stdout and everything said about it to stderr. On a terminal, control characters in
data are escaped, so that a model's answer can't move the cursor or set the window's title.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, TextIO

from promptops.display_width import display_width, shorten_to_width
from promptops.errors import PromptopsError
from promptops.escapes import escape, escape_json, escape_line

StyledLine = Sequence[tuple[str, str]]  # the pieces of a line, each with the name of its colour or ""
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_MIN_COLUMN_WIDTH = 6  # columns below which shortening a table's column says nothing


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


def note_error(error: PromptopsError) -> None:
    """Say what went wrong, and the next step."""
    note(f"promptops: {error.message}")
    if error.hint:
        note(f"  {error.hint}")


def note_dimly(text: str) -> None:
    """Say what is of less importance, dim where stderr has colours."""
    from promptops.redaction import redact

    line = escape(redact(text))
    sys.stdout.flush()
    sys.stderr.write(
        (f"\x1b[{_COLOURS['dim']}m{line}\x1b[0m" if supports_colour(sys.stderr) else line) + "\n"
    )
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


def stdin_and_stdout_are_terminals() -> bool:
    """Whether a person can be asked, a line at a time."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def terminal_width() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Sequence[int] = ()
) -> None:
    """Print rows under their headers, without columns that hold nothing.

    On a terminal no line of it is broken: the widest text columns are shortened until the table fits. Not the
    first, which names the row and must be fit to be pasted: a long name stands on a line of its own. What
    fits in no way is printed as one line for each value.
    """
    table = [list(row) for row in rows]
    shown = [i for i in range(len(headers)) if any(row[i] is not None for row in table) or not table]
    cells = [[_cell_text(row[i]) for i in shown] for row in table]
    right = [place for place, i in enumerate(shown) if i in numeric]
    names = [headers[i] for i in shown]
    widths = _column_widths(names, cells, right) if sys.stdout.isatty() else [sys.maxsize] * len(names)
    if not widths:
        lines = _record_lines(names, cells)
    else:
        align = ["right" if place in right else "left" for place in range(len(shown))]
        lines = _table_lines(names, cells, align, widths)
    for line in lines:
        sys.stdout.write(line.rstrip() + "\n")


def print_readable_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As ``print_table``, for sentences: where a terminal is too narrow for it nothing is shortened.

    Each row is then its first cell, with what the others say below it, in lines that fit.
    """
    columns = [[header, *(row[i] for row in rows)] for i, header in enumerate(headers)]
    width = sum(max(map(display_width, column)) + 2 for column in columns) - 2
    if not sys.stdout.isatty() or width <= terminal_width():
        print_table(headers, rows)
        return
    for first, *others in rows:
        sys.stdout.write(_cell_text(first) + "\n")
        print_wrapped(": ".join(map(_cell_text, others)), indent=2)


def _table_lines(
    headers: Sequence[str], cells: list[list[str]], align: list[str], widths: Sequence[int]
) -> Iterator[str]:
    import tabulate  # 70 ms that a verb without a table need not pay

    tabulate.MIN_PADDING = 0  # else a narrow column is wider than its header, and a line than the terminal
    # columns, not characters, without a further package: see display_width
    vars(tabulate).update(wcwidth=SimpleNamespace(wcswidth=display_width), WIDE_CHARS_MODE=True)
    fitted = [
        [shorten_to_width(cell, width) for cell, width in zip(row, widths, strict=True)] for row in cells
    ]
    long = [row[0] if row[0] != fit[0] else "" for row, fit in zip(cells, fitted, strict=True)]
    body = [["", *fit[1:]] if name else fit for name, fit in zip(long, fitted, strict=True)]
    alignment = align if cells else None
    text = tabulate.tabulate(body, headers, tablefmt="plain", disable_numparse=True, colalign=alignment)
    for name, line in zip(["", *long], text.split("\n"), strict=True):
        yield from [name, line] if name else [line]


def _record_lines(headers: Sequence[str], cells: list[list[str]]) -> Iterator[str]:
    width = max(map(len, headers))
    for row in cells:
        yield row[0]
        room = max(_MIN_COLUMN_WIDTH, terminal_width() - width - 4)
        yield from (
            f"  {header:<{width}}  {shorten_to_width(cell, room)}"
            for header, cell in zip(headers[1:], row[1:], strict=True)
        )


def _cell_text(value: Any) -> str:
    if value is None:
        return "-"
    return escape_line(str(value))


def _column_widths(headers: Sequence[str], cells: list[list[str]], numeric: Sequence[int]) -> list[int]:
    """Columns' widths that a terminal has room for; none where there is too little for that."""
    widths = [
        max([len(header), *(display_width(row[i]) for row in cells)]) for i, header in enumerate(headers)
    ]
    floors = [
        width if i in numeric else max(_MIN_COLUMN_WIDTH, len(headers[i])) for i, width in enumerate(widths)
    ]
    over = sum(widths) + 2 * (len(headers) - 1) - terminal_width()
    while over > 0:
        places = [i for i in range(1, len(widths)) if widths[i] > floors[i]]
        if not places:
            widths[0] -= over
            return widths if widths[0] >= len(headers[0]) else []
        widths[max(places, key=widths.__getitem__)] -= 1
        over -= 1
    return widths

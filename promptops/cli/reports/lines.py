"""Lines for a terminal: wrapped, aligned, in pieces that have a colour."""

import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence

from promptops.console import StyledLine, print_styled


def plain_text(lines: Iterable[StyledLine]) -> str:
    return "\n".join("".join(text for text, _ in pieces) for pieces in lines) + "\n"


def print_lines(lines: Iterable[StyledLine]) -> None:
    for pieces in lines:
        print_styled(pieces)


def wrapped(
    text: str, width: int, colour: str = "", *, indent: int = 0, hanging: int = 0
) -> Iterator[StyledLine]:
    """``hanging``: how much further in than the first line the others begin."""
    parts = textwrap.wrap(
        text.replace("; limit ", "; limit\u00a0"),  # a number alone on a line says nothing
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_on_hyphens=False,
    )
    yield from ([(part.replace("\u00a0", " "), colour)] for part in parts or [""])


def aligned(
    headers: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()
) -> Iterator[StyledLine]:
    """``right``: the columns, counted from 0, that are set flush right."""
    table = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for index, row in enumerate(table):
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield [("  ".join(cells).rstrip(), "" if index else "dim")]

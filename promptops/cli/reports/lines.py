"""Lines for a terminal: wrapped, aligned, in pieces that have a colour."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from promptops.cli.reports.tables import Cell, ReportTable
from promptops.console import StyledLine, print_styled
from promptops.display_width import display_width, pad_left, pad_right, shorten_to_width
from promptops.escapes import escape_line

_TONES = {"": "", "good": "green", "bad": "red"}


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
        text.replace("; limit ", "; limit\u00a0").replace(" %", "\u00a0%"),  # a number alone says nothing
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_on_hyphens=False,
    )
    yield from ([(part.replace("\u00a0", " "), colour)] for part in parts or [""])


def table_lines(table: ReportTable, width: int) -> Iterator[StyledLine]:
    """As many columns as there is room for; a name that is too long has a line of its own."""
    body = [[_cell_text(cell) for cell in row] for row in table.rows]
    widths = _column_widths(table, body, width)
    rest = sum(widths) + 2 * len(widths)
    names = [table.headers[0].text, *(row[0] for row in body)]
    first = max((size for name in names if (size := display_width(name)) + rest <= width), default=0)
    if any(cell.kind for cell in table.headers):
        yield _table_line("", [cell.kind for cell in table.headers[1:]], table, widths, first)
    heads = [cell.text if cell.code else cell.text.upper() for cell in table.headers]
    yield _table_line(heads[0][:first], heads[1:], table, widths, first)
    for row, texts in zip(table.rows, body, strict=True):
        tones = [_TONES[cell.tone] for cell in row[1:]]
        is_long = display_width(texts[0]) > first
        if is_long:
            yield [(shorten_to_width(texts[0], width), "bold")]
        name = "" if is_long else texts[0]
        yield _table_line(name, texts[1:], table, widths, first, tones)
    if table.more:
        yield [(table.more, "dim")]


def _cell_text(cell: Cell) -> str:
    text = escape_line(f"{cell.kind} {cell.text}")
    return f"{text} ({cell.note})" if cell.note else text


def _column_widths(table: ReportTable, body: Sequence[Sequence[str]], width: int) -> list[int]:
    """Of the columns after the first that have room; names in the header share what is left."""
    heads = table.headers[1:]
    cells = [max((display_width(row[place + 1]) for row in body), default=0) for place in range(len(heads))]
    widths = [
        max(cell, len(head.kind), 0 if head.code else len(head.text))
        for cell, head in zip(cells, heads, strict=True)
    ]
    while len(widths) > 1 and sum(widths) + 2 * len(widths) > width:
        widths.pop()
    names = [place for place, head in enumerate(heads[: len(widths)]) if head.code]
    first = max((display_width(row[0]) for row in body), default=0)
    spare = max(0, width - first - sum(widths) - 2 * len(widths))
    for place in names:
        widths[place] = min(max(widths[place], len(heads[place].text)), widths[place] + spare // len(names))
    return widths


def _table_line(
    name: str,
    texts: Sequence[str],
    table: ReportTable,
    widths: Sequence[int],
    first: int,
    tones: Sequence[str] = (),
) -> StyledLine:
    """A header where there are no ``tones``."""
    pieces = [(pad_right(name, first), "" if tones else "dim")]
    for place, (text, width) in enumerate(zip(texts, widths, strict=False)):
        cell = shorten_to_width(escape_line(text), width)
        aligned = pad_right(cell, width) if place + 1 in table.words else pad_left(cell, width)
        pieces.append((f"  {aligned}", tones[place] if tones else "dim"))
    while len(pieces) > 1 and not pieces[-1][0].strip():
        pieces.pop()
    return [*pieces[:-1], (pieces[-1][0].rstrip(), pieces[-1][1])]

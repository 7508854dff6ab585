"""Texts side by side in a terminal, each wrapped to the width of its column, in pieces that have a colour."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from promptops.console import StyledLine
from promptops.display_width import display_width, split_at_width

_TOKENS = re.compile(r"\n|[^\S\n]+|\S+")
_BETWEEN = " │ "


def wrap_pieces(pieces: Iterable[tuple[str, str]], width: int) -> list[StyledLine]:
    """Lines of at most so many columns. A wider word is broken; spaces at the start of a line stay."""
    lines: list[list[tuple[str, str]]] = [[]]
    room, after_break = width, False
    for text, colour in _tokens(pieces):
        if text == "\n":
            lines.append([])
            room, after_break = width, False
            continue
        if display_width(text) > room and room < width:
            lines.append([])
            room, after_break = width, True
        if text.isspace() and (after_break and room == width):
            continue  # between the lines
        rest = text
        while display_width(rest) > room:
            head, rest = split_at_width(rest, room)
            lines[-1].append((head, colour))
            lines.append([])
            room, after_break = width, True
        if rest:
            lines[-1].append((rest, colour))
            room -= display_width(rest)
    return [*lines]


def _tokens(pieces: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for text, colour in pieces:
        for token in _TOKENS.findall(text.replace("\r\n", "\n").replace("\t", "    ")):
            yield token, colour


def _without_end(line: Sequence[tuple[str, str]]) -> StyledLine:
    """A line whose last column is empty, without the space at its end."""
    return [*line[:-1], (line[-1][0].rstrip(), line[-1][1])]


def column_width(width: int, count: int, *, indent: int) -> int:
    """What each of so many columns has."""
    return (width - indent - len(_BETWEEN) * (count - 1)) // count


def side_by_side(columns: Sequence[Sequence[StyledLine]], width: int, *, indent: int) -> Iterator[StyledLine]:
    """Lines of columns that are each so wide; the last is not filled up."""
    for row in zip_longest(*columns, fillvalue=()):
        line: list[tuple[str, str]] = [(" " * indent, "")]
        for place, cell in enumerate(row):
            if place:
                line.append((_BETWEEN, "dim"))
            line += cell
            if place + 1 < len(row):
                line.append((" " * (width - sum(display_width(text) for text, _ in cell)), ""))
        yield line if row[-1] else _without_end(line)

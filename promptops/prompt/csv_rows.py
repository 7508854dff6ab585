"""Rows of a CSV file as spreadsheets write them: whichever encoding, separator and line ending."""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from promptops.config.text import encoding_name, wide_encoding
from promptops.errors import Invalid
from promptops.log import PackageLogger

MAX_CELL = 10_000_000  # characters
MAX_UTF16 = 100_000_000  # bytes: lines of UTF-16 cannot be found before it is decoded
_SEPARATORS = ",;\t"
_SEPARATOR_LINE = re.compile(rf"(\"?)sep=([{_SEPARATORS}|])\1\2*[\r\n]*", re.IGNORECASE)
_UNSEEN = " \t\r\n\xa0\u200b\u2060\ufeff"  # around a column's name
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")  # str.splitlines breaks lines at U+2028 and others
_LOG = PackageLogger("promptops.prompt")
CsvRow = tuple[int, Mapping[str, str]]
"""The line on which a row begins, from 1, and its cells by column."""


def is_csv(path: str) -> bool:
    return path.lower().endswith((".csv", ".tsv"))


def read_csv_rows(path: str, lines: Iterable[bytes]) -> Iterator[CsvRow]:
    """Blank rows are passed over. Cells that are missing at the end of a row are empty, with a warning.

    Raises Invalid, naming the line, for what is not a table.
    """
    csv.field_size_limit(MAX_CELL)
    texts = _decode_lines(path, lines)
    first, skipped, named = next(texts, ""), 0, None
    while first and ((found := _SEPARATOR_LINE.fullmatch(first)) or not first.strip()):
        named = named or found  # Excel reads such a line, and others write it for Excel
        first, skipped = next(texts, ""), skipped + 1
    separator = named[2] if named else _separator(path, first)
    rows = csv.reader(chain([first], texts), delimiter=separator, strict=True)
    try:
        header = _columns(f"{path}:{skipped + 1}", [name.strip(_UNSEEN) for name in next(rows, [])])
        begin, short = skipped + rows.line_num + 1, []
        for row in rows:
            if any(cell.strip() for cell in row):
                if len(row) < len(header):
                    short.append(begin)
                cells = _cells(row, len(header), f"{path}:{begin}", separator)
                yield begin, dict(zip(header, cells, strict=True))
            begin = skipped + rows.line_num + 1
        _warn_of_short_rows(path, short)
    except csv.Error as error:
        hint = "quote fields that hold quotes"
        raise Invalid(f"{path}:{skipped + rows.line_num}: {error}", hint=hint) from None


def _decode_lines(path: str, lines: Iterable[bytes]) -> Iterator[str]:
    lines = iter(lines)
    first, second = next(lines, b""), next(lines, b"")
    if encoding := wide_encoding(first, second):
        yield from _LINE.findall(_decode_wide(path, chain([first, second], lines), encoding))
        return
    for number, line in enumerate(chain([first.removeprefix(codecs.BOM_UTF8), second], lines), 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            hint = "save the file as UTF-8"
            raise Invalid(f"{path}:{number}: not UTF-8: {error.reason}", hint=hint) from None
        yield from _LINE.findall(text)


def _decode_wide(path: str, lines: Iterable[bytes], encoding: str) -> str:
    data = bytearray()
    for line in lines:
        data += line
        if len(data) > MAX_UTF16:
            more = f"more than {MAX_UTF16:,} bytes of {encoding_name(encoding)}"
            raise Invalid(f"{path}: {more}", hint="save the file as UTF-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"not {encoding_name(encoding)}: {error.reason}"
        raise Invalid(f"{path}: {what}", hint="save the file as UTF-8") from None


def _separator(path: str, header: str) -> str:
    """The one that the first line has most of outside quotes; a comma unless another has more.

    In a file that is called .tsv a tab, where there is one.
    """
    plain = "".join(header.split('"')[::2])
    if "\t" in plain and path.lower().endswith(".tsv"):
        return "\t"
    return max(_SEPARATORS, key=plain.count)


def _columns(where: str, names: list[str]) -> list[str]:
    width = next((number for number in range(len(names), 0, -1) if names[number - 1]), 0)
    names = names[:width]  # without those that a spreadsheet leaves empty
    places: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        first = places.setdefault(name, number)
        if first < number:
            message = f"the columns {first} and {number} are both named `{name}`"
            raise Invalid(f"{where}: {message}", hint="give one of them another name")
        if not name:
            raise Invalid(f"{where}: column {number} has no name", hint="name it, or delete the column")
    return names


def _cells(row: list[str], width: int, where: str, separator: str) -> list[str]:
    if any(cell.strip() for cell in row[width:]):
        shown = "a tab" if separator == "\t" else f"`{separator}`"
        hint = f'they are separated by {shown}: write one that holds {shown} as "…", without blanks around'
        raise Invalid(f"{where}: {len(row)} fields where the header has {width}", hint=hint)
    return row[:width] + [""] * (width - len(row))


def _warn_of_short_rows(path: str, lines: Sequence[int]) -> None:
    """Excel leaves out separators behind the last cell that holds something; so does a cell that is cut."""
    if lines:
        rows = f"the row on line {lines[0]} has" if len(lines) == 1 else f"{len(lines):,} rows have"
        first = "" if len(lines) == 1 else f", the first on line {lines[0]}"
        _LOG.warning(
            f"{path}: {rows} fewer fields than the header{first}: the missing ones are taken as empty"
        )

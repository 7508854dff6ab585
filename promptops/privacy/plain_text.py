"""Texts as values are looked for in them.

Digits, spaces and dashes of all scripts are those of ASCII, and escapes of JSON, of addresses and of HTML the
characters that they stand for.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from promptops.dataclass import dataclass
from promptops.escapes import INVISIBLE

_SPACES = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_DASHES = "\u2010-\u2015\u2212\ufe58\ufe63"
_FULL_WIDTH = "\uff01-\uff5e"
_FULL_WIDTH_OFFSET = 0xFEE0
# Arabic, Persian, N'Ko, India's, Thai, Lao, Tibetan, Burmese, Khmer, Mongolian, Javanese, mathematical
_ZEROS = (
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20,
    0x1040, 0x17E0, 0x1810, 0xA9D0, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6,
)  # fmt: skip
_DIGITS = "".join(f"{chr(zero)}-{chr(zero + 9)}" for zero in _ZEROS)
_FOLDED = re.compile(f"[{_SPACES}{_DASHES}{_FULL_WIDTH}{_DIGITS}{INVISIBLE}]")
# begins with a set of characters, so that it is tried at these alone; an escape may itself be escaped
_ESCAPED = re.compile(
    rf"[\\%&{_SPACES}{_DASHES}{_FULL_WIDTH}{_DIGITS}{INVISIBLE}]"
    r"(?:(?<=\\)\\{0,7}+(?:u[0-9A-Fa-f]{4}|[nrt])"
    r"|(?<=%)(?:25){0,4}(?:[Cc]2%(?:25){0,4}[Aa]0|[2-7][0-9A-Fa-f]|0[AaDd9])"
    r"|(?<=&)(?:amp;){0,4}(?:#[0-9]{1,6}|#[xX][0-9A-Fa-f]{1,5}|[A-Za-z]{2,8});"
    r"|(?<![\\%&]))"
)
_PLUS = re.compile(r"(?<=[0-9A-Za-z])\+(?=[0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text that differs from what was written, and where each part of it was written."""

    text: str
    starts: tuple[int, ...]  # of parts of the same offset
    offsets: tuple[int, ...]

    def written_at(self, position: int) -> int:
        return position + self.offsets[bisect_right(self.starts, position) - 1]


def written_plainly(text: str) -> PlainText | None:
    """None where it is what was written."""
    escaped = "%" in text or "\\" in text or "&" in text
    if not escaped and text.isascii():
        return None
    pieces, starts, offsets = [], [0], [0]
    end = length = 0
    for found in (_ESCAPED if escaped else _FOLDED).finditer(text):
        start, stop = found.span()
        plain = _plain_character(found[0])
        if plain == found[0]:
            continue
        length += start - end + len(plain)
        pieces += [text[end:start], plain]
        starts.append(length)
        offsets.append(stop - length)
        end = stop
    if not pieces:
        return None
    plain = "".join([*pieces, text[end:]])
    if "%" in text:
        plain = _PLUS.sub(" ", plain)  # a space, as forms are sent
    return PlainText(plain, tuple(starts), tuple(offsets))


def _plain_character(written: str) -> str:
    if len(written) > 1:
        written = _unescaped(written)
    if not _FOLDED.fullmatch(written):
        return written
    if written.isdigit():
        return str(unicodedata.digit(written))
    if written in "\u2028\u2029":
        return "\n"
    category = unicodedata.category(written)
    if category in ("Zs", "Pd") or written == "\u2212":
        return " " if category == "Zs" else "-"
    code = ord(written) - _FULL_WIDTH_OFFSET
    return chr(code) if 0 < code < 0x7F else ""  # what is not seen is left out


def _unescaped(written: str) -> str:
    kind = written[0]
    if kind == "%":
        code = int(written[-2:], 16)
        return chr(code)
    if kind == "&":
        plain = unescape(f"&{written.removeprefix('&').replace('amp;', '')}")
        return plain if len(plain) == 1 else written
    letter = written.lstrip("\\")
    return chr(int(letter[1:], 16)) if letter[0] == "u" else {"n": "\n", "r": "\r", "t": "\t"}[letter]


class TextShape(NamedTuple):
    """What a text may hold, seen in a few passes that take a nanosecond a character."""

    long_number: bool  # seven digits with nothing but separators between them
    country_code: bool  # two letters and two digits
    dotted: bool  # four numbers with dots between them


def _table(**classes: str) -> bytes:
    table = bytearray(b"#" * 256)
    for name, members in classes.items():
        for member in members:
            table[ord(member)] = ord(name)
    return bytes(table)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DOTTED = re.compile(rb"0\.0{1,3}\.0{1,3}\.0")
_CLASSES = _table(**{"0": "0123456789", "A": _LETTERS, ".": ".", " ": " \t\r\n()/-"})


@lru_cache(maxsize=1)
def text_shape(text: str) -> TextShape:
    """Asked by several kinds of each text, one after another."""
    shape = text.encode("utf-8", "surrogatepass").translate(_CLASSES)
    row = b"0000000" in shape.translate(None, b" .")
    return TextShape(row, b"AA00" in shape, _DOTTED.search(shape) is not None)


_ROWS = re.compile(r"[0-9]++(?:[\s()./+-]{1,4}[0-9]++)*+")
_SHORTEST_ROW = 7  # digits of the shortest number that is looked for


@lru_cache(maxsize=1)
def number_rows(text: str) -> Sequence[tuple[int, int]]:
    """Where digits begin and end that only separators stand between, if they may be a number."""
    if not text_shape(text).long_number:
        return ()
    spans = (found.span() for found in _ROWS.finditer(text))
    return [(start, end) for start, end in spans if end - start >= _SHORTEST_ROW]

"""Texts as values are looked for in them.

Digits, spaces and dashes of all scripts are those of ASCII, and escapes of JSON, of addresses and of HTML the
characters that they stand for.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import unescape
from typing import NamedTuple

from promptops.dataclass import dataclass
from promptops.escapes import INVISIBLE

_DATA_MARK = "\u02c6"  # between words of an input with `datamark`, which a model may repeat
_SPACES = _DATA_MARK + "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
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
_ASCII = bytes(range(128))
_FEW = 32
_PLUS = re.compile(r"(?<=[0-9A-Za-z])\+(?=[0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text that differs from what was written, and where each part of it was written."""

    text: str
    starts: tuple[int, ...]  # of parts of the same offset
    offsets: tuple[int, ...]

    def written_at(self, position: int) -> int:
        return position + self.offsets[bisect_right(self.starts, position) - 1]


@lru_cache(maxsize=8)
def beyond_ascii(text: str) -> str:
    """The characters of a text that are not ASCII, each once: mostly few, and quicker to look through."""
    rest = text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
    found = ""
    while rest and len(found) < _FEW:
        found += rest[0]
        rest = rest.replace(rest[0], "")
    return found + "".join(dict.fromkeys(rest))


def exchange_characters(text: str, others: Mapping[str, str]) -> str:
    """As ``str.translate``, which takes 50 times as long where few are exchanged; none may become another."""
    if len(others) > _FEW:
        return text.translate({ord(each): other for each, other in others.items()})
    for character, other in others.items():
        text = text.replace(character, other)
    return text


def plain_letters(text: str) -> dict[str, str]:
    """What takes the place of characters of the text that are not ASCII: "" for those that nobody sees."""
    return {each: _plain_character(each) for each in _FOLDED.findall(beyond_ascii(text))}


def may_hold_escapes(text: str) -> bool:
    return "%" in text or "\\" in text or "&" in text


@lru_cache(maxsize=4)
def written_plainly(text: str) -> PlainText | None:
    """None where it is what was written. Asked by several checks of each text, one after another."""
    escaped = may_hold_escapes(text)
    if not escaped:
        others = plain_letters(text)
        if not others:
            return None
        if all(len(plain) == 1 for plain in others.values()):
            return PlainText(exchange_characters(text, others), (0,), (0,))
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
    if written == _DATA_MARK:
        return " "
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
    """Where a text may hold values, seen in a few passes that take a nanosecond a character."""

    number_rows: Sequence[
        tuple[int, int]
    ]  # of seven digits or more, with nothing but separators between them
    country_codes: Sequence[int]  # where two letters and two digits begin
    dotted: bool  # four numbers with dots between them
    digits: bool = True


def _table(**classes: str) -> bytes:
    table = bytearray(b"#" * 256)
    for name, members in classes.items():
        for member in members:
            table[ord(member)] = ord(name)
    return bytes(table)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SEPARATORS = " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0()/+_-"
_CLASSES = _table(**{"0": "0123456789", "A": _LETTERS, ".": ".", " ": _SEPARATORS})
_WIDE_SPACES = re.compile(f"[{_SPACES}]")
# each begins with a character that is looked for at once
_ROWS = re.compile(rb"0(?<!00)0*+(?:[ .]{1,4}+0++)*+(?<=[0 .]{7})")
_DOTTED = re.compile(rb"0\.0{1,3}\.0{1,3}\.0")
_SHORTEST_ROW = 7  # digits of the shortest number that is looked for
_NO_DIGITS = TextShape((), (), dotted=False, digits=False)


@lru_cache(maxsize=4)
def text_shape(text: str) -> TextShape:
    """Asked by several kinds of each text, one after another."""
    classes = _one_byte_each(text).translate(_CLASSES)
    return _shape_of_numbers(classes) if b"0" in classes else _NO_DIGITS


def _one_byte_each(text: str) -> bytes:
    letters = beyond_ascii(text)
    spaces = dict.fromkeys(_WIDE_SPACES.findall(letters), " ") if letters else {}
    return exchange_characters(text, spaces).encode("latin-1", "replace")


def _shape_of_numbers(classes: bytes) -> TextShape:
    spans = [found.span() for found in _ROWS.finditer(classes)]
    rows = [span for span in spans if classes.count(b"0", *span) >= _SHORTEST_ROW]
    return TextShape(rows, list(_country_codes(classes)), _DOTTED.search(classes) is not None)


def _country_codes(classes: bytes) -> Iterator[int]:
    for form in (b"AA00", b"AA 00"):
        at = classes.find(form)
        while at >= 0:
            yield at
            at = classes.find(form, at + len(form))

r"""Escapes of JSON in a text undone: also in a code fence, and in JSON within JSON, ``\u0065`` is a letter.

What a value of JSON holds is read as JSON; this is for JSON that stands in a text, or is none as a whole.
"""

import re
from collections.abc import Sequence

from promptops.checks.types import Found

_RUN = r"(?<!\\)\\+"  # JSON within JSON has its backslashes twice; each run of them is looked at once
_HIGH = rf"{_RUN}u([dD][89abAB][0-9a-fA-F]{{2}})"
_ESCAPE = re.compile(rf"{_HIGH}\\+u([dD][c-fC-F][0-9a-fA-F]{{2}})|{_RUN}u([0-9a-fA-F]{{4}})|{_RUN}/")
_UNFINISHED = re.compile(rf"{_HIGH}(?:\\+(?:u[0-9a-fA-F]{{0,3}})?)?\Z|{_RUN}(?:u[0-9a-fA-F]{{0,3}})?\Z")
_SURROGATES = range(0xD800, 0xE000)


class UnescapedText:
    """``text`` is what was written with its escapes undone."""

    def __init__(self, written: str) -> None:
        pieces: list[str] = []
        self._starts: list[int] = []  # of each character, in what was written
        end = 0
        for found in _ESCAPE.finditer(written):
            pieces += [written[end : found.start()], _meant(found)]
            self._starts += range(end, found.start())
            self._starts += [found.start()] * len(pieces[-1])
            end = found.end()
        pieces.append(written[end:])
        self._starts += range(end, len(written) + 1)
        self.text = "".join(pieces)

    def written_at(self, place: int) -> int:
        """Where what stands at a place of ``text`` begins in what was written."""
        return self._starts[place]

    def written_spans(self, spans: Sequence[Found]) -> list[Found]:
        return [(self._starts[start], self._starts[end], name) for start, end, name in spans]


def has_escapes(text: str) -> bool:
    return "\\" in text and _ESCAPE.search(text) is not None


def unfinished_escape(text: str) -> int:
    """Where what may become an escape begins; the end of the text where nothing may."""
    found = _UNFINISHED.search(text) if "\\" in text else None
    return len(text) if found is None else found.start()


def _meant(found: re.Match[str]) -> str:
    high, low, code = found.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if code is None:
        return "/"
    letter = int(code, 16)
    return found[0] if letter in _SURROGATES else chr(letter)  # half a character is none

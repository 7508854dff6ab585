"""Texts as they are compared, by letters and digits alone: case, spaces, marks and look-alikes hide nothing.

Each character is folded by itself. So what a text folds to is what its parts fold to, one after another, and
a place in the folded text leads back to one in the text.
"""

import re
import unicodedata
from functools import lru_cache

from promptops.privacy.plain_text import beyond_ascii, exchange_characters

_NO_LETTERS = re.compile(r"[\W_\u02c6]+")  # with the mark of `datamark` between words
_DROPPED = bytes(code for code in range(128) if not chr(code).isalnum())
_IN_LOWER_CASE = bytes(range(256)).lower()
# Letters of other scripts that are drawn as Latin ones are
_DRAWN_ALIKE = (
    "\u0430\u0432\u0435\u0437\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456\u0458\u0501\u051b\u051d"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9\u0131\u0261\u0274\u0280"
)
_LOOK_ALIKES = str.maketrans(_DRAWN_ALIKE, "abe3kmhopctyxsijdqwabeikvoptuxwignr")
_LOOKS_ALIKE = re.compile(f"[{_DRAWN_ALIKE}]")
_MIXED = re.compile(f"[a-z][{_DRAWN_ALIKE}]|[{_DRAWN_ALIKE}][a-z]")


@lru_cache(maxsize=2)
def fold(text: str) -> str:
    """The letters and digits of a text, in lower case, without accents, look-alikes as Latin letters.

    Several checks ask it of the same text.
    """
    if letters := beyond_ascii(text):
        folded = {letter: _fold_one(letter) for letter in letters}
        text = exchange_characters(text, {one: other for one, other in folded.items() if one != other})
    written = text.encode("utf-8", "surrogatepass").translate(_IN_LOWER_CASE, _DROPPED)
    return written.decode("utf-8", "surrogatepass")


def places(text: str) -> list[int]:
    """For each character of the folded text, where it stands in the text."""
    return [place for place, letter in enumerate(text) for _ in _fold_one(letter)]


@lru_cache(maxsize=4096)
def _fold_one(letter: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    return _NO_LETTERS.sub("", plain).translate(_LOOK_ALIKES)


def mixes_look_alikes(text: str) -> bool:
    """Whether a letter of another script stands beside one of Latin that it looks like, in lower case."""
    return _LOOKS_ALIKE.search(beyond_ascii(text)) is not None and _MIXED.search(text) is not None


def fold_look_alikes(text: str) -> str:
    """A text in lower case in which look-alikes are Latin letters; all else stays."""
    return text.translate(_LOOK_ALIKES)

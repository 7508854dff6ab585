"""Rules on the letters of a file: line endings, and characters that show a reviewer another text."""

import re
from collections.abc import Iterator

from promptops.config.text import Position, Problem, find_position

_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_FLAG = re.compile(  # of a part of a country, such as Scotland: a black flag, its code in tags, an end
    "\U0001f3f4[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,3}\U000e007f"
)
_NAMES = {
    "\u202a": "left-to-right embedding",
    "\u202b": "right-to-left embedding",
    "\u202c": "pop directional formatting",
    "\u202d": "left-to-right override",
    "\u202e": "right-to-left override",
    "\u2066": "left-to-right isolate",
    "\u2067": "right-to-left isolate",
    "\u2068": "first strong isolate",
    "\u2069": "pop directional isolate",
}


def crlf(path: str, text: str) -> Iterator[Problem]:
    if "\r\n" in text:
        line = text.count("\n", 0, text.index("\r\n")) + 1
        message = "lines end with CRLF; the version counts them as LF, and diffs do not"
        yield Problem("", message, path, Position(line, 1), "promptops lint --fix")


def hidden_characters(path: str, text: str) -> Iterator[Problem]:
    """One finding a line."""
    last = 0
    shown = text if text.isascii() else _FLAG.sub(lambda flag: "-" * len(flag[0]), text)
    for found in _HIDDEN.finditer(shown) if not text.isascii() else ():
        position = find_position(text, found.start())
        if position.line == last:
            continue
        last = position.line
        name = _NAMES.get(found[0], "invisible tag")
        code = f"U+{ord(found[0]):04X}"
        message = f"the hidden character {code} ({name}): the text reads otherwise than it shows"
        yield Problem("", message, path, position, "remove it")

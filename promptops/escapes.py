"""Text from outside as a terminal may see it: nothing in it is obeyed, and not more than fits."""

import re

# Control characters, marks that turn the direction of writing round, and separators taken for new lines.
_HIDDEN = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
"""Of a set in a regular expression: zero-width, bidirectional controls, tags, soft hyphens."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = r"[-+]?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?"
_CONTROL_CHARACTERS = rf"[\x00-\x08\x0b-\x1f{_HIDDEN}]"
_HIDDEN_IN_JSON = rf"[{_HIDDEN}]"  # JSON escapes the lower ones itself


def escape(text: str) -> str:
    """Control and bidirectional characters and lone surrogates as escapes; tabs and line feeds stay."""
    if text.replace("\n", "").isprintable():  # as most are, and then nothing is compiled
        return text
    return re.sub(_CONTROL_CHARACTERS, lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_json(text: str) -> str:
    """JSON of the same meaning in which a terminal finds nothing to obey."""
    if text.isascii() and "\x7f" not in text:
        return text
    return re.sub(_HIDDEN_IN_JSON, lambda found: f"\\u{ord(found[0]):04x}", text)


def escape_formula(text: str) -> str:
    """A cell of CSV: what a spreadsheet would run begins with an apostrophe, which makes it a text there.

    As https://owasp.org/www-community/attacks/CSV_Injection advises.
    """
    text = text.replace("\0", "\\x00")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not re.fullmatch(_NUMBER, text) else text


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, the last an ellipsis where there were more."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


def escape_line(text: str, limit: int | None = None) -> str:
    """The text on one line, shortened to ``limit`` characters."""
    line = " ".join(escape(text).split())
    return line if limit is None else shorten(line, limit)

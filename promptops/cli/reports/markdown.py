"""Text that stays text in a comment: code spans and fences longer than any backticks in them.

GitHub makes mentions, issue links and addresses out of text wherever it stands, escaped or not, but
never inside code. So whatever is not a plain word goes into a code span or a fence.
"""

import re
from itertools import groupby

_PLAIN = re.compile(  # a word, a number or an arrow
    r"[(\"]*[^\W_]*(?:['\u2019.,\u2013/%-][^\W_]+)*%?[)\"]?[.,;:!?]*|"
    r"[\u2212+\u00b1×→–-]?[\d.,]+%?[.,;:)]?|->|[→–×%]"
)
_AUTOLINKED = re.compile(r"[0-9a-f]{7,40}|gh-\d+|www\..*", re.IGNORECASE)  # what GitHub makes links of


def code_span(line: str) -> str:
    """A code span of one line, whatever backticks it holds."""
    mark = fence_for(line, 1)
    space = " " if line[:1] in ("`", "") or line[-1:] == "`" else ""
    return f"{mark}{space}{line}{space}{mark}"


def fence_for(text: str, least: int = 3) -> str:
    """Backticks that nothing in the text can close."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def escape_prose(line: str) -> str:
    """One line: words as they are, all else in code spans."""
    runs = groupby(line.split(" "), key=_is_plain)
    return " ".join(" ".join(words) if plain else _in_code_span(" ".join(words)) for plain, words in runs)


def _is_plain(word: str) -> bool:
    bare = word.strip('().,;:!?"')
    return bool(_PLAIN.fullmatch(word)) and not _AUTOLINKED.fullmatch(bare)


def _in_code_span(words: str) -> str:
    """A code span, without the sign that ends a clause."""
    bare = words.rstrip(".,;:")
    marked = re.fullmatch("`[^`]+`", bare)  # by whoever wrote it
    return (bare if marked else code_span(bare)) + words[len(bare) :] if bare else words

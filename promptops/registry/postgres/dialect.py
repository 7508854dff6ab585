"""The SQL of the queries, as PostgreSQL understands it.

The queries are written in what SQLite and PostgreSQL share; what is left differs in words only, and is
changed word by word. What differs in more is a function of the schema (compatibility.py), or the query's own.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""
      (?P<literal>'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]*)
    | (?P<numbered>\?\d+)
    | (?P<bare>\?)
    | (?P<cast>::)
    | (?P<named>:[a-z_]\w*)
    | (?P<space>\s+)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_IS = {"NULL", "TRUE", "FALSE", "UNKNOWN", "DISTINCT", "NOT"}
_ENDS_JOIN = {
    "JOIN",
    "WHERE",
    "GROUP",
    "ORDER",
    "LIMIT",
    "LEFT",
    "CROSS",
    "UNION",
    "INNER",
    "WINDOW",
    "HAVING",
}
_WORDS = {"LIKE": "ILIKE", "GLOB": "=~~", "temp": "pg_temp"}  # SQLite's LIKE does not tell a from A

Tokens = list[tuple[str, str]]


@lru_cache(maxsize=2_048)
def translate(sql: str) -> tuple[str, tuple[str, ...]]:
    """The statement with `$1`, and the names of its parameters in their order, where they have names."""
    tokens = [(str(found.lastgroup), found.group()) for found in _TOKEN.finditer(sql)]
    names: list[str] = []
    count = 0
    text: list[str] = []
    position = 0
    while position < len(tokens):
        kind, token = tokens[position]
        position += 1
        if kind == "bare":
            count += 1
            text.append(f"${count}")
        elif kind == "numbered":
            count = max(count, int(token[1:]))
            text.append(f"${token[1:]}")
        elif kind == "named":
            if token[1:] not in names:
                names.append(token[1:])
            text.append(f"${names.index(token[1:]) + 1}")
        elif kind == "word":
            word, position = _word(tokens, token, position)
            text.append(word)
        else:
            text.append(token)
    return "".join(text), tuple(names)


def in_order(names: tuple[str, ...], values: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    return [values[name] for name in names] if isinstance(values, Mapping) else values


def _word(tokens: Tokens, word: str, position: int) -> tuple[str, int]:  # noqa: PLR0911 - a table
    """What stands for a word and those that belong to it, and where it goes on."""
    if word == "IS":
        return _is(tokens, position)
    if word == "CROSS" and _has_condition(tokens, position):
        return "", position
    if word == "INDEXED":  # INDEXED BY name
        return "", _skip(tokens, _skip(tokens, position, "BY"))
    if word == "NOT" and _next(tokens, position) == "INDEXED":
        return "", _skip(tokens, position)
    if word == "char" and _next(tokens, position) == "(":
        return "chr", position
    if word == "temp" and _next(tokens, position) != ".":
        return word, position
    return _WORDS.get(word, word), position


def _is(tokens: Tokens, position: int) -> tuple[str, int]:
    following, negated = _next(tokens, position), False
    if following == "NOT":
        negated = True
        after = _skip(tokens, position)
        following = _next(tokens, after)
        if following in _AFTER_IS:
            return "IS", position
        position = after
    if following in _AFTER_IS:
        return "IS", position
    return ("IS DISTINCT FROM" if negated else "IS NOT DISTINCT FROM"), position


def _has_condition(tokens: Tokens, position: int) -> bool:
    """Whether a CROSS JOIN, which PostgreSQL knows without a condition only, has one."""
    depth = 0
    for _, word in tokens[_skip(tokens, position) :]:
        depth += (word == "(") - (word == ")")
        if depth < 0 or (depth == 0 and word in _ENDS_JOIN):
            return False
        if depth == 0 and word in ("ON", "USING"):
            return True
    return False


def _next(tokens: Tokens, position: int) -> str:
    return next((token for kind, token in tokens[position:] if kind != "space"), "")


def _skip(tokens: Tokens, position: int, word: str | None = None) -> int:
    """After the next word, if it is this one."""
    while position < len(tokens) and tokens[position][0] == "space":
        position += 1
    if position < len(tokens) and (word is None or tokens[position][1] == word):
        position += 1
    return position

"""What stands in code as it is written: literals, and names for what is known when the code runs alone."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from promptops.dataclass import dataclass
from promptops.escapes import shorten

MAX_CALLS = 1_000  # of a file
MAX_VALUES = 20_000  # of a call; a constant counts where it is used
MAX_DEPTH = 50  # of what is read of a call
MAX_SOURCE = 80  # characters of an expression that is shown
PROMPT_ID = "pmpt_"
CALL_VERBS = ("create", "parse", "stream")  # of a client's responses and completions
ID_KEYS = ("id", "prompt_id", "promptId")
_HOLE = "\0"  # in the place of an expression
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Expression:
    """Code in the place of a value: what it gives is known when it runs."""

    source: str
    line: int

    @classmethod
    def of(cls, source: str, line: int) -> "Expression":
        return cls(shorten(" ".join(source[: 4 * MAX_SOURCE].split()), MAX_SOURCE), line)

    @property
    def name(self) -> str:
        """The last word of a name such as `request.body.text` or `*text`; nothing for more than a name."""
        words = self.source.lstrip("*.").split(".")
        return words[-1] if all(map(_WORD.fullmatch, words)) else ""


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text with expressions in it: an f-string, a template literal, texts joined by `+`."""

    parts: tuple[str | Expression, ...]
    line: int

    @property
    def expressions(self) -> list[Expression]:
        return [part for part in self.parts if isinstance(part, Expression)]


Value = Any
"""JSON data that may hold Expressions and Pieces."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is made of. ``api`` is "" where only the object is seen, not where it is sent."""

    line: int
    body: Mapping[str, Value]
    api: str = ""  # "responses" or "chat"


def joined(parts: list[Value], line: int) -> Value:
    """One text out of several; an expression where one of them is neither a text nor an expression."""
    flat: list[str | Expression] = []
    for part in parts:
        for piece in part.parts if isinstance(part, Pieces) else (part,):
            if isinstance(piece, str) and flat and isinstance(flat[-1], str):
                flat[-1] += piece
            elif isinstance(piece, str | Expression):
                flat.append(piece)
            else:
                return Expression.of(f"{piece} + …", line)
    if all(isinstance(piece, str) for piece in flat):
        return "".join(map(str, flat))
    if len(flat) == 1:
        return flat[0]
    return Pieces(tuple(flat), line)


def changed(value: "str | Pieces", change: Callable[[str], str]) -> Value:
    """What a method such as `.strip()` leaves of a text, whatever its expressions give."""
    if isinstance(value, str):
        return change(value)
    texts = "".join(part if isinstance(part, str) else _HOLE for part in value.parts)
    if texts.count(_HOLE) != len(value.expressions):
        return Expression.of(str(plain_data(value)), value.line)
    pieces: list[Value] = []
    for text, expression in zip_longest(change(texts).split(_HOLE), value.expressions):
        pieces += [text, *([expression] if expression else [])]
    return joined([piece for piece in pieces if piece != ""], value.line)


def expressions_in(value: Value) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, Pieces):
        yield from value.expressions
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from expressions_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions_in(item)


def prompt_of(body: Value) -> tuple[str, Mapping[str, Value]] | None:
    """The id of a reusable prompt and the object that has it, if a request or object is one."""
    if not isinstance(body, Mapping):
        return None
    for holder in (body.get("prompt"), body):
        if isinstance(holder, Mapping):
            for key in ID_KEYS:
                if isinstance(holder.get(key), str) and holder[key].startswith(PROMPT_ID):
                    return holder[key], holder
    return None


def plain_data(value: Value) -> Any:
    """JSON data of a value, in which expressions are their source."""
    if isinstance(value, Expression):
        return f"${{{value.source}}}"
    if isinstance(value, Pieces):
        return "".join(str(plain_data(part)) for part in value.parts)
    if isinstance(value, Mapping):
        return {key: plain_data(item) for key, item in value.items()}
    return [plain_data(item) for item in value] if isinstance(value, list) else value

"""A Jinja2 template in its parts, each with its place: texts, values that are printed, and all other tags."""

from collections.abc import Iterator
from typing import Literal

from jinja2 import Environment
from jinja2.exceptions import TemplateSyntaxError

from promptops.dataclass import dataclass

Kind = Literal["text", "value", "tag"]
_OPENERS = ("variable_begin", "block_begin", "comment_begin", "raw_begin", "linecomment_begin")
_CLOSERS = ("variable_end", "block_end", "comment_end", "raw_end")
_BLOCKS = frozenset({"autoescape", "block", "call", "filter", "for", "if", "macro", "set", "trans", "with"})
_LEXER = Environment(autoescape=False).lexer  # noqa: S701 - it splits texts and renders nothing


class BodyFault(Exception):
    """What a body says and a prompt file cannot, and its line of the body, from 1."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(line, message, hint)
        self.line = line
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """``depth``: how many blocks are around it. ``code``: what stands in a tag."""

    kind: Kind
    start: int
    end: int
    depth: int
    code: str = ""


def template_parts(source: str) -> list[TemplatePart]:
    """Raises BodyFault for what is not Jinja2."""
    try:
        return list(_parts(source))
    except TemplateSyntaxError as error:
        raise BodyFault(error.lineno, f"not Jinja2: {error.message}") from None


def _parts(source: str) -> Iterator[TemplatePart]:
    at, start, depth, opened = 0, 0, 0, ""
    words: list[str] = []
    for _, kind, value in _LEXER.tokeniter(source, None):
        place = source.find(value, at) if kind in _OPENERS else at  # blanks before `{%-` are no token
        if kind in _OPENERS:
            if at < place and opened != "raw_begin":
                yield TemplatePart("tag", at, place, depth)
            start, opened, words = place, kind, []
        at = place + len(value)
        if kind == "data" and opened != "raw_begin":
            yield TemplatePart("text", place, at, depth)
        elif kind in _CLOSERS:
            if kind == "block_end":
                depth += _change(words)
            part: Kind = "value" if kind == "variable_end" else "tag"
            around = depth - (kind == "block_end" and _change(words) > 0)
            yield TemplatePart(part, start, at, around, "".join(words).strip())
            opened = ""
        elif kind not in _OPENERS and kind != "data":
            words.append(value)


def _change(words: list[str]) -> int:
    """What a tag does to the depth."""
    code = "".join(words).split()
    name = code[0] if code else ""
    if name.startswith("end"):
        return -1
    if name == "set" and "=" in "".join(words):
        return 0
    return int(name in _BLOCKS)

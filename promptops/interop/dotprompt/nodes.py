"""What a Handlebars template consists of, and what is wrong with one."""

from collections.abc import Mapping

from promptops.dataclass import dataclass


class HandlebarsFault(Exception):
    """A template that is not Handlebars, or more of it than is translated."""

    def __init__(self, message: str, line: int, hint: str = "") -> None:
        super().__init__(message, line, hint)
        self.message = message
        self.line = line
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Path:
    """``../user.name``: one level up, then two members. ``data``: with a leading ``@``."""

    parts: tuple[str, ...]
    up: int = 0
    data: bool = False

    def __str__(self) -> str:
        written = "../" * self.up + ".".join(self.parts)
        return f"@{written}" if self.data else written or "this"


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true, false or null."""

    value: str | float | bool | None


Expression = Path | Literal


@dataclass(frozen=True, slots=True)
class HelperCall:
    """The inside of a tag: what it names, and what follows."""

    name: Expression
    arguments: tuple[Expression, ...]
    options: Mapping[str, Expression]
    line: int


@dataclass(frozen=True, slots=True)
class Strip:
    """Whether ``~`` stands at a tag's beginning and at its end."""

    before: bool = False
    after: bool = False


class Content:
    """Text between tags. What white space is taken from it is known when the tree is complete."""

    __slots__ = ("line", "original", "stripped_after", "stripped_before", "value")

    def __init__(self, text: str, line: int) -> None:
        self.original = self.value = text
        self.line = line
        self.stripped_before = self.stripped_after = False


@dataclass(frozen=True, slots=True)
class Mustache:
    call: HelperCall
    strip: Strip


@dataclass(frozen=True, slots=True)
class Comment:
    strip: Strip


class PartialCall:
    """``{{> name context key=value}}``; ``indent``: what its lines begin with where it has a line alone."""

    __slots__ = ("call", "indent", "name", "strip")

    def __init__(self, name: str, call: HelperCall, strip: Strip) -> None:
        self.name = name
        self.call = call
        self.strip = strip
        self.indent = ""


@dataclass(frozen=True, slots=True)
class Block:
    """``inverse`` holds one block more where it begins with ``{{else if …}}``: it is ``chained`` then."""

    call: HelperCall
    program: "list[Node] | None"
    inverse: "list[Node] | None"
    chained: bool
    opening: Strip
    middle: Strip
    closing: Strip


Node = Content | Mustache | Comment | PartialCall | Block

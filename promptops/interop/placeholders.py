"""Texts with placeholders of other tools as templates of prompt files, and back. Pure.

Elsewhere a placeholder stands for a text and nothing more is read; here texts are Jinja2. So whatever Jinja2
would read besides is written as a text in its tags: ``{{ '{%' }}``.
"""

import re
from collections.abc import Iterable, Sequence

from promptops.dataclass import dataclass
from promptops.interop.values import input_name

MUSTACHE = re.compile(r"\{\{([A-Za-z0-9_.-]+)\}\}")
"""``{{name}}``, without blanks: GitHub Models leaves what has blanks as it is."""
LOOSE_MUSTACHE = re.compile(r"\{\{[ \t]*([A-Za-z0-9_.-]+)[ \t]*\}\}")

_WITHIN = re.compile(r"\{(?=[{%#])")
_OPENING = re.compile(r"\{(?=[{%#]|\Z)")
_TAG = re.compile(r"\{\{-?\s*(?:(?P<name>[A-Za-z_]\w*)|'(?P<text>[^'\\]*)')\s*-?\}\}", re.ASCII)
_JINJA = re.compile(r"\{[{%#]")


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


Pieces = Sequence[str | Variable]


class InputNames:
    """Names of inputs for those of variables elsewhere, which may have dots, dashes or be words of Jinja2."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # by what they are called in the source, in the order of their use
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}  # the last one that a name has got

    def __getitem__(self, source: str) -> str:
        if source not in self.names:
            self.names[source] = self._free(input_name(source))
        return self.names[source]

    def called(self, source: str, name: str) -> str:
        """The name of an input for what the source writes as code, by what it is called there."""
        if source not in self.names:
            self.names[source] = self._free(input_name(name))
        return self.names[source]

    @property
    def renamed(self) -> dict[str, str]:
        return {source: name for source, name in self.names.items() if source != name}

    def _free(self, name: str) -> str:
        one = name
        while one in self._taken:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            one = f"{name}_{self._numbers[name]}"
        self._taken.add(one)
        return one


def split_placeholders(text: str, pattern: re.Pattern[str] = MUSTACHE) -> list[str | Variable]:
    """Texts and variables in turn, by the first group of the pattern."""
    pieces = pattern.split(text)
    return [Variable(piece) if at % 2 else piece for at, piece in enumerate(pieces) if piece]


def template_of(pieces: Iterable[str | Variable], names: InputNames) -> str:
    """The template that writes exactly these texts and the inputs between them."""
    merged = _merged(pieces)
    parts = [
        f"{{{{ {names[piece.name]} }}}}"
        if isinstance(piece, Variable)
        else literal(piece, before_tag=at < len(merged))
        for at, piece in enumerate(merged, 1)
    ]
    text = "".join(parts)
    return f"{text}\n" if text.endswith("\n") else text  # the last line end of a template is not written


def literal(text: str, *, before_tag: bool = False) -> str:
    """A text as it stands in a template."""
    return (_OPENING if before_tag else _WITHIN).sub("{{ '{' }}", text) if "{" in text else text


def pieces_of(template: str) -> list[str | Variable] | None:
    """Texts and inputs of a template; None for one that does more than put inputs into their places."""
    pieces: list[str | Variable] = []
    at = 0
    for found in _TAG.finditer(template):
        pieces.append(template[at : found.start()])
        name = found["name"]
        if (name and input_name(name) != name) or "-" in (found[0][2], found[0][-3]):
            return None
        pieces.append(Variable(name) if name else found["text"])
        at = found.end()
    pieces.append(template[at:].removesuffix("\n"))
    if any(isinstance(piece, str) and _JINJA.search(piece) for piece in _between_tags(template)):
        return None
    return _merged(pieces)


def _between_tags(template: str) -> list[str]:
    return _TAG.sub("\0", template).split("\0")


def _merged(pieces: Iterable[str | Variable]) -> list[str | Variable]:
    merged: list[str | Variable] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece:
            merged.append(piece)
    return merged


def mustache_of(pieces: Pieces) -> str:
    return "".join(f"{{{{{piece.name}}}}}" if isinstance(piece, Variable) else piece for piece in pieces)

"""Templates: what they include, what they name, and their text.

Most texts of prompts put inputs into their place and do nothing more. That needs no Jinja2, which takes
longer to import than all else that a call does. Everything else goes to ``jinja_templates``, and so does
every failure: a text that is put together here is the one that Jinja2 would have written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promptops.prompt.value_types import is_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.prompt.template_types import Include, PartialTexts

_MAX_PLAIN = 100_000  # characters of a text that is put together here, before and after
_PLAIN_TAG = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
_NOT_PLAIN = re.compile(r"\{[{%#]|\r")
JINJA_WORDS = frozenset(
    [
        "and",
        "caller",
        "context",
        "cycler",
        "dict",
        "else",
        "elif",
        "false",
        "False",
        "if",
        "in",
        "is",
        "joiner",
        "kwargs",
        "lipsum",
        "loop",
        "namespace",
        "none",
        "None",
        "not",
        "or",
        "range",
        "recursive",
        "self",
        "super",
        "true",
        "True",
        "varargs",
    ]
)
"""Names that do not, or not everywhere, stand for an input."""


@lru_cache(maxsize=4096)
def find_includes(text: str) -> tuple[Include, ...]:
    """List the partials a template names itself. Raises TemplateFault when it is not a template."""
    if plain_pieces(text) is not None:
        return ()
    from promptops.prompt.jinja_templates import jinja_includes

    return jinja_includes(text)


@lru_cache(maxsize=4096)
def free_names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names a template takes from outside, and names that it sets. Finds unknown filters too."""
    pieces = plain_pieces(text)
    if pieces is not None:
        return frozenset(pieces[1::2]), frozenset()
    from promptops.prompt.jinja_templates import jinja_names

    return jinja_names(text)


def can_print_json(texts: Sequence[str], inputs: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether one of the texts of a prompt can write a value that Python and JSON write differently."""
    pieces = [plain_pieces(text) for text in texts]
    if None in pieces:
        from promptops.prompt.printed_types import prints_json

        return prints_json(texts, inputs)
    names = {name for piece in pieces if piece for name in piece[1::2]}
    return not all(is_plain(inputs[name]) for name in names if name in inputs)


class CompiledTemplate:
    """Raises TemplateFault, here for a text that is not a template, and when it cannot be rendered.

    ``json_values``: true, null, lists and mappings are written as JSON, and not as Python writes them.
    """

    __slots__ = ("_json_values", "_missing_is_empty", "_partials", "_pieces", "_text")

    def __init__(
        self,
        text: str,
        partials: PartialTexts = (),
        *,
        missing_is_empty: bool = False,
        json_values: bool = True,
    ) -> None:
        self._text = text
        self._partials = partials
        self._missing_is_empty = missing_is_empty
        self._json_values = json_values
        self._pieces = plain_pieces(text)
        if self._pieces is None:
            self._jinja()

    def render(self, values: Mapping[str, Any]) -> str:
        """Render within one budget. ``values`` are data: nothing in them is ever rendered."""
        joined = self._joined(values)
        if joined is not None:
            return joined
        from promptops.prompt.jinja_templates import render_jinja

        return render_jinja(self._jinja(), values)

    def _joined(self, values: Mapping[str, Any]) -> str | None:
        """The text, where every value is one; None for what Jinja2 is to write or to refuse."""
        if self._pieces is None:
            return None
        missing = "" if self._missing_is_empty else None
        texts = [values.get(piece, missing) if at % 2 else piece for at, piece in enumerate(self._pieces)]
        if any(type(text) is not str for text in texts) or sum(map(len, texts)) > _MAX_PLAIN:
            return None
        return "".join(texts)

    def _jinja(self) -> Any:
        from promptops.prompt.jinja_templates import compile_jinja

        return compile_jinja(
            self._text,
            self._partials,
            missing_is_empty=self._missing_is_empty,
            json_values=self._json_values,
        )


@lru_cache(maxsize=1024)
def plain_pieces(text: str) -> tuple[str, ...] | None:
    """Text and names of inputs in turn, text first and last; None for more than names in their places."""
    if len(text) > _MAX_PLAIN:
        return None
    pieces = _PLAIN_TAG.split(text)
    opened = any(piece.endswith("{") for piece in pieces[:-1:2])  # `{{{ name }}`: a mapping begins there
    if opened or not JINJA_WORDS.isdisjoint(pieces[1::2]) or any(map(_NOT_PLAIN.search, pieces[::2])):
        return None
    return (*pieces[:-1], pieces[-1].removesuffix("\n"))

"""``$name`` and ``${name}`` of ``string.Template``, which ``llm`` fills in; ``$$`` is a dollar sign."""

import re
from collections.abc import Sequence

from promptops.interop.placeholders import Variable

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
_GOES_ON = re.compile(r"\w", re.ASCII)


def split_dollars(text: str) -> tuple[list[str | Variable], bool]:
    """Texts and variables in turn, and whether a ``$`` is left that ``llm`` refuses."""
    pieces: list[str | Variable] = []
    at, alone = 0, False
    for found in _DOLLAR.finditer(text):
        before = text[at : found.start()]
        alone = alone or "$" in before
        pieces += [before, "$" if found["dollar"] else Variable(found["name"] or found["braced"])]
        at = found.end()
    pieces.append(text[at:])
    return [piece for piece in pieces if piece], alone or "$" in text[at:]


def dollars_of(pieces: Sequence[str | Variable]) -> str:
    """The template of ``llm`` that writes these texts and variables."""
    parts = []
    pieces = [piece for piece in pieces if piece]
    for at, piece in enumerate(pieces):
        if isinstance(piece, str):
            parts.append(piece.replace("$", "$$"))
            continue
        after = pieces[at + 1] if at + 1 < len(pieces) else ""
        braced = isinstance(after, str) and _GOES_ON.match(after)
        parts.append(f"${{{piece.name}}}" if braced else f"${piece.name}")
    return "".join(parts)

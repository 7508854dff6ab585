"""Text files that begin with YAML between lines of `---`."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.yaml import Document, parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """``line``: on which the body begins, from 1. ``declared``: whether there is front matter."""

    document: Document
    body: str
    line: int
    declared: bool

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.document.data or {}
        return data


def read_front_matter(text: str, shown: str, *, comments: bool = False) -> FrontMatter:
    """Split a text. ``comments``: blank lines and lines of `#` may stand before. Raises Invalid."""
    lines = text.split("\n")
    start = _first_line(lines, comments=comments)
    end = next((at for at in range(start + 1, len(lines)) if lines[at].rstrip() == "---"), len(lines))
    if start == len(lines) or lines[start].rstrip() != "---":
        return FrontMatter(parse_yaml(b"{}", shown), text, 1, declared=False)
    if end == len(lines):
        raise Invalid(
            f"{shown}:{start + 1}: the front matter is not closed", hint="close it with a line `---`"
        )
    above = "\n" * (start + 1)  # positions are those of the file
    document = parse_yaml((above + "\n".join(lines[start + 1 : end]) + "\n").encode(), shown)
    if not isinstance(document.data, dict | None):
        raise Invalid(f"{shown}:{start + 1}: the front matter is not a mapping")
    return FrontMatter(document, "\n".join(lines[end + 1 :]), end + 2, declared=True)


def short_schema(schema: Mapping[str, Any]) -> str | dict[str, Any]:
    """As a person writes an input that has a type and nothing more."""
    kind = schema.get("type")
    return kind if isinstance(kind, str) and len(schema) == 1 else dict(schema)


def _first_line(lines: Sequence[str], *, comments: bool) -> int:
    for at, line in enumerate(lines):
        if line.strip() and not (comments and line.startswith("#")):
            return at
    return len(lines)

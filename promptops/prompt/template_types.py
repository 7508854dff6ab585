"""What reading a template gives, with Jinja2 or without."""

from typing import NamedTuple

PartialTexts = tuple[tuple[str, str], ...]
"""Path and text of each partial, sorted: hashable, so that compiled templates can be kept."""


class TemplateFault(Exception):
    """A template that cannot be read or rendered; ``partial`` is "" for the prompt's own text."""

    def __init__(self, message: str, line: int, partial: str = "", hint: str = "") -> None:
        super().__init__(message, line, partial, hint)
        self.message = message
        self.line = line
        self.partial = partial
        self.hint = hint


class Include(NamedTuple):
    name: str
    line: int
    optional: bool  # `ignore missing`

"""Texts of models and users on a page: cut by the bytes that they take there."""

from collections.abc import Sequence

from markupsafe import escape as escape_markup

from promptops.escapes import escape
from promptops.reports.texts import clip

MAX_TEXTS = 20
"""So many of one kind are shown, such as the inputs of a run."""


def fitting_length(text: str, most: int) -> int:
    """How many characters from the start of a text take at most ``most`` bytes of a page."""
    size = min(len(text), most)
    while size and (taken := len(escape_markup(escape(text[:size])).encode())) > most:
        size = size * most // taken
    return size


def fit_text(text: str, most: int) -> str:
    """A text in full, or its start in ``most`` bytes of a page and how much more there is."""
    return clip(text, fitting_length(escape(text), most))


def fit_texts(texts: Sequence[tuple[str, str]], most: int) -> list[tuple[str, str]]:
    """Names and texts in ``most`` bytes of a page together, each with the same share."""
    shown = texts[:MAX_TEXTS]
    share = most // max(1, len(shown))
    found = [(fit_text(name, min(200, share)), fit_text(text, share)) for name, text in shown]
    left = len(texts) - len(shown)
    return [*found, ("…", f"{left:,} more are not shown")] if left else found

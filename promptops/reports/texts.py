"""Inputs and answers as text that people read."""

import json
from typing import Any

from promptops.escapes import escape
from promptops.prompt.chat import summarize_data_urls


def value_text(value: Any) -> str:
    """A value of an input or an expected answer as people read it: images by their sizes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return summarize_data_urls(text)


def clip(text: str, limit: int) -> str:
    """Text in full, or its start and how much more there is."""
    shown = escape(text)
    more = len(shown) - limit
    return shown if more <= 0 else f"{shown[:limit]}… ({more:,} more characters)"

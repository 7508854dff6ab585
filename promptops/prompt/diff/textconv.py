"""A prompt file as plain text for ``git diff``: one fact a line, and texts as the model reads them.

Quoting, flow style and comments do not show; ``git diff --no-textconv`` has them.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.yaml import parse_yaml
from promptops.errors import Invalid

_LAST = ("messages",)  # long texts stand below the short facts


def to_plain_text(data: bytes) -> bytes:
    """A file that is not a YAML mapping comes back as it is: there is nothing to tell better."""
    try:
        document = parse_yaml(data, "file")
    except Invalid:
        return data
    if not isinstance(document.data, dict):
        return data
    return ("\n".join(_lines(document.data)) + "\n").encode()


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        if key not in _LAST:
            yield from _facts(key, value)
    messages = data.get("messages", [])
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        yield from _message(index, message)
    if not isinstance(messages, list):
        yield from _facts("messages", messages)


def _facts(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _facts(f"{name}.{key}", item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _facts(f"{name}[{index}]", item)
    elif isinstance(value, str) and "\n" in value:
        yield f"{name}: {_block_indicator(value)}"
        yield from (f"    {line}" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _message(index: int, message: Any) -> Iterator[str]:
    if not isinstance(message, dict) or "content" not in message:
        yield from _facts(f"messages[{index}]", message)
        return
    content = message["content"]
    yield f"── {message.get('role')} {_block_indicator(content) if isinstance(content, str) else ''}".rstrip()
    for key, value in message.items():
        if key not in ("role", "content"):
            yield from _facts(key, value)
    parts = content if isinstance(content, list) else [{"text": content}]
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("text"), str) and len(part) == 1:
            yield from part["text"].removesuffix("\n").split("\n")
        else:
            yield from _facts("part", part)


def _block_indicator(text: str) -> str:
    """YAML's own sign for whether a text ends with a line break."""
    return "|" if text.endswith("\n") else "|-"

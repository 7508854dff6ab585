"""JSON that came over the wire."""

import json
from collections.abc import Iterable
from typing import Any

MAX_VALUES = 500_000  # of which a parser makes objects, in one step that nothing interrupts
_MAX_DEPTH = 200  # what fits the stack of whoever prints it again, however deep that stands already


def decode_json(body: bytes) -> Any:
    """Parse what a provider sent. Raises ValueError for what is no JSON, too deep or too much."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    try:
        value = json.loads(body)
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise _too_deep()
    return value


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [member for each in level for member in _members(each)]
    return any(isinstance(each, dict | list) for each in level)


def _members(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError("it is nested too deeply")

"""JSON that came over the wire."""

import json
from collections.abc import Iterable
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]  # documented in its source alone
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

MAX_VALUES = 500_000
_MAX_VALUES_AT_ONCE = 50_000  # of which json.loads makes objects in one step, in which no other thread runs
_MAX_DEPTH = 200  # what fits the stack of whoever prints it again, however deep that stands already


class _InterruptibleDecoder(json.JSONDecoder):
    """Reads by steps of Python, which takes longer, and between which other threads have their turns."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_object, self.parse_array = JSONObject, JSONArray
        self.scan_once = py_make_scanner(self)


def decode_json(body: bytes, most: int = MAX_VALUES) -> Any:
    """Parse what a provider sent. Raises ValueError for what is no JSON, too deep, or of too many values."""
    if _count_values(body) > most:
        raise ValueError(f"it holds more than {most:,} values")
    try:
        value = _load_in_steps(body) if holds_many_values(body) else json.loads(body)
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _is_deeper(value, _MAX_DEPTH):
        raise _too_deep()
    return value


def decode_event(body: bytes) -> Any:
    """As ``decode_json``, for what is parsed in the event loop itself."""
    return decode_json(body, _MAX_VALUES_AT_ONCE)


def holds_many_values(body: bytes) -> bool:
    """Whether parsing it should be left to another thread than the event loop's."""
    return _count_values(body) > _MAX_VALUES_AT_ONCE


def _count_values(body: bytes) -> int:
    """At least as many values as it holds."""
    return sum(map(body.count, (b",", b"[", b"{")))


def _load_in_steps(body: bytes) -> Any:
    return _InterruptibleDecoder().decode(body.decode(json.detect_encoding(body), "surrogatepass"))


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [member for each in level for member in _members(each)]
    return any(isinstance(each, dict | list) for each in level)


def _members(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError("it is nested too deeply")

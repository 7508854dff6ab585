"""JSON that came over the wire."""

import json
from collections.abc import Iterable
from typing import Any

MAX_VALUES = 500_000  # an answer of 4,000 tokens with 20 log probabilities each holds nearly as many
_MAX_EVENT_VALUES = 50_000  # json.loads makes all objects in one step, in which no other thread runs
MAX_DEPTH = 200  # what fits the stack of whoever prints it again, however deep that stands already


def decode_json(body: bytes, most: int = MAX_VALUES) -> Any:
    """Parse what a provider sent. Raises ValueError for what is not JSON, too deep, or of too many values."""
    if sum(map(body.count, (b",", b"[", b"{"))) > most:
        raise ValueError(f"it holds more than {most:,} values")
    try:
        value = json.loads(body)
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise _too_deep()
    return value


def decode_event(body: bytes) -> Any:
    """As ``decode_json``, for one event of a stream or an error, which have no reason to be large."""
    return decode_json(body, _MAX_EVENT_VALUES)


def join_surrogates(text: str) -> str:
    """Text whose surrogate pairs are characters, though their halves came apart; a lone half stays one."""
    if text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested beyond a bound, without recursion."""
    level, depth = [value], 0
    while level and depth < most:
        level, depth = [member for each in level for member in _members(each)], depth + 1
    return any(isinstance(each, dict | list) for each in level)


def _members(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError("it is nested too deeply")

"""JSON as people write it: what has two meanings, or none in JSON, is refused."""

import json
from typing import Any


def parse_strict_json(text: str | bytes, *, yielding: bool = False) -> Any:
    """Raises ValueError also for an object with one key twice, for NaN and its like, and for deep nesting.

    With ``yielding`` it takes longer, and other threads run meanwhile.
    """
    numbers: dict[str, Any] = {"parse_float": _float, "parse_int": _int} if yielding else {}
    try:
        return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant, **numbers)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key `{key[:100]}`")
            seen.add(key)
    return members


def _float(text: str) -> float:
    """In Python, between whose functions the interpreter can change threads."""
    return float(text)


def _int(text: str) -> int:
    return int(text)


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")

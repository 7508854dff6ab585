"""Inputs declared from the values that cases give them."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_RESERVED = frozenset(
    {*keyword.kwlist, "true", "false", "none", "loop", "self", "super", "caller", "varargs", "kwargs"}
)
_EMPTY: Mapping[str | None, Any] = {"string": "", "array": [], "object": {}}
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("boolean", (bool,)),
    ("integer", (int,)),
    ("number", (int, float)),
    ("string", (str,)),
    ("array", (list,)),
    ("object", (dict,)),
)


def input_name(written: str) -> str:
    """A name that an input may have: letters, digits, underscores, no word of templates."""
    name = re.sub(r"\W+", "_", written, flags=re.ASCII).strip("_") if not written.isidentifier() else written
    if not name or not name.isascii() or name[0].isdigit():
        name = f"input_{re.sub(r'[^A-Za-z0-9_]+', '_', name).strip('_')}".rstrip("_")
    return f"{name}_" if name in _RESERVED else name


def kind_of(values: Iterable[Any]) -> str | None:
    """The one JSON type of some values; None for several, or none."""
    found = list(values)
    for kind, types in _KINDS:
        if found and all(isinstance(value, types) for value in found):
            booleans = sum(isinstance(value, bool) for value in found)
            return kind if booleans in (0, len(found)) else None
    return None


def is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def declare(values: Sequence[Any], *, everywhere: bool) -> str | dict[str, Any]:
    """The declaration of an input. ``everywhere``: every case has it; where it is missing it is empty."""
    kind = kind_of(values) if values else "string"
    if everywhere:
        return kind or {}
    if kind in _EMPTY:
        return {"type": kind, "default": _EMPTY[kind]}
    return {"type": [kind, "string"], "default": ""} if kind else {"default": ""}


def as_texts(values: Sequence[Any]) -> bool:
    """Whether values are best written as texts: numbers in one case and words in another."""
    return kind_of(values) is None and all(map(is_scalar, values))


def text_of_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def same_kind(cases: Sequence[dict[str, Any]]) -> None:
    """Write values of one name as texts where they have several scalar kinds."""
    for name in {name: None for case in cases for name in case}:
        values = [case[name] for case in cases if name in case]
        if as_texts(values):
            for case in cases:
                if name in case:
                    case[name] = text_of_value(case[name])


def declarations(names: Iterable[str], cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Declarations of the names that templates use and of those that cases give, in this order."""
    given = {name: None for case in cases for name in case}
    declared = {}
    for name in dict.fromkeys([*names, *given]):
        values = [case[name] for case in cases if name in case]
        declared[name] = declare(values, everywhere=len(values) == len(cases))
    return declared

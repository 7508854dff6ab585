"""What differs between two JSON values, and how a short line tells it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.escapes import shorten
from promptops.prompt.canonical_json import same_json
from promptops.prompt.json_schema import format_path

_MAX_LENGTH = 60
_SCALARS = (str, int, float, bool, type(None))


class _MissingType:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _MissingType()  # beside None, which is a value

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    path: Path
    old: Any
    new: Any

    def __str__(self) -> str:
        name = format_path(self.path).strip("`")
        lead = f"{name}: " if name else ""
        if isinstance(self.old, _MissingType):
            return f"{lead}{format_value(self.new)} added"
        if isinstance(self.new, _MissingType):
            return f"{lead}{format_value(self.old)} removed"
        if _is_list_of_scalars(self.old) and _is_list_of_scalars(self.new):
            return lead + _describe_list_change(self.old, self.new)
        return f"{lead}{format_value(self.old)} -> {format_value(self.new)}"


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key, MISSING), new.get(key, MISSING), (*path, key))
    elif _are_comparable_lists(old, new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, (*path, index))
    elif not is_same_json(old, new):
        yield Difference(path, old, new)


def is_same_json(old: Any, new: Any) -> bool:
    """Equality of JSON values, where true is not 1."""
    if old is MISSING or new is MISSING:
        return old is new
    return same_json(old, new)


def format_value(value: Any) -> str:
    """A value on one line, shortened."""
    text = value if isinstance(value, str) and _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return shorten(text, _MAX_LENGTH)


def _is_plain(text: str) -> bool:
    return text != "" and text.isprintable() and text == text.strip() and text[0] not in "[{\"'0123456789-"


def _are_comparable_lists(old: Any, new: Any) -> bool:
    if not (isinstance(old, list | tuple) and isinstance(new, list | tuple)) or len(old) != len(new):
        return False
    return not (_is_list_of_scalars(old) and _is_list_of_scalars(new))


def _is_list_of_scalars(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, _SCALARS) for item in value)


def _describe_list_change(old: Any, new: Any) -> str:
    gone = [format_value(item) for item in old if not any(is_same_json(item, other) for other in new)]
    come = [format_value(item) for item in new if not any(is_same_json(item, other) for other in old)]
    words = [f"without {', '.join(gone)}"] if gone else []
    words += [f"with {', '.join(come)}"] if come else []
    return " and ".join(words) or f"{format_value(old)} -> {format_value(new)}"

"""What differs between two JSON values, and how a short line tells it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from promptops.prompt.canonical_json import canonical_json
from promptops.prompt.json_schema import spell_path

_SHOWN = 60
_SCALARS = (str, int, float, bool, type(None))


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()  # beside None, which is a value

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    path: Path
    old: Any
    new: Any

    def __str__(self) -> str:
        name = spell_path(self.path).strip("`")
        lead = f"{name}: " if name else ""
        if isinstance(self.old, _Missing):
            return f"{lead}{shown(self.new)} added"
        if isinstance(self.new, _Missing):
            return f"{lead}{shown(self.old)} removed"
        if _is_list_of_scalars(self.old) and _is_list_of_scalars(self.new):
            return lead + _list_words(self.old, self.new)
        return f"{lead}{shown(self.old)} -> {shown(self.new)}"


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key, MISSING), new.get(key, MISSING), (*path, key))
    elif _are_alike_lists(old, new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, (*path, index))
    elif not same(old, new):
        yield Difference(path, old, new)


def same(old: Any, new: Any) -> bool:
    """Equality of JSON values, where true is not 1."""
    if old is MISSING or new is MISSING:
        return old is new
    return canonical_json(old) == canonical_json(new)


def shown(value: Any, longest: int = _SHOWN) -> str:
    """A value on one line, shortened."""
    text = value if isinstance(value, str) and _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _is_plain(text: str) -> bool:
    return text != "" and text.isprintable() and text == text.strip() and text[0] not in "[{\"'0123456789-"


def _are_alike_lists(old: Any, new: Any) -> bool:
    if not (isinstance(old, list | tuple) and isinstance(new, list | tuple)) or len(old) != len(new):
        return False
    return not (_is_list_of_scalars(old) and _is_list_of_scalars(new))


def _is_list_of_scalars(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, _SCALARS) for item in value)


def _list_words(old: Any, new: Any) -> str:
    gone = [shown(item) for item in old if not any(same(item, other) for other in new)]
    come = [shown(item) for item in new if not any(same(item, other) for other in old)]
    words = [f"without {', '.join(gone)}"] if gone else []
    words += [f"with {', '.join(come)}"] if come else []
    return " and ".join(words) or f"{shown(old)} -> {shown(new)}"

"""What a change of a prompt's inputs means for those who call it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from promptops.dataclass import dataclass
from promptops.prompt import Input
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.diff.values import MISSING, Difference, format_value

Effect = Literal["breaking", "unclear", "compatible"]
"""Whether each call that was accepted still is; ``unclear`` where JSON Schema makes that hard to tell."""

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ANNOTATIONS = frozenset({"$comment", "default", "deprecated", "description", "examples", "title"})
_UPPER = ("exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum")
_LOWER = ("exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum")


@dataclass(frozen=True, slots=True)
class InputChange:
    summary: str
    effect: Effect


def worst_effect(changes: list[InputChange]) -> Effect:
    found = {change.effect for change in changes}
    return "breaking" if "breaking" in found else "unclear" if "unclear" in found else "compatible"


def compare_inputs(old: Mapping[str, Input], new: Mapping[str, Input]) -> list[InputChange]:
    changes: list[InputChange] = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            changes.append(InputChange(f"`{name}` removed", "breaking"))
        elif name not in old:
            changes.append(_added(new[name]))
        else:
            changes += _changed(old[name], new[name])
    return changes


def _added(one: Input) -> InputChange:
    if one.required:
        return InputChange(f"`{one.name}` added, required", "breaking")
    return InputChange(f"`{one.name}` added, {format_value(one.default)} by default", "compatible")


def _changed(old: Input, new: Input) -> Iterator[InputChange]:
    name = f"`{new.name}`"
    if old.kind != new.kind:
        yield InputChange(f"{name} was a {old.kind}, is a {new.kind}", "breaking")
        return
    if new.required and not old.required:
        yield InputChange(f"{name} is required now", "breaking")
    elif old.required and not new.required:
        yield InputChange(f"{name} is optional now, {format_value(new.default)} by default", "compatible")
    elif not new.required and compact_json(old.default) != compact_json(new.default):
        text = str(Difference((), old.default, new.default))
        yield InputChange(f"default of {name}: {text}", "compatible")
    for text, effect in compare_schemas(old.schema, new.schema):
        yield InputChange(f"{name}{text}", effect)


SchemaEffects = Iterator[tuple[str, Effect]]


def compare_schemas(old: Any, new: Any, place: str = "") -> SchemaEffects:
    """Tell keyword by keyword whether the new JSON Schema still accepts what the old one did."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old is not new:
            yield f"{place}: {format_value(old)} -> {format_value(new)}", _boolean_effect(old, new)
        return
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key, MISSING), new.get(key, MISSING)
        if key not in _ANNOTATIONS and _text(before) != _text(after):
            yield from _keyword(key, before, after, place, old)


def _boolean_effect(old: Any, new: Any) -> Effect:
    return "compatible" if old is False or new is True else "breaking" if new is False else "unclear"


def _keyword(key: str, old: Any, new: Any, place: str, schema: Mapping[str, Any]) -> SchemaEffects:
    if key in ("properties", "items") and isinstance(old, Mapping) and isinstance(new, Mapping):
        if key == "items":
            yield from compare_schemas(old, new, f"{place}[]")
        else:
            yield from _properties(old, new, place, schema)
        return
    effect = _RULES.get(key, _unclear)(old, new)
    lead = f"{place} " if place else ": "
    yield f"{lead}{Difference((key,), old, new)}", effect


def _properties(
    old: Mapping[str, Any], new: Mapping[str, Any], place: str, schema: Mapping[str, Any]
) -> SchemaEffects:
    for key in [*old, *(key for key in new if key not in old)]:
        where = f"{place}.{key}"
        if key not in new:
            yield f"{where} no longer declared", "unclear"
        elif key not in old:
            closed = schema.get("additionalProperties") is False
            yield f"{where} declared", "compatible" if closed else "unclear"
        else:
            yield from compare_schemas(old[key], new[key], where)


def _unclear(_old: Any, new: Any) -> Effect:
    return "compatible" if new is MISSING else "unclear"


def _type(old: Any, new: Any) -> Effect:
    return "compatible" if _accepted_types(old) <= _accepted_types(new) else "breaking"


def _accepted_types(value: Any) -> set[str]:
    names = set(_TYPES) if value is MISSING else {value} if isinstance(value, str) else set(value)
    return names | ({"integer"} if "number" in names else set())


def _enum(old: Any, new: Any) -> Effect:
    if new is MISSING:
        return "compatible"
    return "compatible" if old is not MISSING and set(map(_text, old)) <= set(map(_text, new)) else "breaking"


def _const(_old: Any, new: Any) -> Effect:
    return "compatible" if new is MISSING else "breaking"


def _upper(old: Any, new: Any) -> Effect:
    return "compatible" if new is MISSING or (old is not MISSING and new >= old) else "breaking"


def _lower(old: Any, new: Any) -> Effect:
    if new is MISSING or (old is not MISSING and new <= old):
        return "compatible"
    return "breaking"


def _required(old: Any, new: Any) -> Effect:
    before, after = (set() if value is MISSING else set(value) for value in (old, new))
    return "compatible" if after <= before else "breaking"


def _additional(old: Any, new: Any) -> Effect:
    if new is MISSING or new is True:
        return "compatible"
    return "breaking" if new is False else "compatible" if old is False else "unclear"


def _text(value: Any) -> str:
    return "" if value is MISSING else compact_json(value)


_RULES: Mapping[str, Callable[[Any, Any], Effect]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "additionalProperties": _additional,
    "items": _additional,
    **dict.fromkeys(_UPPER, _upper),
    **dict.fromkeys(_LOWER, _lower),
}

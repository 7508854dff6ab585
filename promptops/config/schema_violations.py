"""Where data breaks the few keywords of JSON Schema that promptops.yaml needs, and the key that was meant."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from promptops.config.plan_schema import PLAN_SCHEMA

SchemaViolation = tuple[tuple[str | int, ...], str, str]
_MAX_LISTED = 12  # keys in a hint
_SHAPE_HINT = "promptops schema shows the whole shape"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def schema_violations(
    schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[SchemaViolation]:
    """Path, what is wrong there, and a hint.

    Of a plan only the keys are looked at here: its values are checked by all of its schema when it is used.
    """
    if schema is PLAN_SCHEMA and isinstance(value, dict):
        yield from _unknown_keys(schema, value, path)
    elif problem := _value_problem(schema, value, path):
        yield path, *problem
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from schema_violations(schema.get("items", {}), item, (*path, index))
    elif isinstance(value, dict):
        yield from _object_violations(schema, value, path)


def _value_problem(
    schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...]
) -> tuple[str, str] | None:
    name = _name_of(path)
    if "type" in schema and not _is_of_type(value, schema["type"]):
        return f"{name} must be {_type_phrase(schema['type'])}", _SHAPE_HINT
    if "enum" in schema and value not in schema["enum"]:
        return f"{name} must be one of {', '.join(schema['enum'])}; it is `{value}`", ""
    if problem := _size_problem(schema, value):
        return f"{name} must {problem}", ""
    if schema.get("format") == "date" and not _is_date(value):
        return f"{name} must be a day such as 2027-01-31; it is `{value}`", ""
    return None


def _size_problem(schema: Mapping[str, Any], value: Any) -> str:
    """Of a number or a list."""
    if "minimum" in schema and value < schema["minimum"]:
        return f"be {schema['minimum']} or more; it is {value}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"be {schema['maximum']} or less; it is {value}"
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        return f"have {schema['maxItems']} entries at most; it has {len(value)}"
    return ""


def _name_of(path: tuple[str | int, ...]) -> str:
    if not path:
        return "the file"
    return f"`{path[-1]}`" if isinstance(path[-1], str) else f"`{path[-2]}[{path[-1]}]`"


def _is_of_type(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _object_violations(
    schema: Mapping[str, Any], value: dict[str, Any], path: tuple[str | int, ...]
) -> Iterator[SchemaViolation]:
    for key, item in value.items():
        part = _schema_of(schema, key)
        if part is None:
            yield _unknown_key(schema, key, path)
        else:
            yield from schema_violations(part, item, (*path, key))
    for key in schema.get("required", ()):
        if key not in value:
            yield path, f"the key `{key}` is missing", _known_keys(schema.get("properties", {}))


def _unknown_keys(
    schema: Mapping[str, Any], value: Any, path: tuple[str | int, ...]
) -> Iterator[SchemaViolation]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_keys(schema.get("items", {}), item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            part = _schema_of(schema, key)
            if part is None:
                yield _unknown_key(schema, key, path)
            else:
                yield from _unknown_keys(part, item, (*path, key))


def _schema_of(schema: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """What a key's value must be; None where there is no such key."""
    patterns = schema.get("patternProperties", {})
    matching = (part for pattern, part in patterns.items() if re.search(pattern, key))
    if found := schema.get("properties", {}).get(key) or next(matching, None):
        return found  # type: ignore[no-any-return]  # JSON
    other = schema.get("additionalProperties", True)
    return None if other is False else {} if other is True else other


def _unknown_key(schema: Mapping[str, Any], key: str, path: tuple[str | int, ...]) -> SchemaViolation:
    known = schema.get("properties", {})
    return (*path, key), f"unknown key `{key}`{_did_you_mean(key, known)}", _known_keys(known)


def _known_keys(known: Mapping[str, Any]) -> str:
    return f"known keys: {', '.join(known)}" if len(known) <= _MAX_LISTED else _SHAPE_HINT


def _did_you_mean(key: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, known, n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _type_phrase(kind: str) -> str:
    words = {"object": "a mapping", "array": "a list", "string": "a string", "integer": "a whole number"}
    return words.get(kind) or {"boolean": "true or false", "number": "a number"}[kind]

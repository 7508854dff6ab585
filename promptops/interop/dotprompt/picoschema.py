"""Picoschema to JSON Schema: `name?: string, who is greeted`."""

from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.json_schema import schema_problem

SCALAR_TYPES = ("any", "boolean", "integer", "null", "number", "string")
_MAX_DEPTH = 50
_WILDCARD = "(*)"


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    optional: bool
    kind: str
    description: str


def json_schema(schema: Any) -> dict[str, Any] | None:
    """Give the JSON Schema of what stands as a schema; None for nothing. Raises Invalid."""
    if not schema:
        return None
    read = _read(schema)
    if found := schema_problem(read):
        raise Invalid(found[1])
    return read


def _read(schema: Any) -> dict[str, Any]:
    if isinstance(schema, str):
        kind, description = _split(schema)
        _check_scalar(kind)
        return {"type": kind} | ({"description": description} if description else {})
    if isinstance(schema, Mapping) and schema.get("type") in (*SCALAR_TYPES, "object", "array"):
        return dict(schema)
    if isinstance(schema, Mapping) and isinstance(schema.get("properties"), Mapping):
        return {**schema, "type": "object"}
    return _pico(schema, 0)


def _pico(value: Any, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise Invalid(f"the schema is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str):
        kind, description = _split(value)
        _check_scalar(kind)
        return ({} if kind == "any" else {"type": kind}) | (
            {"description": description} if description else {}
        )
    if not isinstance(value, Mapping):
        raise Invalid(f"a schema in Picoschema consists of mappings and texts, not `{value}`")
    properties: dict[str, Any] = {}
    required: list[str] = []
    additional: Any = False
    for key, item in value.items():
        if key == _WILDCARD:
            additional = _pico(item, depth + 1)
            continue
        read = _read_key(key)
        required += [] if read.optional else [read.name]
        properties[read.name] = _property(read, item, depth + 1)
    schema = {"type": "object", "properties": properties, "additionalProperties": additional}
    return {**schema, "required": required} if required else schema


def _property(key: _Key, value: Any, depth: int) -> dict[str, Any]:
    if key.kind == "array":
        schema: dict[str, Any] = {"type": "array", "items": _pico(value, depth)}
    elif key.kind == "enum":
        schema = {"enum": _enum(key, value)}
    elif key.kind in ("", "object"):
        schema = _pico(value, depth)
    else:
        raise Invalid(f"`{key.name}({key.kind})`: the brackets take array, enum or object")
    if key.optional and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema | ({"description": key.description} if key.description else {})


def _enum(key: _Key, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Invalid(f"`{key.name}(enum)` is a list of values")
    return [*value, None] if key.optional and None not in value else list(value)


def _read_key(key: str) -> _Key:
    name, opened, inside = key.partition("(")
    kind, description = _split(inside.removesuffix(")")) if opened else ("", "")
    return _Key(name.removesuffix("?"), name.endswith("?"), kind, description)


def _split(text: str) -> tuple[str, str]:
    kind, _, description = text.partition(",")
    return kind, description.lstrip(" ")


def _check_scalar(kind: str) -> None:
    if kind not in SCALAR_TYPES:
        hint = "schemas with names are defined in code: write the schema itself"
        raise Invalid(f"`{kind}` is not a type of Picoschema", hint=hint)

"""Values described by the JSON Schemas that they may have, as far as templates take them apart.

Part of what decides the digest format of a version: see ``printed_types``.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
SchemaUnion = tuple[Schema, ...]
"""The schemas that a value may have; none for what no template can write."""

ALL_TYPES = frozenset({"string", "number", "boolean", "null", "object", "array"})
PLAIN_TYPES = frozenset({"string", "number"})
_MAX_UNION = 16
_MAX_MEMBERS = 32  # of a list or mapping that a template makes
_MAX_NESTING = 3

ANY: SchemaUnion = ({},)
TEXT: SchemaUnion = ({"type": "string"},)
NUMBER: SchemaUnion = ({"type": "number"},)
BOOLEAN: SchemaUnion = ({"type": "boolean"},)
NULL: SchemaUnion = ({"type": "null"},)


def is_plain(schema: Schema) -> bool:
    """Whether every value of a schema is a text or a number, which Python writes as JSON does."""
    return schema_types(schema) <= PLAIN_TYPES


def union_types(value: SchemaUnion) -> frozenset[str]:
    return frozenset[str]().union(*map(schema_types, value))


def schema_types(schema: Any) -> frozenset[str]:
    """The JSON types that a schema allows. References are not followed."""
    if not isinstance(schema, Mapping):
        return ALL_TYPES
    types = _named_types(schema["type"]) if "type" in schema else ALL_TYPES
    if "const" in schema:
        types &= {_type_of(schema["const"])}
    if isinstance(schema.get("enum"), list):
        types &= frozenset(map(_type_of, schema["enum"]))
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list | tuple):
            types &= union_types(tuple(schema[key]))
    for part in schema.get("allOf", ()):
        types &= schema_types(part)
    return types


def _named_types(named: Any) -> frozenset[str]:
    names = [named] if isinstance(named, str) else named
    return frozenset("number" if name == "integer" else name for name in names)


def _type_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    kinds = ((str, "string"), ((int, float), "number"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "array")


def unite(*values: SchemaUnion) -> SchemaUnion:
    merged: list[Schema] = []
    for value in values:
        merged += [schema for schema in value if schema not in merged]
    return tuple(merged) if len(merged) <= _MAX_UNION else ANY


def without_null(value: SchemaUnion) -> SchemaUnion:
    return tuple(
        schema if "null" not in types else {**schema, "type": sorted(types - {"null"})}
        for schema in value
        if (types := schema_types(schema)) != {"null"}
    )


def list_of(*items: SchemaUnion) -> SchemaUnion:
    """A list that a template makes."""
    if len(items) > _MAX_MEMBERS or (union := unite(*items)) == ANY or not union:
        return ({"type": "array"},)
    return _nested({"type": "array", "items": {"anyOf": union}}, union)


def mapping_of(members: Mapping[str, SchemaUnion]) -> SchemaUnion:
    """A mapping that a template makes."""
    if len(members) > _MAX_MEMBERS:
        return ({"type": "object"},)
    properties = {name: {"anyOf": value} for name, value in members.items()}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return _nested(schema, unite(*members.values()))


def _nested(schema: Schema, inner: SchemaUnion) -> SchemaUnion:
    depth = 1 + max((part.get("nesting", 0) for part in inner), default=0)
    return ({**schema, "nesting": depth},) if depth <= _MAX_NESTING else ({"type": schema["type"]},)


def member_of(value: SchemaUnion, key: Any) -> SchemaUnion:
    """What ``value.key`` or ``value[key]`` may be; a key of None is one that is not known."""
    return unite(*(_schema_member(schema, key) for schema in value))


def _schema_member(schema: Schema, key: Any) -> SchemaUnion:
    types = schema_types(schema)
    if types <= {"string"}:
        return TEXT
    if types <= {"array"}:
        return _schema_items(schema)
    properties = _mapping(schema.get("properties"))
    if isinstance(key, str) and key in properties:
        return _parts(properties[key])
    further = schema.get("additionalProperties")
    unknown = key is None and properties
    return _parts(further) if isinstance(further, Mapping) and types <= {"object"} and not unknown else ANY


def items_of(value: SchemaUnion) -> SchemaUnion:
    """What a loop gives: the items of a list, the keys of a mapping, the letters of a text."""
    return unite(*map(_schema_items, value))


def _schema_items(schema: Schema) -> SchemaUnion:
    types = schema_types(schema)
    if types <= {"string", "object"}:
        return TEXT if types else ()
    items = schema.get("items")
    known = types <= {"array"} and isinstance(items, Mapping) and "prefixItems" not in schema
    return _parts(items) if known else ANY


def values_of(value: SchemaUnion) -> SchemaUnion:
    """The values of a mapping."""
    return unite(*map(_schema_values, value))


def _schema_values(schema: Schema) -> SchemaUnion:
    further = schema.get("additionalProperties", True)
    if "patternProperties" in schema or not (further is False or isinstance(further, Mapping)):
        return ANY
    properties = _mapping(schema.get("properties"))
    found = [_parts(each) for each in properties.values()]
    return unite(*found, *([_parts(further)] if isinstance(further, Mapping) else []))


def _parts(schema: Any) -> SchemaUnion:
    """A schema as a union; one that only lists alternatives as these."""
    if not isinstance(schema, Mapping):
        return ANY
    return tuple(schema["anyOf"]) if schema.keys() == {"anyOf"} else (schema,)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

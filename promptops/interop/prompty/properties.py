"""Prompty's properties, such as `{name: city, kind: string, required: true}`, as JSON Schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.errors import Invalid

KINDS = {
    "string": "string",
    "integer": "integer",
    "int": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
}
OTHER_KINDS = frozenset({"thread", "image", "file", "audio"})
_MAX_DEPTH = 50


def named_properties(data: Any) -> Iterator[tuple[tuple[str | int, ...], str, dict[str, Any]]]:
    """Path, name and keys of each: of a list, of a mapping by names, of what stands under `properties`."""
    if (
        isinstance(data, Mapping)
        and isinstance(data.get("properties"), list | Mapping)
        and "kind" not in data
    ):
        for path, name, each in named_properties(data["properties"]):
            yield ("properties", *path), name, each
    elif isinstance(data, Mapping):
        for name, each in data.items():
            yield (name,), name, dict(each) if isinstance(each, Mapping) else {"example": each}
    elif isinstance(data, list):
        for index, each in enumerate(data):
            if not isinstance(each, Mapping) or not isinstance(each.get("name"), str):
                raise Invalid("a property has no name", hint="write `- name: …`")
            yield (index,), each["name"], dict(each)


def property_kind(data: Mapping[str, Any]) -> str:
    """The kind that is written, or that an example has."""
    kind = data.get("kind", data.get("type"))
    if isinstance(kind, str):
        return kind
    value = data.get("default", data.get("example"))
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "string")


def property_schema(
    data: Mapping[str, Any], *, strict: bool = False, closed: bool = False, depth: int = 0
) -> dict[str, Any]:
    """``closed``: mappings have no other members; ``strict``: and each member is there, or null."""
    if depth > _MAX_DEPTH:
        raise Invalid(f"properties are nested more than {_MAX_DEPTH} deep")
    kind = property_kind(data)
    schema: dict[str, Any] = {"type": KINDS[kind]} if kind in KINDS else {}
    if isinstance(data.get("description"), str):
        schema["description"] = data["description"]
    if isinstance(data.get("enumValues"), list) and data["enumValues"]:
        schema["enum"] = list(data["enumValues"])
    deeper: Mapping[str, Any] = {"strict": strict, "closed": closed, "depth": depth + 1}
    if schema.get("type") == "array" and isinstance(data.get("items"), Mapping):
        schema["items"] = property_schema(data["items"], **deeper)
    if kind == "object":
        schema |= object_schema(data.get("properties"), **deeper)
    for union in ("anyOf", "oneOf"):
        if isinstance(data.get(union), list):
            branches = [each for each in data[union] if isinstance(each, Mapping)]
            schema[union] = [property_schema(each, **deeper) for each in branches]
    return with_null(schema) if data.get("nullable") is True else schema


def object_schema(data: Any, *, strict: bool = False, closed: bool = False, depth: int = 0) -> dict[str, Any]:
    members: dict[str, Any] = {}
    required = []
    for _, name, each in named_properties(data):
        member = property_schema(each, strict=strict, closed=closed, depth=depth)
        needed = each.get("required") is True
        members[name] = with_null(member) if strict and not needed else member
        required += [name] if strict or needed else []
    schema: dict[str, Any] = {"type": "object"} | ({"properties": members} if members or closed else {})
    schema |= {"required": required} if required else {}
    return {**schema, "additionalProperties": False} if closed else schema


def with_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        nullable = {**schema, "type": [schema["type"], "null"]}
    elif "anyOf" in schema:
        nullable = {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    else:
        nullable = dict(schema)
    if "enum" in schema and None not in schema["enum"]:
        nullable["enum"] = [*schema["enum"], None]
    return nullable

"""JSON Schema as Prompty's properties."""

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS = {
    "string": "string",
    "integer": "integer",
    "number": "float",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
    "messages": "thread",
    "image": "image",
}
_MAX_DEPTH = 50


def written_property(
    name: str, schema: Mapping[str, Any], *, required: bool, depth: int = 0
) -> dict[str, Any] | None:
    """As far as it can be said; None where it has no type that Prompty knows."""
    kind, nullable = _kind(schema)
    if kind not in _KINDS or depth > _MAX_DEPTH:
        return None
    written: dict[str, Any] = {"name": name} if name else {}
    written["kind"] = _KINDS[kind]
    if isinstance(schema.get("description"), str):
        written["description"] = schema["description"]
    if required:
        written["required"] = True
    if nullable:
        written["nullable"] = True
    if schema.get("default") is not None and kind != "messages":
        written["default"] = schema["default"]
    if isinstance(schema.get("enum"), list):
        written["enumValues"] = [each for each in schema["enum"] if each is not None or not nullable]
    if kind == "array":
        items = schema.get("items")
        one = (
            written_property("", items, required=False, depth=depth + 1)
            if isinstance(items, Mapping)
            else None
        )
        written["items"] = one or {"kind": "string"}
    if kind == "object":
        written["properties"] = written_properties(schema, depth=depth + 1)
    return written


def written_input(name: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """An input without a default is one that must be given, but for a thread."""
    required = "default" not in schema and schema.get("type") not in ("messages", "image")
    return written_property(name, schema, required=required)


def written_outputs(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``output`` of a prompt file, whose schema is there and not in a file of its own."""
    schema = output.get("schema")
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return []
    return written_properties(schema, strict=True)


def written_tools(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Functions; other tools are the provider's."""
    written = []
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping):
            more = {key: function[key] for key in ("description", "strict") if function.get(key)}
            parameters = function.get("parameters") or {}
            members = written_properties(parameters, strict=more.get("strict") is True)
            given = {"parameters": members} if members else {}
            written.append({"name": function.get("name"), "kind": "function", **more, **given})
    return written


def _kind(schema: Mapping[str, Any]) -> tuple[str, bool]:
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        nullable = "null" in kind
        others = [each for each in kind if each != "null"]
        return (others[0] if len(others) == 1 else "", nullable)
    return str(kind), False


def written_properties(
    schema: Mapping[str, Any], *, strict: bool = False, depth: int = 0
) -> list[dict[str, Any]]:
    """The members of a mapping. ``strict``: one that may be null is one that may be left out."""
    members = []
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        if not isinstance(each, Mapping):
            continue
        needed = name in required and not (strict and _kind(each)[1])
        written = written_property(name, each, required=needed, depth=depth)
        if written and strict:
            written.pop("nullable", None)
        members += [written] if written else []
    return members

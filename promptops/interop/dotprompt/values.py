"""Values that Handlebars names, as expressions of Jinja2, and what is known of their types."""

import json
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass

Schema = Mapping[str, Any]
JSON_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_METHODS = frozenset(dir(dict))


class Use:
    """What templates do with a value, from which its type is told where no schema tells it."""

    __slots__ = ("items", "json", "media", "members", "printed", "tested")

    def __init__(self) -> None:
        self.printed = self.tested = self.json = self.media = False
        self.items: Use | None = None
        self.members: dict[str, Use] = {}

    def member(self, name: str) -> "Use":
        return self.members.setdefault(name, Use())

    def item(self) -> "Use":
        self.items = self.items or Use()
        return self.items


@dataclass(frozen=True, slots=True)
class Value:
    """``missing``: there may be no such value."""

    code: str
    schema: Schema | None = None
    missing: bool = False
    use: Use = field(default_factory=Use)

    @property
    def types(self) -> frozenset[str]:
        return json_types(self.schema)

    @property
    def certain(self) -> bool:
        return not self.missing and "null" not in self.types

    def guarded(self, empty: str) -> str:
        """The expression, or something empty where there is no value."""
        return self.code if self.certain else f"({self.code} | default({empty}, true))"

    def member(self, name: str) -> "Value | None":
        """A member of a mapping, an item of a list by its number, a length; None where there can be none."""
        types = self.types - {"null"}
        if name == "length" and types <= {"array", "string"}:
            return Value(f"({self.guarded('[]')} | length)", {"type": "integer"})
        if name.isdecimal():
            code = f"{self.guarded('[]')}[{name}]"
            return Value(code, _items(self.schema), missing=True, use=self.use.item())
        if "object" not in types:
            return None
        inner = self.guarded("{}") if types == {"object"} else f"({self.code} | default({{}}, true))"
        schema = self.schema or {}
        known = types == {"object"} and self.certain and name in schema.get("required", ())
        return Value(_member_code(inner, name), _property(schema, name), not known, self.use.member(name))

    def item(self, name: str) -> "Value":
        """What a loop over the value calls ``name``."""
        schema = _items(self.schema) if "array" in self.types else None
        if self.types - {"null"} == {"object"}:
            schema = _additional(self.schema or {})
        return Value(name, schema, use=self.use.item())

    def as_present(self) -> "Value":
        return replace(self, missing=False)


def jinja_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def json_types(schema: Schema | None) -> frozenset[str]:
    """The types that a schema allows, as far as it says: all where it says nothing."""
    if schema is None:
        return JSON_TYPES
    types = schema.get("type")
    if isinstance(types, str):
        return frozenset({types})
    if isinstance(types, list):
        return frozenset(types)
    if isinstance(schema.get("enum"), list):
        return frozenset(map(_type_of, schema["enum"]))
    return JSON_TYPES


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _member_code(base: str, name: str) -> str:
    if name in _METHODS:
        return f"{base}.get({jinja_text(name)})"
    return f"{base}.{name}" if name.isidentifier() else f"{base}[{jinja_text(name)}]"


def _property(schema: Schema, name: str) -> Schema | None:
    found = schema.get("properties", {}).get(name)
    return found if isinstance(found, Mapping) else _additional(schema)


def _additional(schema: Schema) -> Schema | None:
    found = schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else None


def _items(schema: Schema | None) -> Schema | None:
    found = (schema or {}).get("items")
    return found if isinstance(found, Mapping) else None


def schema_of_use(use: Use, *, top: bool = True) -> dict[str, Any]:
    """The schema of a value by what templates do with it."""
    if use.items is not None:
        return {"type": "array", "items": schema_of_use(use.items, top=False)}
    if use.members:
        properties = {name: schema_of_use(member, top=False) for name, member in use.members.items()}
        return {"type": "object", "properties": properties}
    if use.printed:
        return {"type": "string" if top else ["string", "number", "boolean"]}
    if use.tested:
        return {"type": "boolean"} if top else {"type": ["string", "number", "boolean"]}
    return {"type": ["object", "array"]}

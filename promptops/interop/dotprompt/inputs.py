"""Inputs of a dotprompt file as inputs of a prompt file."""

from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts
from promptops.interop.dotprompt.picoschema import json_schema
from promptops.interop.dotprompt.values import Schema, json_types
from promptops.interop.values import input_name

_SHARED = ("$defs", "definitions")  # what a property's schema may refer to
_EMPTY: Mapping[str, Any] = {"string": "", "array": [], "boolean": False, "object": {}}


@dataclass(frozen=True, slots=True)
class DeclaredInputs:
    """``given``: whether the file has a schema of its inputs; ``wildcard``: that it allows others besides."""

    schemas: Mapping[str, Schema]
    given: bool


def declared_inputs(data: Any, accounts: KeyAccounts) -> DeclaredInputs:
    """Read ``input: {schema, default}``."""
    if not isinstance(data, Mapping):
        return DeclaredInputs({}, given=False)
    defaults = data.get("default")
    defaults = defaults if isinstance(defaults, Mapping) else {}
    schema = _object_schema(data.get("schema"), accounts)
    schemas: dict[str, Schema] = {}
    required = frozenset((schema or {}).get("required", ()))
    for name, found in (schema or {}).get("properties", {}).items():
        shared = {key: schema[key] for key in _SHARED if schema and key in schema}
        schemas[input_name(name)] = _input({**found, **shared}, name in required, defaults.get(name))
    for name, value in defaults.items():
        schemas.setdefault(input_name(name), {"type": _type_of(value), "default": value})
    if "schema" in data and schema is not None:
        accounts.keep("input", "schema")
    if defaults:
        accounts.keep("input", "default")
    return DeclaredInputs(schemas, given=schema is not None)


def _object_schema(written: Any, accounts: KeyAccounts) -> dict[str, Any] | None:
    path = ("input", "schema")
    try:
        schema = json_schema(written)
    except Invalid as error:
        accounts.lose(path, error.message)
        return None
    if schema is None:
        return None
    properties = schema.get("properties", {})
    if schema.get("type") != "object" or not all(isinstance(each, Mapping) for each in properties.values()):
        accounts.lose(path, "the schema of inputs is not a mapping of names to schemas")
        return None
    return schema


def _input(schema: dict[str, Any], required: bool, default: Any) -> Schema:
    """A value that may be left out has a default that prints nothing and is not true."""
    if default is not None:
        return {**schema, "default": default}
    if required:
        return schema
    types = json_types(schema)
    if types - {"null"} == {"string"} and "enum" not in schema:
        return {**schema, "type": "string", "default": ""}
    if types - {"null"} == {"array"}:
        return {**schema, "type": "array", "default": []}
    return _nullable(schema)


def _nullable(schema: dict[str, Any]) -> Schema:
    kinds = schema.get("type")
    if isinstance(kinds, str) and kinds != "null":
        schema = {**schema, "type": [kinds, "null"]}
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "default": None}


def _type_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def input_by_use(schema: Schema) -> Schema:
    """An input that is known from the text alone may be left out."""
    kind = schema.get("type")
    return {**schema, "default": _EMPTY[kind]} if isinstance(kind, str) and kind in _EMPTY else schema

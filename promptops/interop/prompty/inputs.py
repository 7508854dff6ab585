"""Inputs of a Prompty file as inputs of a prompt file, and the values that it has as an example."""

from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.interop.prompty.properties import property_kind, property_schema
from promptops.interop.prompty.uses import NameUse

_NOT_TOLD = "nothing else says what the text does without it: it is required here"
_EMPTY_VALUES = {"array": [], "object": {}, "boolean": False}


@dataclass(frozen=True, slots=True)
class ReadInput:
    """``note``: what is different here."""

    schema: Mapping[str, Any]
    note: str = ""


def property_input(data: Mapping[str, Any], use: NameUse | None) -> ReadInput:
    """A value that Prompty renders as nothing where it is missing has a default that prints nothing."""
    kind = property_kind(data)
    if kind == "thread":
        return ReadInput({"type": "messages", "default": []})
    if kind == "image":
        return ReadInput({"type": "image"}, "an image: its bytes or a data: URL, and not a URL of a page")
    schema = property_schema(data)
    if data.get("default") is not None:
        return ReadInput({**schema, "default": data["default"]})
    if data.get("required") is True or use is None:
        return ReadInput(schema)
    return missing_as_empty(schema, use)


def missing_as_empty(schema: Mapping[str, Any], use: NameUse) -> ReadInput:
    kind = schema.get("type", "" if {"anyOf", "oneOf"} & schema.keys() else "string")
    if use.tells_missing:
        default = use.only_default
        told = default is not None and kind == "string" and "enum" not in schema and not use.asked
        return ReadInput({**schema, "default": default}) if told else ReadInput(schema, _NOT_TOLD)
    if kind == "string" and "enum" not in schema:
        return ReadInput({**schema, "default": ""})
    if not use.printed and "required" not in schema and (isinstance(kind, list) or kind in _EMPTY_VALUES):
        empty = None if isinstance(kind, list) else _EMPTY_VALUES[kind]  # a list of types has null among them
        return ReadInput({**schema, "default": empty})
    return ReadInput(schema, "Prompty renders it as nothing where it is missing; here it must be given")


def undeclared_input(use: NameUse) -> ReadInput:
    """A name that only the text knows."""
    if use.iterated:
        return missing_as_empty({"type": "array"}, use)
    return ReadInput({"type": "object"}) if use.members else missing_as_empty({"type": "string"}, use)


def sample_input(value: Any, use: NameUse | None) -> ReadInput:
    """Of the first format's sample, which stands in where a value is missing: here it is a case."""
    return property_input({"example": value, "required": True}, use)


def without_blanks(inputs: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Inputs whose texts have no blanks around them."""
    numbers = {"integer", "number", "boolean"}
    return frozenset(
        name
        for name, schema in inputs.items()
        if str(schema.get("type")) in numbers or _is_clean_enum(schema)
    )


def _is_clean_enum(schema: Mapping[str, Any]) -> bool:
    values = schema.get("enum")
    return isinstance(values, list) and all(str(value) == str(value).strip() for value in values)

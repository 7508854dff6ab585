"""The declared inputs of a prompt: a JSON Schema each, or one of two types of promptops' own."""

import keyword
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, cast

from promptops.prompt.canonical_json import compact_json
from promptops.prompt.chat import CHAT_SCHEMA_JSON
from promptops.prompt.json_schema import (
    explain_schema_error,
    schema_problem,
    unknown_name_message,
    validator_for,
)
from promptops.prompt.python_words import INPUT_TYPES
from promptops.prompt.types import Input
from promptops.prompt.untrusted import SANITIZERS

ReportInputProblem = Callable[..., None]
"""Called with the path below the input, the message and a hint."""

_JSON_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_SPECIAL_TYPES = ("image", "messages")
HANDLING_KEYS = ("untrusted", "datamark", "sanitize")
"""What a schema says beside JSON Schema: what is done with a text before it is sent."""

_RESERVED = frozenset(keyword.kwlist) | {
    "true",
    "false",
    "none",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
}


def read_input(name: str, data: str | Mapping[str, Any], report: ReportInputProblem) -> Input:
    if name in _RESERVED:
        report((), f"`{name}` is a word of the template language", "give the input another name")
    schema = {"type": data} if isinstance(data, str) else data
    kind = schema.get("type")
    if isinstance(kind, str) and kind not in (*_JSON_TYPES, *_SPECIAL_TYPES):
        message, hint = unknown_name_message("type", kind, [*_JSON_TYPES, *_SPECIAL_TYPES])
        if near := INPUT_TYPES.get(kind.lower()):
            message, hint = f"unknown type `{kind}` (did you mean `{near}`?)", ""
        report(() if isinstance(data, str) else ("type",), message, hint)
        return Input(name, {})
    if kind in _SPECIAL_TYPES:
        return _special_input(name, cast("Literal['image', 'messages']", kind), schema, report)
    return _value_input(name, schema, report)


def _special_input(
    name: str, kind: Literal["image", "messages"], schema: Mapping[str, Any], report: ReportInputProblem
) -> Input:
    known = ["default", "description", "type"] if kind == "messages" else ["description", "type"]
    for key in schema:
        if key not in known:
            message, hint = unknown_name_message("key", key, known)
            report((key,), f"{message} of an input of type {kind}", hint)
    if "default" in schema and kind == "messages":
        _check_default(name, CHAT_SCHEMA_JSON, schema["default"], report)
    return Input(name, {}, kind, "default" not in schema, schema.get("default"))


def _value_input(name: str, schema: Mapping[str, Any], report: ReportInputProblem) -> Input:
    _check_handling(schema, report)
    if found := schema_problem(schema):
        report(found[0], found[1])
    elif "default" in schema:
        _check_default(name, compact_json(schema), schema["default"], report)
    return Input(name, schema, "value", "default" not in schema, schema.get("default"))


def _check_handling(schema: Mapping[str, Any], report: ReportInputProblem) -> None:
    for key in schema:
        if key not in HANDLING_KEYS and get_close_matches(key, HANDLING_KEYS, 1, 0.8):
            report((key,), *unknown_name_message("key", key, HANDLING_KEYS))  # a slip would leave it undone
    asked = [key for key in HANDLING_KEYS if schema.get(key)]
    if asked and schema.get("type") != "string":
        report((asked[0],), f"`{asked[0]}` is for inputs of type string")
    for key in ("untrusted", "datamark"):
        if not isinstance(schema.get(key, False), bool):
            report((key,), f"`{key}` must be true or false")
    if schema.get("datamark") and not schema.get("untrusted"):
        report(("datamark",), "`datamark` is for untrusted inputs", "write `untrusted: true` beside it")
    steps = schema.get("sanitize", [])
    if not isinstance(steps, list) or any(step not in SANITIZERS for step in steps):
        report(("sanitize",), f"`sanitize` is a list of {', '.join(SANITIZERS)}")


def _check_default(name: str, schema: str, default: Any, report: ReportInputProblem) -> None:
    for error in validator_for(schema).iter_errors(default):
        report(("default",), explain_schema_error(error, f"the default of `{name}`"))
        return

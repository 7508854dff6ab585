"""Tool calls as a part of an answer: how they are shown, and when two answers call the same. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.errors import Invalid
from promptops.prompt.canonical_json import canonical_json

_TEXT: Mapping[str, Any] = {"type": "string"}
_FUNCTION: Mapping[str, Any] = {
    "type": "object",
    "properties": {"name": _TEXT, "arguments": _TEXT},
    "required": ["name", "arguments"],
}
CALLS_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "maxItems": 1_000,
    "items": {
        "type": "object",
        "properties": {"type": _TEXT},
        "required": ["type"],
        "if": {"properties": {"type": {"const": "function"}}, "required": ["type"]},
        "then": {"properties": {"id": _TEXT, "function": _FUNCTION}, "required": ["id", "function"]},
    },
}
"""The calls of an answer as OpenAI writes them, those of functions looked at closely."""
_OWN_KEYS = frozenset({"id", "index"})  # given by the provider, and another with each call


def answer_text(text: str | None, calls: Sequence[Mapping[str, Any]]) -> str:
    """The text of an answer and the tool calls behind it, as a person reads them."""
    shown = [json.dumps(list(calls), ensure_ascii=False, indent=2)] if calls else []
    return "\n".join([*([text] if text else []), *shown])


def comparable_answer(text: str | None, calls: Sequence[Mapping[str, Any]]) -> str | None:
    """The same text for answers that say and call the same; None where there is no answer."""
    called = comparable_calls(calls)
    return "\n".join(filter(None, (text, called))) if called else text


def comparable_calls(calls: Sequence[Mapping[str, Any]]) -> str:
    """Name and arguments of each call as JSON; neither the order of calls nor their ids count."""
    return f"[{','.join(sorted(map(_comparable_call, calls)))}]" if calls else ""


def _comparable_call(call: Mapping[str, Any]) -> str:
    function = call.get("function")
    if not isinstance(function, Mapping) or call.get("type", "function") != "function":
        return _json({key: value for key, value in call.items() if key not in _OWN_KEYS})
    return _json({"name": function.get("name"), "arguments": _arguments(function.get("arguments"))})


def _arguments(value: Any) -> Any:
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return json.loads(value) if value.strip() else {}
    except (ValueError, RecursionError):
        return value


def _json(value: Any) -> str:
    try:
        return canonical_json(value).decode()
    except (Invalid, RecursionError):  # a number or a depth that the canonical form does not have
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)

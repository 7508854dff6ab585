"""A request as the JSON of OpenAI's chat completions (pure).

``parameters`` that are known go out as they are written; others are refused. Added: ``model``,
``messages``, ``tools``, ``stream`` with ``stream_options: {include_usage: true}`` (unless written), and
``response_format`` from an output schema (unless written).

How this differs from litellm for the same call stands in docs/models.md.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from promptops.providers.parameters import check_parameters, check_tools
from promptops.providers.types import CompletionRequest, ModelError

CACHE_CONTROL_KEY = "cache_control"
_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def build_body(
    request: CompletionRequest, model: str, *, ask_schema: bool = True, cache_control: bool = True
) -> dict[str, Any]:
    """The body for ``request``, with ``model`` as the endpoint calls it.

    Without ``cache_control`` the marks of that name stay behind: elsewhere they make a call fail, and they
    say nothing of the answer.
    """
    check_parameters(request.parameters, direct=True)
    check_tools(request.tools)
    messages = list(request.messages if cache_control else map(_without_marks, request.messages))
    body: dict[str, Any] = {"model": model, "messages": messages, **request.parameters}
    if request.tools:
        body["tools"] = list(request.tools)
    if request.output_schema is not None and ask_schema:
        body.setdefault("response_format", response_format(request.output_schema))
    if request.stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return body


def _without_marks(message: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in message.items() if key != CACHE_CONTROL_KEY}
    if isinstance(plain.get("content"), list):
        plain["content"] = [
            {key: value for key, value in part.items() if key != CACHE_CONTROL_KEY}
            for part in plain["content"]
        ]
    return plain


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", str(schema.get("title") or "output"))[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema, "strict": fits_strict(schema)},
    }


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8: the same body always gives the same bytes."""
    try:
        return _encode_json(body).encode()
    except UnicodeEncodeError:
        raise ModelError(
            "bad_request", "the request holds half of a surrogate pair, which is not text"
        ) from None
    except (ValueError, TypeError) as error:
        raise ModelError("bad_request", f"the request cannot be written as JSON: {error}") from None


# What strict mode refuses, or what only some providers' strict mode takes.
_NOT_STRICT = frozenset(
    {
        "allOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "uniqueItems",
        "minLength",
        "maxLength",
        "default",
        "format",
        "definitions",
    }
)
_SCALAR_TYPES = frozenset({"string", "number", "integer", "boolean", "null"})


def fits_strict(schema: Any) -> bool:
    """Whether a schema keeps to the rules of strict mode: each object is closed and requires all it names.

    Told conservatively: asking without strict still asks, while a schema that strict mode refuses
    would fail the call.
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return False
    return _is_strict(schema) and all(map(_is_strict, schema.get("$defs", {}).values()))


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or _NOT_STRICT & schema.keys():
        return False
    match schema.get("type"):
        case "object":
            fits = _is_strict_object(schema)
        case "array":
            fits = _is_strict(schema.get("items"))
        case list() as kinds:
            fits = _SCALAR_TYPES.issuperset(kinds)
        case None if "anyOf" in schema:
            fits = all(map(_is_strict, schema["anyOf"]))
        case None:
            fits = not schema.keys().isdisjoint({"enum", "const", "$ref"})
        case kind:
            fits = kind in _SCALAR_TYPES
    return fits


def _is_strict_object(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False
    return (
        closed
        and set(schema.get("required", ())) == set(properties)
        and all(map(_is_strict, properties.values()))
    )

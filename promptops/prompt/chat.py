"""Chat messages in OpenAI's form, as an input of type messages takes them, and as people read them. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from promptops.prompt.canonical_json import compact_json

CACHE_CONTROL: Mapping[str, Any] = {
    "type": "object",
    "description": "Where the provider's cache of the prompt ends; sent to providers that know it.",
    "properties": {"type": {"const": "ephemeral"}, "ttl": {"enum": ["5m", "1h"]}},
    "required": ["type"],
    "additionalProperties": False,
}
SYSTEM_ROLES = ("system", "developer")
_MAX_DATA = 28_000_000  # characters of base64: about 20 MB
_MAX_ID = 100  # characters of an id that a message shows
_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXT_OR_NULL: Mapping[str, Any] = {"type": ["string", "null"]}
# Addresses are https alone: a path or an address of the inner network would be read by whoever sends it on.
_IMAGE_URL = r"^(data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]*={0,2}|https://[^\s]+)$"
_DATA_URL = re.compile(r"data:([a-z0-9.+/-]+);base64,([A-Za-z0-9+/]*={0,2})")
_FILE_DATA = r"^(data:[a-z0-9.+/-]+;base64,)?[A-Za-z0-9+/]*={0,2}$"
_FILE_ID = r"^(https://[^\s]+|[A-Za-z0-9_.-]+)$"


def _part(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """One kind of part: everything about it is in a member of its own name."""
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, kind: content, "cache_control": CACHE_CONTROL},
        "required": ["type", kind],
        "additionalProperties": False,
    }


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_PARTS: Mapping[str, Any] = {
    "text": _part("text", _TEXT),
    "refusal": _part("refusal", _TEXT),
    "image_url": _part(
        "image_url",
        _closed(
            ["url"],
            url={"type": "string", "pattern": _IMAGE_URL, "maxLength": _MAX_DATA},
            detail={"enum": ["auto", "low", "high", "original"]},
        ),
    ),
    "file": _part(
        "file",
        {
            **_closed(
                [],
                file_data={"type": "string", "pattern": _FILE_DATA, "maxLength": _MAX_DATA},
                file_id={"type": "string", "pattern": _FILE_ID},
                filename=_TEXT,
            ),
            "oneOf": [{"required": ["file_data"]}, {"required": ["file_id"]}],
        },
    ),
    "input_audio": _part(
        "input_audio",
        _closed(
            ["data", "format"],
            data={"type": "string", "pattern": r"^[A-Za-z0-9+/]*={0,2}$", "maxLength": _MAX_DATA},
            format=_TEXT,
        ),
    ),
}
_CALL: Mapping[str, Any] = _closed(
    ["id", "type", "function"],
    id=_TEXT,
    type={"const": "function"},
    function=_closed(["name", "arguments"], name=_TEXT, arguments=_TEXT),
    index={"type": "integer"},
)
_ASSISTANT: Mapping[str, Any] = {  # with what a provider wants back of an earlier answer
    "tool_calls": {"type": ["array", "null"], "items": _CALL},
    "refusal": _TEXT_OR_NULL,
    "reasoning": _TEXT_OR_NULL,
    "reasoning_content": _TEXT_OR_NULL,
    "reasoning_details": {"type": "array", "items": {"type": "object"}},
    "thinking_blocks": {"type": "array", "items": {"type": "object"}},
}


def _content(*kinds: str, nullable: bool = False) -> dict[str, Any]:
    """A text, or parts of these kinds; the kind is looked at first, so that an error names what it lacks."""
    item = {
        "type": "object",
        "properties": {"type": {"enum": list(kinds)}},
        "required": ["type"],
        "allOf": [{"if": {"properties": {"type": {"const": kind}}}, "then": _PARTS[kind]} for kind in kinds],
    }
    types = ["string", "array", *(["null"] if nullable else [])]
    return {"type": types, "items": item, "minItems": 1}


def _message(content: Mapping[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    return {
        "properties": {
            "role": True,
            "content": content,
            "name": _TEXT,
            "cache_control": CACHE_CONTROL,
            **more,
        },
        "required": required,
        "additionalProperties": False,
    }


_ROLES: Mapping[str, Any] = {
    "system": _message(_content("text"), ["content"]),
    "developer": _message(_content("text"), ["content"]),
    "user": _message(_content("text", "image_url", "file", "input_audio"), ["content"]),
    "assistant": {
        **_message(_content("text", "refusal", nullable=True), [], **_ASSISTANT),
        "if": {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
        "else": {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
    },
    "tool": _message(_content("text"), ["content", "tool_call_id"], tool_call_id=_TEXT),
}
CHAT_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"role": {"enum": list(_ROLES)}},
        "required": ["role"],
        "allOf": [
            {"if": {"properties": {"role": {"const": role}}, "required": ["role"]}, "then": schema}
            for role, schema in _ROLES.items()
        ],
    },
}
CHAT_SCHEMA_JSON = compact_json(CHAT_SCHEMA)


def tool_order_problem(messages: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Why providers refuse these messages: a tool call and its result are apart; "" where none are.

    With each message what it is called; one without a name is the prompt's own, and not named.
    """
    caller, open_calls, known = "", dict[str, None](), frozenset[str]()
    for name, message in (*messages, ("", {})):
        if message.get("role") == "tool":
            call = message["tool_call_id"]
            if name and call not in known:
                shown = call[:_MAX_ID]
                return (
                    f"{name} is the result of the tool call `{shown}`, and follows no message that makes it"
                )
            open_calls.pop(call, None)
            continue
        if caller and open_calls:
            first = next(iter(open_calls))[:_MAX_ID]
            return f"{caller} makes the tool call `{first}`, and its result does not follow"
        ids = Counter(call["id"] for call in message.get("tool_calls") or ())
        if name and (twice := next((each for each, count in ids.items() if each and count > 1), None)):
            return f"{name} makes more than one tool call `{twice[:_MAX_ID]}`"
        caller, open_calls = name, dict.fromkeys(ids)
        known = frozenset(open_calls)
    return ""


def system_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """What the system messages say."""
    said = (message.get("content") for message in messages if message.get("role") in SYSTEM_ROLES)
    return "\n\n".join(
        "\n".join(map(_part_text, content)) if isinstance(content, list) else content
        for content in said
        if content
    )


def message_text(message: Mapping[str, Any]) -> str:
    """A message as people read it: its texts, what stands for each image or file, and its tool calls."""
    content = message.get("content")
    shown = "\n".join(map(_part_text, content)) if isinstance(content, list) else str(content or "")
    calls = message.get("tool_calls")
    called = json.dumps(calls, ensure_ascii=False, indent=2) if calls else ""
    return "\n".join(filter(None, (shown, called)))


def summarize_data_urls(text: str) -> str:
    """The text with each data: URL as its type and size: ``[image/png, 68 bytes]``."""
    return _DATA_URL.sub(lambda url: f"[{url[1]}, {_size(url[2]):,} bytes]", text)


def _part_text(part: Mapping[str, Any]) -> str:
    kind = str(part.get("type"))
    if kind in ("text", "refusal"):
        return str(part.get(kind) or "")
    inner = part.get(kind)
    given = inner if isinstance(inner, Mapping) else {}
    source = next((str(given[key]) for key in ("url", "file_data", "data") if given.get(key)), "")
    if _DATA_URL.match(source):
        return summarize_data_urls(source)
    named = given.get("filename") or given.get("file_id") or given.get("url")
    return f"[{kind}: {named}]" if named else f"[{kind}, {_size(source):,} bytes]"


def part_bytes(part: Mapping[str, Any]) -> int:
    """About how many bytes a file or a recording sends along; images are counted by themselves."""
    inner = part.get(str(part.get("type")))
    given = inner if isinstance(inner, Mapping) else {}
    return _size(str(given.get("file_data") or given.get("data") or "").partition(";base64,")[2])


def _size(data: str) -> int:
    return len(data) * 3 // 4 - data[-2:].count("=")

"""What checks on content and on tool calls take as arguments. Imported when a prompt has one of them."""

from collections.abc import Mapping
from typing import Any

from promptops.config.redaction_rules import REDACTION_KINDS

_MANY = 1_000
_KINDS_SCHEMA = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(REDACTION_KINDS)}}
DATA_SCHEMA: Mapping[str, Any] = {
    **_KINDS_SCHEMA,
    "type": ["array", "object"],
    "properties": {
        "kinds": _KINDS_SCHEMA,
        "allow": {"type": "array", "maxItems": _MANY, "items": {"type": "string", "minLength": 1}},
    },
    "additionalProperties": False,
}
LINKS_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "maxItems": _MANY,
    "items": {"type": "string", "minLength": 1, "maxLength": 253},
}
CANARY_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "array"],
    "minLength": 1,
    "maxLength": 200,
    "minItems": 1,
    "maxItems": 100,
    "items": {"type": "string", "minLength": 1, "maxLength": 200},
}
LEAK_SCHEMA: Mapping[str, Any] = {"type": "integer", "minimum": 4, "maximum": 1000}
_TEXT = {"type": "string", "minLength": 1}
_JUDGE_PROPERTIES: Mapping[str, Any] = {
    "prompt": _TEXT,
    "votes": {"type": "integer", "minimum": 1, "maximum": 101},
    "pass": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
}
TOXICITY_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": _JUDGE_PROPERTIES,
    "additionalProperties": False,
}
TONE_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object"],
    "minLength": 1,
    "properties": {"tone": _TEXT, **_JUDGE_PROPERTIES},
    "required": ["tone"],
    "additionalProperties": False,
}
_TOPICS = {"type": "array", "minItems": 1, "maxItems": 100, "items": _TEXT}
TOPIC_SCHEMA: Mapping[str, Any] = {
    **_TOPICS,
    "type": ["string", "array", "object"],
    "minLength": 1,
    "properties": {"topics": _TOPICS, **_JUDGE_PROPERTIES},
    "required": ["topics"],
    "additionalProperties": False,
}
INJECTION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "judge": {
            "type": ["boolean", "object"],
            "properties": _JUDGE_PROPERTIES,
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
_TOOL_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_TOOL_NAMES = {"type": "array", "minItems": 1, "maxItems": 100, "items": _TOOL_NAME}
_BY_TOOL = {"type": "object", "minProperties": 1, "propertyNames": _TOOL_NAME}
_CALL_COUNT = {"type": "integer", "minimum": 0, "maximum": _MANY}
TOOL_CALLS_SCHEMA: Mapping[str, Any] = {
    **_TOOL_NAMES,
    "type": ["string", "array", "object"],
    "minLength": 1,
    "properties": {
        "names": _TOOL_NAMES,
        "order": {"enum": ["any", "exact"]},
        "arguments": {**_BY_TOOL, "additionalProperties": {"type": "object"}},
        "schemas": {**_BY_TOOL, "additionalProperties": {"type": "object"}},
        "never": _TOOL_NAMES,
        "at_least": _CALL_COUNT,
        "at_most": _CALL_COUNT,
    },
    "additionalProperties": False,
}

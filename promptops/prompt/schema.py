"""The keys of a prompt file, as a JSON Schema: what validates it, and what editors show."""

from typing import Any

from promptops.config.redaction_rules import KEEP_SCHEMA, redact_schema
from promptops.config.retention_limits import RETENTION_PROPERTIES
from promptops.prompt.chat import CACHE_CONTROL

_MODEL = {"type": "string", "pattern": r"^\S+$"}
_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"

_PART: dict[str, Any] = {
    "type": "object",
    "description": "A part of a message: a text, an image given as input, or an image beside the prompts.",
    "properties": {
        "text": {"type": "string", "description": "A Jinja2 template."},
        "image": {"type": "string", "description": "The name of an input of type image."},
        "image_file": {"type": "string", "description": "Path of an image, below prompts/."},
        "cache_control": CACHE_CONTROL,
    },
    "if": {"required": ["cache_control"]},
    "then": {"minProperties": 2, "maxProperties": 2},
    "else": {"minProperties": 1, "maxProperties": 1},
    "additionalProperties": False,
}

_INSERT: dict[str, Any] = {
    "properties": {
        "insert": {
            "type": "string",
            "description": "The name of an input of type messages: its messages stand here, never rendered.",
        }
    },
    "additionalProperties": False,
}

_MESSAGE: dict[str, Any] = {
    "properties": {
        "role": {
            "type": "string",
            "enum": ["system", "developer", "user", "assistant", "tool"],
            "description": "Who speaks.",
        },
        "content": {
            "type": ["string", "array"],
            "description": "A Jinja2 template, or a list of parts (texts and images).",
            "items": _PART,
            "minItems": 1,
        },
        "name": {"type": "string", "description": "Name of the speaker, sent as written."},
        "cache_control": CACHE_CONTROL,
        "tool_call_id": {"type": "string", "description": "Which call a message of role tool answers."},
        "tool_calls": {
            "type": "array",
            "items": {"type": "object"},
            "minItems": 1,
            "description": "Calls that an example message of the assistant makes, in OpenAI's form.",
        },
    },
    "required": ["role"],
    "additionalProperties": False,
    "if": {"properties": {"role": {"const": "tool"}}, "required": ["role"]},
    "then": {"required": ["content", "tool_call_id"]},
    "else": {"if": {"required": ["tool_calls"]}, "else": {"required": ["content"]}},
}

_TOOL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "`function`, or a kind of tool the provider knows."},
        "function": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                "description": {"type": "string"},
                "parameters": {"type": "object", "description": "JSON Schema of the arguments."},
                "strict": {"type": ["boolean", "null"]},
            },
            "required": ["name"],
        },
    },
    "required": ["type"],
    "if": {"properties": {"type": {"const": "function"}}},
    "then": {"required": ["function"]},
}

CHECK_SCHEMA: dict[str, Any] = {
    "type": ["string", "object"],
    "description": "The name of a check, or `{check: argument}` with name, weight, threshold, not beside it.",
    "minProperties": 1,
    "properties": {
        "name": {"type": "string", "minLength": 1, "description": "How results call this check."},
        "weight": {"type": "number", "minimum": 0, "description": "Its share in a score; 1 unless given."},
        "threshold": {"type": "number", "description": "The least value that passes."},
        "not": {
            "type": ["boolean", "string", "object"],
            "description": "true, or the check itself: passes when the check fails.",
        },
    },
}

_GUARD: dict[str, Any] = {
    "type": "object",
    "description": "A check that acts. A flag is not part of the version; all else is.",
    "properties": {
        "on": {
            "type": "string",
            "enum": ["input", "output"],
            "description": "input: before the model is called. output: before the answer leaves.",
        },
        "check": CHECK_SCHEMA,
        "do": {
            "type": "string",
            "enum": ["block", "redact", "flag", "retry", "replace"],
            "description": "What is done where the check does not pass.",
        },
        "with": {
            "type": "string",
            "description": "The text in place of the answer (replace), or of each value (redact).",
        },
        "message": {"type": "string", "description": "What the caller is told where it blocks."},
        "on_error": {
            "type": "string",
            "enum": ["block", "allow"],
            "description": "Where the check cannot say, a judge is down. Default: block; for flag: allow.",
        },
        "name": {"type": "string", "minLength": 1, "description": "How the log calls this guard."},
        "inputs": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": "Which inputs it looks at; all of them unless given.",
        },
        "retries": {
            "type": "integer",
            "minimum": 1,
            "maximum": 3,
            "description": "retry: how often the model is asked again; 1 unless given.",
        },
        "then": {
            "type": "string",
            "enum": ["block", "replace", "flag"],
            "description": "retry: what is done where it does not pass after that either. Default: block.",
        },
    },
    "required": ["on", "check", "do"],
    "additionalProperties": False,
}

PROMPT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "promptops prompt",
    "description": "A versioned prompt: which model is asked what, and what its answer must satisfy.",
    "type": "object",
    "properties": {
        "description": {"type": "string", "description": "What the prompt is for. Not part of the version."},
        "model": {
            **_MODEL,
            "description": "The pinned model in litellm's notation: openai/gpt-5.4-mini-2026-03-17.",
        },
        "parameters": {
            "type": "object",
            "description": "Sent to the model as written: temperature, max_tokens, seed, stop, …",
            "propertyNames": {"not": {"enum": ["messages", "model", "stream", "tools"]}},
        },
        "inputs": {
            "type": "object",
            "description": "Values the templates take: a JSON Schema each, or its type (ticket: string).",
            "propertyNames": {"pattern": _NAME},
            "additionalProperties": {
                "type": ["string", "object"],
                "description": "A type (also messages, image) or a JSON Schema; a default makes it optional.",
            },
        },
        "messages": {
            "type": "array",
            "description": "What is sent, in order. Contents are Jinja2 templates.",
            "minItems": 1,
            "items": {"type": "object", "if": {"required": ["insert"]}, "then": _INSERT, "else": _MESSAGE},
        },
        "tools": {"type": "array", "items": _TOOL, "description": "Tool definitions in OpenAI's form."},
        "caller_tools": {
            "type": "string",
            "enum": ["deny", "allow"],
            "description": "allow: callers of `promptops serve` may add tools of their own. Default: deny.",
        },
        "fallback": {
            "type": "array",
            "items": _MODEL,
            "description": "Further models, tried in order when one fails with an error that may pass.",
        },
        "output": {
            "type": "object",
            "description": "What the answer must be; asked of the provider where it can, always validated.",
            "properties": {
                "schema": {
                    "type": ["string", "object"],
                    "description": "A JSON Schema, or the path of one below prompts/.",
                },
                "repair": {
                    "type": "integer",
                    "enum": [0, 1],
                    "description": "1: an invalid answer goes back once, with what is wrong with it.",
                },
                "extract": {
                    "type": "string",
                    "enum": ["json", "none"],
                    "description": "json: the JSON in the answer is the answer, whatever stands around it. "
                    "Left out, so where the provider is not asked for the schema.",
                },
            },
            "if": {"properties": {"extract": {"const": "json"}}, "required": ["extract"]},
            "then": {"dependentRequired": {"repair": ["schema"]}},
            "else": {"required": ["schema"]},
            "additionalProperties": False,
        },
        "max_input_tokens": {
            "type": "integer",
            "minimum": 1,
            "description": "Context budget: a larger prompt is not sent. Not part of the version.",
        },
        "checks": {
            "type": "array",
            "items": CHECK_SCHEMA,
            "description": "What every answer must satisfy. Not part of the version.",
        },
        "guards": {
            "type": "array",
            "items": _GUARD,
            "maxItems": 100,
            "description": "Checks that act on what comes in and what goes out.",
        },
        "cases": {
            "type": "string",
            "description": "Path of the golden set, below prompts/. Not part of the version.",
        },
        "probes": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 200},
            "minItems": 1,
            "maxItems": 200,
            "uniqueItems": True,
            "description": "Ids of the cases that `monitor check --probes` asks. Not part of the version.",
        },
        "log": {
            "type": "object",
            "description": "What is redacted besides what promptops.yaml says. Not part of the version.",
            "additionalProperties": False,
            "properties": {"redact": redact_schema(python=False), "keep": KEEP_SCHEMA},
        },
        "review": {
            "type": "string",
            "enum": ["none", "required"],
            "description": "required: on a channel, answers are held until a person has released them. "
            "Default: none. Not part of the version.",
        },
        "retention": {
            "type": "object",
            "description": "How long texts of its runs are kept, where that is shorter than promptops.yaml "
            "says. Not part of the version.",
            "additionalProperties": False,
            "properties": RETENTION_PROPERTIES,
        },
        "metadata": {"type": "object", "description": "Free, as owner. Not part of the version."},
    },
    "required": ["model", "messages"],
    "additionalProperties": False,
}

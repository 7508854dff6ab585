"""The JSON Schema of promptops.yaml. Only data, so that reading settings costs little."""

from typing import Any

from promptops.config.alerts_schema import ALERTS_SCHEMA
from promptops.config.model_schema import MODEL_SCHEMA
from promptops.config.plan_schema import PLAN_SCHEMA
from promptops.config.redaction_rules import KEEP_SCHEMA, redact_schema
from promptops.config.retention_limits import RETENTION_PROPERTIES

SETTINGS_FILE = "promptops.yaml"
LINT_RULE_IDS = (
    "bad-cases",
    "bad-check",
    "bad-file",
    "bad-guard",
    "bad-ignore",
    "bad-include",
    "bad-input",
    "bad-name",
    "bad-schema",
    "bad-value",
    "case-fails",
    "case-inputs",
    "case-over-budget",
    "costly-guard-first",
    "crlf",
    "duplicate-check-name",
    "encoding",
    "file-size",
    "floating-model",
    "guard-holds-stream",
    "guard-never-fires",
    "guard-without-message",
    "hidden-characters",
    "json-syntax",
    "loose-schema",
    "merge-conflict",
    "missing-ability",
    "missing-key",
    "model-address",
    "model-not-pinnable",
    "never-varied",
    "over-budget",
    "over-output",
    "over-window",
    "parameter-conflict",
    "parameter-not-taken",
    "parameter-value",
    "prints-json",
    "promptfoo-check",
    "retired-model",
    "retiring-model",
    "review-without-outputs",
    "schemaless-check",
    "secret",
    "single-braces",
    "slow-pattern",
    "template-syntax",
    "tool-address",
    "undeclared-variable",
    "undelimited-untrusted",
    "unknown-key",
    "unknown-keyword",
    "unknown-model",
    "unknown-parameter",
    "unreached-branch",
    "untrusted-in-system",
    "unused-input",
    "version-key",
    "yaml-syntax",
)
"""The rules of ``lint``, which stands above; a test holds the two together."""

_SEVERITY = {"type": "string", "enum": ["off", "note", "warning", "error"]}

SETTINGS_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": SETTINGS_FILE,
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "registry": {
            "type": "string",
            "description": "Path of the registry of runs in this repository, relative to this file. Default: "
            "registry.db here. A place outside of it is given by --registry or PROMPTOPS_REGISTRY. Or the "
            "URL of a PostgreSQL database, without a password; each clone agrees to it by `git config "
            "promptops.registry URL`.",
        },
        "channels": {
            "type": "object",
            "description": "Channels besides staging and production, each with the plan its canaries follow.",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"plan": {"type": "string"}},
            },
        },
        "releases": {
            "type": "array",
            "description": "Which plan releases which prompts; the first match wins.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["prompts", "plan"],
                "properties": {"prompts": {"type": "string"}, "plan": {"type": "string"}},
            },
        },
        "release": {
            "type": "object",
            "description": "The reviewed branch that releases must come from, and what happens where "
            "the state branch was changed by hand.",
            "additionalProperties": False,
            "properties": {
                "from": {"type": "string"},
                "on_tamper": {
                    "type": "string",
                    "enum": ["refuse", "warn"],
                    "description": "refuse: the last good state goes on being served. Default: refuse.",
                },
            },
        },
        "plans": {
            "type": "object",
            "description": "Release plans by name.",
            "additionalProperties": PLAN_SCHEMA,
        },
        "models": {
            "type": "object",
            "description": "Prices and limits of models by name, where the built-in list has none or others.",
            "additionalProperties": MODEL_SCHEMA,
        },
        "log": {
            "type": "object",
            "description": "What of a run is kept.",
            "additionalProperties": False,
            "properties": {
                "inputs": {"type": "string", "enum": ["full", "hash", "none"]},
                "outputs": {"type": "string", "enum": ["full", "hash", "none"]},
                "on_error": {"type": "string", "enum": ["spool", "fail"]},
                "redact": redact_schema(python=True),
                "keep": KEEP_SCHEMA,
            },
        },
        "alerts": ALERTS_SCHEMA,
        "telemetry": {
            "type": "object",
            "description": "Spans and metrics for OpenTelemetry. The environment says where they go.",
            "additionalProperties": False,
            "properties": {
                "otlp": {
                    "type": "boolean",
                    "description": "Whether spans and metrics are sent. Default: false.",
                },
                "content": {
                    "type": "boolean",
                    "description": "Whether spans hold texts, redacted as in the log. Default: false.",
                },
            },
        },
        "retention": {
            "type": "object",
            "description": "How long texts of runs are kept; `registry prune --apply-retention` erases them.",
            "additionalProperties": False,
            "properties": {
                **RETENTION_PROPERTIES,
                "tenants": {
                    "type": "object",
                    "description": "Shorter limits by the `tenant` in the metadata of runs.",
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": RETENTION_PROPERTIES,
                    },
                },
            },
        },
        "lint": {
            "type": "object",
            "description": "Severities of lint rules, and how many days ahead a model's retirement counts.",
            "additionalProperties": False,
            "properties": {
                "rules": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": dict.fromkeys(LINT_RULE_IDS, _SEVERITY),
                },
                "retirement_days": {"type": "integer", "minimum": 0},
            },
        },
        "probes": {
            "type": "object",
            "description": "Cases that `monitor check --probes` answers again and again, by channel "
            "(NAME:CHANNEL): has the model changed?",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "tag": {"type": "string", "description": "Cases with this tag; else the first ones."},
                    "cases": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 200,
                        "description": "How many at most. Default: 10.",
                    },
                    "repeats": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": 20,
                        "description": "How often each is answered in a night. Default: 3.",
                    },
                },
            },
        },
        "slices": {
            "type": "object",
            "description": "Tags of runs whose quality `monitor check` also watches for themselves, by "
            "channel (NAME:CHANNEL) or prompt: at most five.",
            "additionalProperties": {
                "type": "array",
                "items": {"type": "string"},
                "maxItems": 5,
            },
        },
        "serve": {
            "type": "object",
            "description": "What `promptops serve` does with requests of its callers.",
            "additionalProperties": False,
            "properties": {
                "aliases": {
                    "type": "object",
                    "description": "Names of prompts by ids that programs have, such as pmpt_….",
                    "additionalProperties": {"type": "string"},
                },
                "caller_parameters": {
                    "type": "string",
                    "enum": ["ignore", "refuse"],
                    "description": "What happens to a caller's temperature and the like. Default: ignore.",
                },
                "passthrough": {
                    "type": "string",
                    "enum": ["deny", "log"],
                    "description": "log: keys with --models call models without a prompt. Default: deny.",
                },
            },
        },
    },
}

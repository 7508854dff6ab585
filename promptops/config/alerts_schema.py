"""The JSON Schema of ``alerts:`` in promptops.yaml. Addresses and keys are named, never written there."""

from typing import Any

ALERT_KINDS = ("drift", "release", "budget", "retirement", "gateway")
_VARIABLE = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,100}$"}


def _place(*names: str, required: tuple[str, ...] = ("url_env",)) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict.fromkeys(names, _VARIABLE),
    }


_COMMAND = {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string", "maxLength": 1000}}
_USD = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}
ALERTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Where news of drift, releases, budgets, retirements and the gateway is sent.",
    "additionalProperties": False,
    "properties": {
        "to": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "webhook": _place("url_env", "secret_env"),
                    "slack": _place("url_env"),
                    "github": _place("token_env", "repository_env", required=()),
                    "command": _COMMAND,
                    "on": {"type": "array", "minItems": 1, "items": {"enum": list(ALERT_KINDS)}},
                },
            },
        },
        "budgets": {
            "type": "array",
            "maxItems": 200,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "usd_per_day": _USD,
                    "usd_per_month": _USD,
                    "prompt": {"type": "string", "minLength": 1},
                    "tenant": {"type": "string", "minLength": 1},
                },
            },
        },
        "gateway": _place("url_env"),
        "deadline_hours": {"type": "number", "minimum": 0, "maximum": 10_000},
    },
}

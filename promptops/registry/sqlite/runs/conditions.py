"""A filter of runs as an SQL expression. Runs are aliased ``r`` in it."""

from dataclasses import fields
from typing import Any

from promptops.registry.filters import ANY_ERROR, RunFilter

TENANT_CONDITION = "coalesce(r.tenant, json_extract(t.metadata, '$.tenant')) = ?"
"""Whose a run is: its key says so, else its metadata. The texts are aliased ``t``."""
_CONDITIONS = {
    "digest": "substr(r.digest, 1, length(?)) = ?",
    "since": "r.started_at >= ?",
    "until": "r.started_at < ?",
    "min_cost": "r.cost_usd >= ?",
    "min_latency": "r.latency_ms >= ?",
    "channel": "r.channel = ?",
    "tag": "EXISTS (SELECT 1 FROM run_tags WHERE tag = ? AND run_tags.seq = r.seq)",
    "tenant": f"EXISTS (SELECT 1 FROM run_texts t WHERE t.seq = r.seq AND {TENANT_CONDITION})",  # noqa: S608 - a constant
    "kind": "r.kind = ?",
    "state": "r.state = ?",
    "traffic": "(r.kind = 'run' OR (r.kind = 'batch' AND r.channel IS NOT NULL)) = ?",
}


def filter_conditions(chosen: RunFilter) -> tuple[str, list[Any]]:
    """An SQL expression and its values."""
    parts, values = ["1"], []
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        if value is not None:
            condition, bound = _condition(field.name, value)
            parts.append(condition)
            values += bound
    return " AND ".join(parts), values


def _condition(name: str, value: Any) -> tuple[str, list[Any]]:
    if name in ("prompt", "model"):
        column = "prompt" if name == "prompt" else "request_model"
        return f"r.{column} {'GLOB' if _has_wildcard(value) else '='} ?", [value]
    if name == "error":
        return ("r.error_type IS NOT NULL", []) if value == ANY_ERROR else ("r.error_type = ?", [value])
    sql = _CONDITIONS[name]
    return sql, [value] * sql.count("?")


def _has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text

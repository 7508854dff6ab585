"""A filter of runs as an SQL expression. Runs are aliased ``r`` in it."""

from dataclasses import fields
from typing import Any

from promptops.registry.filters import ANY_CHECK, ANY_ERROR, RunFilter

ALL_RUNS = "TRUE"
"""The expression of a filter that leaves nothing out."""
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
    "version": "r.version = ?",
    "arm": "r.arm = ?",
    "key_tenant": "r.tenant = ?",
    "kind": "r.kind = ?",
    "eval_id": "r.eval_id = ?",
    "state": "r.state = ?",
}
_IS_TRAFFIC = "(r.kind = 'run' OR (r.kind = 'batch' AND r.channel IS NOT NULL))"
_FAILED_CHECK = (
    "r.checks_failed > 0 AND EXISTS (SELECT 1 FROM outcomes o WHERE o.run_seq = r.seq "
    "AND o.source = 'check' AND o.name = ? AND coalesce(o.passed, 0) <> 1)"
)
_BY_THUMBS = (
    "r.seq IN (SELECT run_seq FROM outcomes WHERE source = 'person' AND name = 'thumbs' AND value {} 0)"
)
_THUMBS = {"up": _BY_THUMBS.format(">"), "down": _BY_THUMBS.format("<=")}


def filter_conditions(chosen: RunFilter) -> tuple[str, list[Any]]:
    """An SQL expression and its values."""
    parts, values = [ALL_RUNS], []
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
        return f"r.{column} {'GLOB' if has_wildcard(value) else '='} ?", [value]
    if name == "error":
        return ("r.error_type IS NOT NULL", []) if value == ANY_ERROR else ("r.error_type = ?", [value])
    if name == "thumbs":
        return _THUMBS[value], []
    if name == "traffic":
        return (_IS_TRAFFIC if value else f"NOT {_IS_TRAFFIC}"), []
    if name == "failed_check":
        return ("r.checks_failed > 0", []) if value == ANY_CHECK else (_FAILED_CHECK, [value])
    sql = _CONDITIONS[name]
    return sql, [value] * sql.count("?")


def has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text

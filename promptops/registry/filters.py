"""Which runs are meant: what the reading verbs have in common."""

import re
from dataclasses import dataclass, fields
from time import time
from typing import Any

from promptops.config.clock import utc_seconds, utc_text
from promptops.errors import Invalid

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
ANY_ERROR = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """All of what is given must hold. Runs are aliased ``r`` in the conditions."""

    prompt: str | None = None  # may hold the wildcards * and ?
    digest: str | None = None  # or the start of one
    model: str | None = None  # as asked for; may hold wildcards
    error: str | None = None  # a type of error, or "any"
    since: str | None = None
    until: str | None = None
    min_cost: float | None = None
    min_latency: float | None = None
    channel: str | None = None
    tag: str | None = None
    kind: str | None = None
    state: str | None = None
    traffic: bool | None = None  # what served somebody: runs, and batches on a channel

    def conditions(self) -> tuple[str, list[Any]]:
        """An SQL expression and its values."""
        parts, values = ["1"], []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                condition, bound = _condition(field.name, value)
                parts.append(condition)
                values += bound
        return " AND ".join(parts), values


_CONDITIONS = {
    "digest": "substr(r.digest, 1, length(?)) = ?",
    "since": "r.started_at >= ?",
    "until": "r.started_at < ?",
    "min_cost": "r.cost_usd >= ?",
    "min_latency": "r.latency_ms >= ?",
    "channel": "r.channel = ?",
    "tag": "EXISTS (SELECT 1 FROM run_tags WHERE tag = ? AND run_tags.seq = r.seq)",
    "kind": "r.kind = ?",
    "state": "r.state = ?",
    "traffic": "(r.kind = 'run' OR (r.kind = 'batch' AND r.channel IS NOT NULL)) = ?",
}


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


def parse_time(text: str, option: str = "--since") -> str:
    """A span back from now (``90m``, ``12h``, ``7d``, ``2w``) or an ISO date or time, as UTC text."""
    span = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if span:
        return utc_text(max(0.0, time() - int(span[1]) * _UNITS[span[2]]))
    try:
        return utc_text(utc_seconds(text))
    except ValueError:
        raise Invalid(
            f"{option} {text}: neither a span nor a date",
            hint="give 90m, 12h, 7d or 2w, or a date such as 2026-11-02 or 2026-11-02T09:00 (UTC)",
        ) from None

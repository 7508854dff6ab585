"""Sums over runs: calls, errors, tokens, cost, latency. All of it is read from one covering index."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from array import array
from dataclasses import replace
from typing import Any, Literal

from promptops.registry.filters import RunFilter
from promptops.registry.sqlite.runs.conditions import filter_conditions
from promptops.registry.sqlite.store import RegistryDatabase

StatsKey = Literal["prompt", "version", "model", "day", "kind", "digest"]
StatsRow = dict[str, Any]

_KEYS: dict[str, str] = {
    "prompt": "r.prompt",
    "version": "r.prompt || '@' || coalesce(r.version, 'sha256:' || substr(r.digest, 1, 12))",
    "digest": "r.digest",
    "model": "r.request_model",
    "day": "substr(r.started_at, 1, 10)",
    "kind": "r.kind",
}
# A call answered from the cache waited for nobody, and one that failed says nothing of a model's speed.
_HAS_MODEL_LATENCY = "r.error_type IS NULL AND r.cache_source IS NULL AND r.latency_ms IS NOT NULL"
_SUMS = f"""
  count(*) AS calls,
  coalesce(sum(r.error_type IS NOT NULL AND r.state <> 'interrupted'), 0) AS errors,
  coalesce(sum(r.state IN ('started', 'interrupted')), 0) AS unfinished,
  sum(r.input_tokens) AS input_tokens,
  sum(r.output_tokens) AS output_tokens,
  sum(r.cost_usd) AS cost_usd,
  sum(r.spent_usd) AS spent_usd,
  coalesce(sum(r.cost_usd IS NULL AND r.error_type IS NULL AND r.state = 'finished'), 0) AS unpriced,
  count(r.cache_source) AS cache_hits,
  count(r.checks_failed) AS checked,
  coalesce(sum(r.checks_failed > 0), 0) AS checks_failed,
  max(r.started_at) AS last_run_at,
  percentiles(r.latency_ms) FILTER (WHERE {_HAS_MODEL_LATENCY}) AS latencies
"""


class _Percentiles:
    """Exact nearest-rank percentiles in one pass, four times as fast as a window function."""

    def __init__(self) -> None:
        self._values = array("d")

    def step(self, value: float) -> None:
        self._values.append(value)

    def finalize(self) -> str:
        """Not called when there was no value: the result is NULL then."""
        ordered = sorted(self._values)
        p50, p95 = (ordered[(len(ordered) * percent + 99) // 100 - 1] for percent in (50, 95))
        return f"{p50!r} {p95!r}"


def read_run_stats(registry: RegistryDatabase, chosen: RunFilter, by: StatsKey = "prompt") -> list[StatsRow]:
    """A row of figures for each prompt, version, model, day or kind, the most called first; days in order.

    ``p50_ms`` and ``p95_ms`` are of the calls that a model answered.
    """
    where, values = filter_conditions(chosen)
    registry.add_aggregate("percentiles", _Percentiles)
    found = registry.read(f"SELECT {_KEYS[by]} AS key, {_SUMS} FROM runs r WHERE {where} GROUP BY 1", values)
    figures = [_with_percentiles(dict(row)) for row in found]
    if by == "day":
        return sorted(figures, key=lambda each: str(each["key"]))
    return sorted(figures, key=lambda each: (-each["calls"], each["key"]))


def _with_percentiles(row: StatsRow) -> StatsRow:
    p50, p95 = map(float, row.pop("latencies").split()) if row["latencies"] else (None, None)
    return {**row, "p50_ms": p50, "p95_ms": p95}


def read_non_traffic_stats(registry: RegistryDatabase, chosen: RunFilter) -> list[StatsRow]:
    """Figures of what is not traffic (batch, eval, shadow, judge), each kind in a row of its own."""
    return read_run_stats(registry, replace(chosen, kind=None, traffic=False), "kind")


def version_stats(registry: RegistryDatabase, prompt: str) -> dict[str, StatsRow]:
    """Figures of a prompt's traffic by digest, with thumbs: what ``history`` shows beside each version."""
    found = {
        row["key"]: row for row in read_run_stats(registry, RunFilter(prompt=prompt, traffic=True), "digest")
    }
    thumbs = registry.read(
        "SELECT r.digest, sum(o.value > 0) AS up, sum(o.value <= 0) AS down FROM outcomes o "
        "JOIN runs r ON r.seq = o.run_seq WHERE o.source = 'person' AND o.name = 'thumbs' AND r.prompt = ? "
        "GROUP BY r.digest",
        (prompt,),
    )
    counts = {row["digest"]: row for row in thumbs}
    for digest, figures in found.items():
        figures["thumbs_up"] = counts[digest]["up"] if digest in counts else 0
        figures["thumbs_down"] = counts[digest]["down"] if digest in counts else 0
    return found

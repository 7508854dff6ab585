"""Sums over runs: calls, errors, tokens, cost, latency, checks and feedback.

They are put together from cells: runs of one prompt, day, version, channel, model and kind. Those of whole
days are read from ``daily_stats``; the rest, and what no cell can tell, is summed from the runs.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import fsum
from typing import Any, Literal, get_args

from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.api_keys import list_api_keys, spent_by_key
from promptops.registry.queries.runs.conditions import filter_conditions
from promptops.registry.queries.runs.daily_stats import (
    CELL_KEY,
    DAY,
    GUARD_SOURCE,
    GUARD_SUMS,
    OUTCOME_SUMS,
    SUMS,
    Latencies,
    read_latencies,
    run_key,
    update_daily_stats,
)
from promptops.registry.records import GuardDeed

StatsKey = Literal["prompt", "version", "model", "day", "kind", "digest", "channel", "hour"]
StatsRow = dict[str, Any]
RunCell = dict[str, Any]
"""The key and the sums of a cell; ``outcomes``: by source and name how many, and how many of them good."""

_HOUR = "substr(r.started_at, 1, 13)"
_DAY_LENGTH = len("2026-01-01")
_CELL_FIELDS = frozenset({"prompt", "digest", "model", "channel", "kind", "traffic", "since", "until"})
_KEYS: dict[str, Callable[[RunCell], str]] = {
    "prompt": lambda cell: cell["prompt"],
    "version": lambda cell: f"{cell['prompt']}@{cell['version'] or 'sha256:' + cell['digest'][:12]}",
    "digest": lambda cell: cell["digest"],
    "model": lambda cell: cell["model"],
    "day": lambda cell: cell["day"],
    "hour": lambda cell: cell["day"],  # of cells that were read by the hour
    "kind": lambda cell: cell["kind"],
    "channel": lambda cell: cell["channel"] or "",
}
_COUNTS = ("calls", "errors", "unfinished", "unpriced", "cache_hits", "checked", "checks_failed")


def read_run_stats(registry: RegistryDatabase, chosen: RunFilter, by: StatsKey = "prompt") -> list[StatsRow]:
    """A row of figures for each prompt, version, model, day or kind, the most called first; days in order.

    ``p50_ms`` and ``p95_ms`` are of the calls that a model answered.
    """
    return sum_cells(read_cells(registry, chosen, hours=by == "hour"), by)


def spent_since(
    registry: RegistryDatabase, since: str, prompt: str | None = None, tenant: str | None = None
) -> float:
    """Dollars since a day. Of a tenant with keys of the gateway what these have paid, judges with it."""
    keys = [key.key_id for key in list_api_keys(registry) if key.tenant == tenant] if tenant else []
    if keys and prompt is None:
        return fsum(spent_by_key(registry, key, since) for key in keys)
    cells = read_cells(registry, RunFilter(since=since, prompt=prompt, tenant=tenant))
    return fsum(cell["spent_usd"] or 0.0 for cell in cells)


def read_guard_stats(registry: RegistryDatabase, chosen: RunFilter) -> list[StatsRow]:
    """What each guard did with the chosen runs; nothing is looked at where no run ever had guards."""
    if not registry.read_one("SELECT EXISTS (SELECT 1 FROM guarded_runs)"):
        return []
    return sum_guards(read_cells(registry, chosen, outcomes=True))


def sum_cells(cells: Iterable[RunCell], by: StatsKey) -> list[StatsRow]:
    """The rows that ``read_run_stats`` returns, of cells that were read before."""
    groups: dict[str, list[RunCell]] = defaultdict(list)
    key = _KEYS[by]
    for cell in cells:
        groups[key(cell)].append(cell)
    rows = [{"key": name, **sum_up(group)} for name, group in groups.items()]
    if by in ("day", "hour"):
        return sorted(rows, key=lambda row: str(row["key"]))
    return sorted(rows, key=lambda row: (-row["calls"], row["key"]))


def cell_key(cell: RunCell, by: StatsKey) -> str:
    """The key of the row that a cell belongs to."""
    return _KEYS[by](cell)


def sum_up(cells: Sequence[RunCell]) -> StatsRow:
    """The figures of cells together; of none at all, of no calls."""
    p50, p95 = _percentiles(cells)
    return {
        "calls": sum(cell["calls"] for cell in cells),
        "errors": sum(cell["errors"] for cell in cells),
        "unfinished": sum(cell["unfinished"] for cell in cells),
        "input_tokens": _sum_known(cells, "input_tokens", sum),
        "output_tokens": _sum_known(cells, "output_tokens", sum),
        "cost_usd": _sum_known(cells, "cost_usd", fsum),
        "spent_usd": _sum_known(cells, "spent_usd", fsum),
        **{name: sum(cell[name] for cell in cells) for name in _COUNTS[3:]},
        "last_run_at": max((cell["last_run_at"] for cell in cells), default=None),
        "p50_ms": p50,
        "p95_ms": p95,
    }


def _sum_known(cells: Sequence[RunCell], name: str, add: Callable[[Iterable[Any]], Any]) -> Any:
    known = [cell[name] for cell in cells if cell[name] is not None]
    return add(known) if known else None


def _percentiles(cells: Sequence[RunCell]) -> tuple[float | None, float | None]:
    """Exact nearest-rank percentiles."""
    values = array("d")
    for cell in cells:
        if cell["latencies"]:
            values += cell["latencies"]
    if not values:
        return None, None
    ordered = sorted(values)
    p50, p95 = (ordered[(len(ordered) * percent + 99) // 100 - 1] for percent in (50, 95))
    return p50, p95


def read_non_traffic_stats(registry: RegistryDatabase, chosen: RunFilter) -> list[StatsRow]:
    """Figures of what is not traffic (batch, eval, shadow, judge), each kind in a row of its own."""
    return read_run_stats(registry, replace(chosen, kind=None, traffic=False), "kind")


def version_stats(registry: RegistryDatabase, prompt: str) -> dict[str, StatsRow]:
    """Figures of a prompt's traffic by digest, with thumbs: what ``history`` shows beside each version."""
    cells = read_cells(registry, RunFilter(prompt=prompt, traffic=True), outcomes=True)
    thumbs = sum_outcomes(cells, "digest")
    found = {row["key"]: row for row in sum_cells(cells, "digest")}
    for digest, figures in found.items():
        counted, good = thumbs[digest].get(("person", "thumbs"), (0, 0))
        figures["thumbs_up"], figures["thumbs_down"] = good, counted - good
    return found


def sum_outcomes(cells: Iterable[RunCell], by: StatsKey) -> dict[str, dict[tuple[str, str], tuple[int, int]]]:
    """Of each key, by source and name of an outcome: how many say something, and how many are good."""
    sums: dict[str, dict[tuple[str, str], tuple[int, int]]] = defaultdict(dict)
    for cell in cells:
        own = sums[_KEYS[by](cell)]
        for name, (counted, good) in cell["outcomes"].items():
            before = own.get(name, (0, 0))
            own[name] = before[0] + counted, before[1] + good
    return sums


def sum_guards(cells: Iterable[RunCell]) -> list[StatsRow]:
    """A row for each guard of a prompt: how often it did what, and how often its check could not say."""
    rows: dict[tuple[str, str], StatsRow] = {}
    for cell in cells:
        for (guard, did), (times, errors) in cell["guards"].items():
            key = cell["prompt"], guard
            row = rows.setdefault(key, {"prompt": key[0], "guard": guard, "looked": 0, "errors": 0})
            row["looked"] += times
            row["errors"] += errors
            row[did] = row.get(did, 0) + times
    deeds = [deed for deed in get_args(GuardDeed) if any(deed in row for row in rows.values())]
    return [{**dict.fromkeys(deeds, 0), **rows[key]} for key in sorted(rows)]


# ---- cells


def read_cells(
    registry: RegistryDatabase, chosen: RunFilter, *, hours: bool = False, outcomes: bool = False
) -> list[RunCell]:
    """The chosen runs in cells: by day, or by hours ("2026-01-01T09"). ``outcomes``: with those, too."""
    registry.add_aggregate("latencies", Latencies)
    given = {name for name in RunFilter.__slots__ if getattr(chosen, name) is not None}
    days = _days_between(chosen) if chosen.since or chosen.until else None
    if not (given <= _CELL_FIELDS or days) or not update_daily_stats(registry, chosen.prompt):
        return _scan(registry, chosen, hours=hours, outcomes=outcomes)
    if not given <= _CELL_FIELDS:
        with registry.snapshot():
            return _scan(registry, chosen, hours=hours, outcomes=outcomes, days=days)
    with registry.snapshot():
        if hours:
            return _scan(registry, chosen, hours=True, outcomes=outcomes, days=_days_between(chosen))
        whole, partly = _split_days(chosen)
        cells = _read_whole_days(registry, replace(chosen, since=None, until=None), whole, outcomes=outcomes)
        for day in partly:
            cells += _scan(registry, chosen, hours=False, outcomes=outcomes, days=(day, day))
    return cells


def _days_between(chosen: RunFilter) -> tuple[str, str]:
    return (chosen.since or "")[:_DAY_LENGTH], (chosen.until or "9")[:_DAY_LENGTH]


def _split_days(chosen: RunFilter) -> tuple[tuple[str, str], list[str]]:
    """The first and the last day (exclusive) that are chosen as a whole, and the days that are in part."""
    since, until = chosen.since or "", chosen.until or "9999"
    first, last = since[:_DAY_LENGTH], until[:_DAY_LENGTH]
    partly = {day for day, moment in ((first, since), (last, until)) if moment > f"{day}T00:00:00.000Z"}
    # a day that is in part is left out of the whole ones: the day after it begins with the next text
    return (f"{first}~" if first in partly else first, last), sorted(partly)


def _read_whole_days(
    registry: RegistryDatabase, chosen: RunFilter, span: tuple[str, str], *, outcomes: bool
) -> list[RunCell]:
    where, values = filter_conditions(chosen)
    condition = f"{where} AND r.day >= ? AND r.day < ?".replace("r.request_model", "r.model")
    found = registry.read(f"SELECT r.* FROM stats_cells r WHERE {condition}", (*values, *span))
    cells = {row["cell"]: _cell(registry, row) for row in found}
    if outcomes:
        told = registry.read(
            "SELECT o.* FROM stats_outcomes o WHERE o.cell IN "
            f"(SELECT r.cell FROM stats_cells r WHERE {condition})",
            (*values, *span),
        )
        for row in told:
            _add_outcome(cells[row["cell"]], row)
    return list(cells.values())


def _scan(
    registry: RegistryDatabase,
    chosen: RunFilter,
    *,
    hours: bool,
    outcomes: bool,
    days: tuple[str, str] | None = None,
) -> list[RunCell]:
    """The cells of runs themselves; of days that are known, looked for where those begin and end."""
    where, values = filter_conditions(chosen)
    source = "runs r"
    if days:
        source = (
            "stats_days d CROSS JOIN runs r "
            "ON r.prompt = d.prompt AND r.seq BETWEEN d.first_seq AND d.last_seq"
        )
        where = f"d.day BETWEEN ? AND ? AND {DAY} = d.day AND {where}"
        values = [*days, *values]
    key = run_key(_HOUR if hours else DAY)
    grouped = "GROUP BY 1, 2, 3, 4, 5, 6, 7"
    found = registry.read(f"SELECT {key}, {SUMS} FROM {source} WHERE {where} {grouped}", values)
    cells = {_key_of(row): _cell(registry, row) for row in found}
    if outcomes:
        told = registry.read(
            f"SELECT {key}, o.source, o.name, {OUTCOME_SUMS} FROM {source} "
            f"CROSS JOIN outcomes o ON o.run_seq = r.seq WHERE {where} {grouped}, 8, 9",
            values,
        )
        guards = registry.read(
            f"SELECT {key}, {GUARD_SUMS} FROM {source} JOIN guarded_runs g ON g.run_seq = r.seq "
            f"CROSS JOIN json_each(g.decisions) decided WHERE {where} {grouped}, 8, 9",
            values,
        )
        for row in (*told, *guards):
            _add_outcome(cells[_key_of(row)], row)
    return list(cells.values())


def _cell(registry: RegistryDatabase, row: Any) -> RunCell:
    cell = {**dict(row), "outcomes": {}, "guards": {}}
    if cell["latencies"]:
        cell["latencies"] = read_latencies(registry, cell["latencies"])
    return cell


def _add_outcome(cell: RunCell, row: Any) -> None:
    """What guards did stands apart from what people, checks and judges say."""
    source = row["source"]
    if source.startswith(GUARD_SOURCE):
        cell["guards"][row["name"], source.removeprefix(GUARD_SOURCE)] = row["counted"], row["good"]
    else:
        cell["outcomes"][source, row["name"]] = row["counted"], row["good"]


def _key_of(row: Any) -> tuple[Any, ...]:
    return tuple(row[: len(CELL_KEY)])

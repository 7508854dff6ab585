"""Deleting old runs and giving their space back to the disk. Observations are never touched."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import re
from collections.abc import Collection
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.log_gaps import PRUNED_THROUGH
from promptops.registry.queries.meta import count_runs
from promptops.registry.queries.runs.daily_stats import forget_deleted_outcomes, mark_stale
from promptops.registry.queries.runs.search_index import delete_from_search_index, merge_search_index
from promptops.registry.queries.runs.space import Month, engine_space

_CHUNK, _LIGHT_CHUNK = 5_000, 20_000  # runs deleted in one transaction, with their texts and without
_LAST = 2**63 - 1
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_SAVE_PRUNED_THROUGH = (
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE "
    "SET value = excluded.value WHERE CAST(meta.value AS BIGINT) < CAST(excluded.value AS BIGINT)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneResult:
    runs: int
    first_at: str | None  # when the oldest and the newest of them were started
    last_at: str | None
    kept: int  # runs of active rollouts that would have gone too
    bytes_before: int
    bytes_after: int  # estimated in a dry run
    waiting: bool = False  # another process is reading; the space comes back when it has finished


@dataclass(frozen=True, slots=True)
class _RunSelection:
    where: str
    values: list[Any]


def prune_runs(
    registry: RegistryDatabase,
    *,
    before: str | None = None,
    max_bytes: int | None = None,
    active_rollouts: Collection[str] = (),
    dry_run: bool = False,
) -> PruneResult:
    """Delete the runs started before a time, and the oldest ones until the file is no larger than that."""
    size = registry.size_bytes()
    chosen = _select_prunable(registry, before, max_bytes, active_rollouts)
    count, first, last = _extent(registry, chosen)
    kept = _extent(registry, _select_prunable(registry, before, max_bytes, ()))[0] - count
    pruned = PruneResult(
        runs=count, first_at=first, last_at=last, kept=kept, bytes_before=size, bytes_after=size
    )
    if dry_run:
        return _with_estimate(registry, pruned)
    return _prune_selected(registry, pruned, chosen, max_bytes, active_rollouts)


def _prune_selected(
    registry: RegistryDatabase,
    pruned: PruneResult,
    chosen: _RunSelection,
    max_bytes: int | None,
    active: Collection[str],
) -> PruneResult:
    runs, last = 0, pruned.last_at
    waiting = False
    while gone := _delete_selection(registry, chosen):
        runs += gone
        waiting = shrink_registry(registry, at_once=max_bytes is not None)
        # the sizes of runs differ, so the first estimate of how many must go may fall short
        chosen = _select_prunable(registry, None, max_bytes, active)
        last = max(last or "", _extent(registry, chosen)[2] or "") or None
    return PruneResult(
        runs=runs,
        first_at=pruned.first_at,
        last_at=last,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=registry.size_bytes(),
        waiting=waiting,
    )


def _select_prunable(
    registry: RegistryDatabase, before: str | None, max_bytes: int | None, active: Collection[str]
) -> _RunSelection:
    marks = ", ".join("?" * len(active))
    where = "(r.started_at < ? OR r.seq <= ?)"
    values: list[Any] = [before or "", _last_surplus_seq(registry, max_bytes)]
    if active:
        return _RunSelection(
            f"{where} AND (r.rollout IS NULL OR r.rollout NOT IN ({marks}))", [*values, *active]
        )
    return _RunSelection(where, values)


def _last_surplus_seq(registry: RegistryDatabase, max_bytes: int | None) -> int:
    """The last of the oldest runs that must go for the rest to fit."""
    if max_bytes is None:
        return 0
    space, runs = engine_space(registry.engine), count_runs(registry)
    surplus_bytes = space.used_bytes(registry) - max_bytes
    if surplus_bytes <= 0 or not runs:
        return 0
    surplus = -(-surplus_bytes * runs // max(1, space.bytes_of_runs(registry)))
    sql = "SELECT max(seq) FROM (SELECT seq FROM runs ORDER BY seq LIMIT ?) AS oldest"
    return int(registry.read_one(sql, (surplus,)))


def _extent(registry: RegistryDatabase, chosen: _RunSelection) -> tuple[int, str | None, str | None]:
    sql = f"SELECT count(*), min(r.started_at), max(r.started_at) FROM runs r WHERE {chosen.where}"
    count, first, last = registry.read(sql, chosen.values)[0]
    return count, first, last


def _delete_selection(registry: RegistryDatabase, chosen: _RunSelection) -> int:
    space = engine_space(registry.engine)
    runs = 0
    for month in space.whole_months(registry, chosen.where, chosen.values):
        runs += _delete_between(registry, chosen, month, texts=False)
        space.drop_texts(registry, month)
    return runs + _delete_between(registry, chosen, (0, _LAST), texts=True)


def _delete_between(registry: RegistryDatabase, chosen: _RunSelection, numbers: Month, *, texts: bool) -> int:
    """Delete those of the chosen runs, the oldest first; where their texts will be dropped, not these."""
    runs = 0
    first, last = numbers
    while chunk := _delete_chunk(registry, chosen, (first, last), texts=texts):
        runs += chunk[0]
        first = chunk[1] + 1  # not again past the rows that have gone
    return runs


def _delete_chunk(
    registry: RegistryDatabase, chosen: _RunSelection, numbers: Month, *, texts: bool
) -> tuple[int, int] | None:
    """How many runs were deleted, and the last one's number; None where there were none."""
    with registry.write() as connection:
        where = f"r.seq BETWEEN ? AND ? AND {chosen.where}"
        limit = _CHUNK if texts else _LIGHT_CHUNK
        count, last = connection.execute(
            "SELECT count(*), max(seq) FROM "
            f"(SELECT r.seq FROM runs r WHERE {where} ORDER BY r.seq LIMIT {limit}) AS chunk",
            (*numbers, *chosen.values),
        ).fetchone()
        if not count:
            return None
        values = (numbers[0], last, *chosen.values)
        runs = f"SELECT r.seq FROM runs r WHERE {where}"
        where = f"seq IN ({runs})"
        delete_from_search_index(connection, where, values, words=texts)
        mark_stale(connection, where, values)
        space = engine_space(registry.engine)
        space.delete_runs(connection, runs, values, (numbers[0], last), texts=texts)
        forget_deleted_outcomes(connection)
        connection.execute(_SAVE_PRUNED_THROUGH, (PRUNED_THROUGH, str(last)))
    return int(count), int(last)


def shrink_registry(registry: RegistryDatabase, *, at_once: bool = False) -> bool:
    """Give back what deletions have left; True when a reader is in the way.

    ``at_once``: also where the engine would do so by and by.
    """
    merge_search_index(registry)
    return engine_space(registry.engine).shrink(registry, at_once=at_once)


def _with_estimate(registry: RegistryDatabase, pruned: PruneResult) -> PruneResult:
    runs = count_runs(registry)
    freed = engine_space(registry.engine).bytes_of_runs(registry) * pruned.runs // runs if runs else 0
    return PruneResult(
        runs=pruned.runs,
        first_at=pruned.first_at,
        last_at=pruned.last_at,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=pruned.bytes_before - freed,
    )


def parse_size(text: str) -> int:
    """``500MB``, ``2G`` or plain bytes; powers of ten, as disks are sold."""
    found = re.fullmatch(r"(\d{1,12})\s*([KMG]?)B?", text.upper())
    if not found:
        raise Invalid(f"--max-size {text}: not a size", hint="give 500MB or 2GB")
    return int(found[1]) * _UNITS[found[2]]

"""Deleting old runs and giving their space back to the disk. Observations are never touched."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import re
from collections.abc import Collection
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry.sqlite.log_gaps import PRUNED_THROUGH
from promptops.registry.sqlite.meta import count_runs
from promptops.registry.sqlite.runs.search import delete_from_search_index, merge_search_index
from promptops.registry.sqlite.store import RegistryDatabase

_CHUNK = 5_000  # runs deleted in one transaction
_PAGES = 4_000  # pages given back in one transaction
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_INCREMENTAL = 2
_SAVE_PRUNED_THROUGH = (
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE "
    "SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
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
    size = file_bytes(registry)
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
    while gone := _delete_selection(registry, chosen):
        runs += gone
        # the sizes of runs differ, so the first estimate of how many must go may fall short
        chosen = _select_prunable(registry, None, max_bytes, active)
        last = max(last or "", _extent(registry, chosen)[2] or "") or None
    waiting = shrink_registry(registry)
    return PruneResult(
        runs=runs,
        first_at=pruned.first_at,
        last_at=last,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=file_bytes(registry),
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
    runs, used = count_runs(registry), _used_bytes(registry)
    if used <= max_bytes or not runs:
        return 0
    surplus = -(-(used - max_bytes) * runs // used)
    sql = "SELECT max(seq) FROM (SELECT seq FROM runs ORDER BY seq LIMIT ?)"
    return int(registry.read_one(sql, (surplus,)))


def _extent(registry: RegistryDatabase, chosen: _RunSelection) -> tuple[int, str | None, str | None]:
    sql = f"SELECT count(*), min(r.started_at), max(r.started_at) FROM runs r WHERE {chosen.where}"
    count, first, last = registry.read(sql, chosen.values)[0]
    return count, first, last


def _delete_selection(registry: RegistryDatabase, chosen: _RunSelection) -> int:
    runs = 0
    while gone := _delete_chunk(registry, chosen):
        runs += gone
    return runs


def _delete_chunk(registry: RegistryDatabase, chosen: _RunSelection) -> int:
    with registry.write() as connection:
        chunk = f"SELECT r.seq FROM runs r WHERE {chosen.where} ORDER BY r.seq LIMIT {_CHUNK}"
        seqs = [row[0] for row in connection.execute(chunk, chosen.values)]
        for first in range(0, len(seqs), 500):
            some = seqs[first : first + 500]
            where = f"seq IN ({', '.join('?' * len(some))})"
            delete_from_search_index(connection, where, some)
            connection.execute(f"DELETE FROM runs WHERE {where}", some)
        if seqs:
            connection.execute(_SAVE_PRUNED_THROUGH, (PRUNED_THROUGH, seqs[-1]))
    return len(seqs)


def shrink_registry(registry: RegistryDatabase) -> bool:
    """Give back what deletions have left in the index and the file; True when a reader is in the way."""
    merge_search_index(registry)
    return _shrink_file(registry)


def _shrink_file(registry: RegistryDatabase) -> bool:
    """Shrink the file; True when a reader keeps it from shrinking now."""
    if registry.read_one("PRAGMA auto_vacuum") != _INCREMENTAL:  # a recovered file
        registry.command("PRAGMA auto_vacuum = INCREMENTAL")
        registry.command("VACUUM")
    free = registry.read_one("PRAGMA freelist_count")
    while free:
        registry.command(f"PRAGMA incremental_vacuum({_PAGES})")
        before, free = free, registry.read_one("PRAGMA freelist_count")
        if free >= before:
            break
    return bool(registry.command("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])


def _with_estimate(registry: RegistryDatabase, pruned: PruneResult) -> PruneResult:
    runs = count_runs(registry)
    freed = _used_bytes(registry) * pruned.runs // runs if runs else 0
    return PruneResult(
        runs=pruned.runs,
        first_at=pruned.first_at,
        last_at=pruned.last_at,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=pruned.bytes_before - freed,
    )


def _used_bytes(registry: RegistryDatabase) -> int:
    pages = registry.read_one("PRAGMA page_count") - registry.read_one("PRAGMA freelist_count")
    return int(pages * registry.read_one("PRAGMA page_size"))


def file_bytes(registry: RegistryDatabase) -> int:
    """What the registry takes on disk, its log included."""
    files = (registry.path, registry.path.with_name(registry.path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def parse_size(text: str) -> int:
    """``500MB``, ``2G`` or plain bytes; powers of ten, as disks are sold."""
    found = re.fullmatch(r"(\d{1,12})\s*([KMG]?)B?", text.upper())
    if not found:
        raise Invalid(f"--max-size {text}: not a size", hint="give 500MB or 2GB")
    return int(found[1]) * _UNITS[found[2]]

"""Deleting old runs and giving their space back to the disk. Observations are never touched."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from promptops.errors import Invalid
from promptops.registry.log_gaps import PRUNED_THROUGH
from promptops.registry.runs import search
from promptops.registry.store import Registry

_CHUNK = 5_000  # runs deleted in one transaction
_PAGES = 4_000  # pages given back in one transaction
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_INCREMENTAL = 2
_NOTE = (
    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE "
    "SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    runs: int
    first_at: str | None  # when the oldest and the newest of them were started
    last_at: str | None
    kept: int  # runs of active rollouts that would have gone too
    bytes_before: int
    bytes_after: int  # estimated in a dry run
    waiting: bool = False  # another process is reading; the space comes back when it has finished


@dataclass(frozen=True, slots=True)
class _Choice:
    where: str
    values: list[Any]


def prune(
    registry: Registry,
    *,
    before: str | None = None,
    max_bytes: int | None = None,
    active_rollouts: Collection[str] = (),
    dry_run: bool = False,
) -> Pruned:
    """Delete the runs started before a time, and the oldest ones until the file is no larger than that."""
    size = file_bytes(registry)
    chosen = _choose(registry, before, max_bytes, active_rollouts)
    count, first, last = _extent(registry, chosen)
    kept = _extent(registry, _choose(registry, before, max_bytes, ()))[0] - count
    pruned = Pruned(runs=count, first_at=first, last_at=last, kept=kept, bytes_before=size, bytes_after=size)
    if dry_run:
        return _with_estimate(registry, pruned)
    return _delete(registry, pruned, chosen, max_bytes, active_rollouts)


def _delete(
    registry: Registry, pruned: Pruned, chosen: _Choice, max_bytes: int | None, active: Collection[str]
) -> Pruned:
    runs, last = 0, pruned.last_at
    while gone := _delete_chosen(registry, chosen):
        runs += gone
        # the sizes of runs differ, so the first estimate of how many must go may fall short
        chosen = _choose(registry, None, max_bytes, active)
        last = max(last or "", _extent(registry, chosen)[2] or "") or None
    if runs:
        search.tidy(registry)
    waiting = _give_back(registry)
    return Pruned(
        runs=runs,
        first_at=pruned.first_at,
        last_at=last,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=file_bytes(registry),
        waiting=waiting,
    )


def _choose(
    registry: Registry, before: str | None, max_bytes: int | None, active: Collection[str]
) -> _Choice:
    marks = ", ".join("?" * len(active))
    where = "(r.started_at < ? OR r.seq <= ?)"
    values: list[Any] = [before or "", _cut(registry, max_bytes)]
    if active:
        return _Choice(f"{where} AND (r.rollout IS NULL OR r.rollout NOT IN ({marks}))", [*values, *active])
    return _Choice(where, values)


def _cut(registry: Registry, max_bytes: int | None) -> int:
    """The last of the oldest runs that must go for the rest to fit."""
    if max_bytes is None:
        return 0
    runs, used = _run_count(registry), _used_bytes(registry)
    if used <= max_bytes or not runs:
        return 0
    surplus = -(-(used - max_bytes) * runs // used)
    sql = "SELECT max(seq) FROM (SELECT seq FROM runs ORDER BY seq LIMIT ?)"
    return int(registry.read_one(sql, (surplus,)))


def _extent(registry: Registry, chosen: _Choice) -> tuple[int, str | None, str | None]:
    sql = f"SELECT count(*), min(r.started_at), max(r.started_at) FROM runs r WHERE {chosen.where}"
    count, first, last = registry.read(sql, chosen.values)[0]
    return count, first, last


def _delete_chosen(registry: Registry, chosen: _Choice) -> int:
    runs = 0
    while gone := _delete_chunk(registry, chosen):
        runs += gone
    return runs


def _delete_chunk(registry: Registry, chosen: _Choice) -> int:
    with registry.write() as connection:
        chunk = f"SELECT r.seq FROM runs r WHERE {chosen.where} ORDER BY r.seq LIMIT {_CHUNK}"
        seqs = [row[0] for row in connection.execute(chunk, chosen.values)]
        for first in range(0, len(seqs), 500):
            some = seqs[first : first + 500]
            where = f"seq IN ({', '.join('?' * len(some))})"
            search.forget(connection, where, some)
            connection.execute(f"DELETE FROM runs WHERE {where}", some)
        if seqs:
            connection.execute(_NOTE, (PRUNED_THROUGH, seqs[-1]))
    return len(seqs)


def _give_back(registry: Registry) -> bool:
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


def _with_estimate(registry: Registry, pruned: Pruned) -> Pruned:
    runs = _run_count(registry)
    freed = _used_bytes(registry) * pruned.runs // runs if runs else 0
    return Pruned(
        runs=pruned.runs,
        first_at=pruned.first_at,
        last_at=pruned.last_at,
        kept=pruned.kept,
        bytes_before=pruned.bytes_before,
        bytes_after=pruned.bytes_before - freed,
    )


def _run_count(registry: Registry) -> int:
    return int(registry.read_one("SELECT count(*) FROM runs"))


def _used_bytes(registry: Registry) -> int:
    pages = registry.read_one("PRAGMA page_count") - registry.read_one("PRAGMA freelist_count")
    return int(pages * registry.read_one("PRAGMA page_size"))


def file_bytes(registry: Registry) -> int:
    """What the registry takes on disk, its log included."""
    files = (registry.path, registry.path.with_name(registry.path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def parse_size(text: str) -> int:
    """``500MB``, ``2G`` or plain bytes; powers of ten, as disks are sold."""
    found = re.fullmatch(r"(\d{1,12})\s*([KMG]?)B?", text.upper())
    if not found:
        raise Invalid(f"--max-size {text}: not a size", hint="give 500MB or 2GB")
    return int(found[1]) * _UNITS[found[2]]

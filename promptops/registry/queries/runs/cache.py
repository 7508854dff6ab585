"""Replies that the registry already holds, found by what exactly was asked.

A reply qualifies when the call and the generation ended well and its text was kept, whatever its checks
said: asking again for those that failed, and only for those, would flatter the model. How the generation
ended is looked at again here: earlier versions kept every end but the content filter's.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import hashlib
from collections.abc import Sequence
from typing import Self

from promptops.dataclass import dataclass
from promptops.providers.openai.outcome import GOOD_FINISHES
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.rows import finished_run_from_row
from promptops.registry.queries.runs.conditions import filter_conditions
from promptops.registry.records import FinishedRun

_WELL = ", ".join(f"'{word}'" for word in GOOD_FINISHES)
_ENDED_WELL = f"(r.finish_reason IS NULL OR replace(lower(trim(r.finish_reason)), '-', '_') IN ({_WELL}))"
_USABLE = (
    "r.cache_key IS NOT NULL AND r.state = 'finished' AND r.cache_stale = 0 AND r.cache_source IS NULL "
    f"AND {_ENDED_WELL}"
)
_HOLDS_ANSWER = "(r.finish_reason IS NOT NULL OR t.output <> '' OR t.tool_calls IS NOT NULL)"
_FIND = (
    "SELECT r.*, t.output, t.tool_calls, t.attempts FROM runs r JOIN run_texts t ON t.seq = r.seq "
    f"WHERE r.cache_key IN ({{}}) AND {_USABLE} AND {_HOLDS_ANSWER} AND r.seq <= ? ORDER BY r.seq"
)
_HOLDS_SOME = f"SELECT 1 FROM runs r INDEXED BY runs_by_cache_key WHERE {_USABLE} LIMIT 1"
_CHUNK = 5_000  # runs marked in one transaction
_MAX_KEYS = 500  # in one query


def reply_key(identity: tuple[str, str, bytes], trial: int, repaired: str = "") -> str:
    """The key of a reply. One that was repaired answers only those who would repair it by the same schema."""
    digest = hashlib.sha256()
    adapter, base_url, body = identity
    for part in (adapter.encode(), base_url.encode(), body, str(trial).encode(), repaired.encode()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def newest_run(registry: RegistryDatabase) -> int:
    """The number of the last run that is logged; 0 where none is."""
    return registry.read_one("SELECT max(seq) FROM runs") or 0


@dataclass(frozen=True, slots=True)
class CachedReply:
    run_id: str
    end: FinishedRun


class ReplyCache:
    """The replies that had been logged when this was made: equal calls within one batch are all made."""

    def __init__(self, registry: RegistryDatabase, newest: int | None = None) -> None:
        """``newest``: the number of the last run that may be found; None: of the last that there is."""
        self._registry = registry
        self._newest = newest_run(registry) if newest is None else newest

    @classmethod
    def open(cls, registry: RegistryDatabase, newest: int | None = None) -> Self | None:
        """None where there is no reply to be found: then nobody need look for one, call by call."""
        return cls(registry, newest) if registry.read_one(_HOLDS_SOME) else None

    def find(self, keys: Sequence[str]) -> dict[str, CachedReply]:
        """The newest reply under each key that has one."""
        rows = [
            row
            for first in range(0, len(keys), _MAX_KEYS)
            for row in self._find(keys[first : first + _MAX_KEYS])
        ]
        ends = {row["cache_key"]: (row["run_id"], finished_run_from_row(row, ())) for row in rows}
        return {key: CachedReply(run_id, end) for key, (run_id, end) in ends.items() if end is not None}

    def _find(self, keys: Sequence[str]) -> list[Row]:
        return self._registry.read(_FIND.format(", ".join("?" * len(keys))), (*keys, self._newest))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    replies: int  # that can be reused
    stale: int
    hits: int  # runs answered from the cache
    saved_usd: float  # what those would have cost


def read_cache_stats(registry: RegistryDatabase, chosen: RunFilter) -> CacheStats:
    where, values = filter_conditions(chosen)
    row = registry.read(
        f"SELECT count(*) FILTER (WHERE {_USABLE}) AS replies, "
        "count(*) FILTER (WHERE r.cache_key IS NOT NULL AND r.cache_stale = 1) AS stale, "
        "count(r.cache_source) AS hits, "
        "coalesce(sum(r.cost_usd) FILTER (WHERE r.cache_source IS NOT NULL), 0.0) AS saved_usd "
        f"FROM runs r WHERE {where}",
        values,
    )[0]
    return CacheStats(**{name: row[name] for name in ("replies", "stale", "hits", "saved_usd")})


def clear_cache(registry: RegistryDatabase, chosen: RunFilter) -> int:
    """Mark replies as not to be reused, and say how many. No run is deleted."""
    where, values = filter_conditions(chosen)
    sql = f"SELECT r.seq FROM runs r WHERE {_USABLE} AND {where}"
    seqs = [row["seq"] for row in registry.read(sql, values)]
    replies = 0
    for first in range(0, len(seqs), _CHUNK):
        some = [(seq,) for seq in seqs[first : first + _CHUNK]]
        with registry.write() as connection:
            connection.executemany("UPDATE runs SET cache_stale = 1 WHERE seq = ?", some)
            replies += len(some)
    return replies

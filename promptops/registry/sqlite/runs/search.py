"""Full-text search over inputs and outputs.

The index is brought up to date when it is searched, so that logging pays nothing for it. It holds every
three letters in a row of runs that have ended; the text itself stays in ``run_texts``. What the index holds
of a run must be taken out with exactly the text that was put in, so ``delete_from_search_index`` before
runs are deleted.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.filters import RunFilter
from promptops.registry.sqlite.runs.conditions import filter_conditions
from promptops.registry.sqlite.runs.queries import RunRecord, runs_by_seq
from promptops.registry.sqlite.runs.search_query import excerpt_hit, fold_text, parse_query
from promptops.registry.sqlite.store import RegistryDatabase

_CHUNK = 2_000  # runs indexed in one transaction: about half a second during which writers wait
_CREATE = (
    "CREATE VIRTUAL TABLE run_search USING fts5("
    "inputs, output, content='', detail=none, tokenize='trigram case_sensitive 1')"  # texts are folded before
)
_FOLDED = "seq, search_fold(inputs), search_fold(output) FROM search_texts"
_INDEX_ROWS = f"INSERT INTO run_search (rowid, inputs, output) SELECT {_FOLDED}"
_UNINDEX_ROWS = f"INSERT INTO run_search (run_search, rowid, inputs, output) SELECT 'delete', {_FOLDED}"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SearchHit:
    run: RunRecord
    snippet: str  # the words found stand between \x02 and \x03


@dataclass(frozen=True, slots=True)
class SearchResult:
    hits: list[SearchHit]
    note: str = ""  # why the answer may be less than what was asked for


def search_runs(
    registry: RegistryDatabase, words: str, chosen: RunFilter, *, limit: int, progress: Progress | None = None
) -> SearchResult:
    """Runs that have ended and hold these words, newest first: ``refund OR 返金 NOT "too late"``."""
    query = parse_query(words)
    if registry.writable:
        update_search_index(registry, progress)
    indexed = registry.writable or _is_index_complete(registry)
    note = "" if indexed else f"{registry.path} is read-only: all texts were read, without the index"
    condition, values = query.indexed if indexed else query.unindexed
    where, more = filter_conditions(chosen)
    with registry.temp_connection() as connection:
        _add_fold(connection)
    found = registry.read(
        "SELECT r.seq, s.inputs, s.output FROM runs r JOIN search_texts s ON s.seq = r.seq "
        f"WHERE {where} AND r.state <> 'started' AND {condition} ORDER BY r.seq DESC LIMIT ?",
        (*more, *values, limit),
    )
    runs = runs_by_seq(registry, [row["seq"] for row in found])
    texts = ({"inputs": row["inputs"], "output": row["output"]} for row in found)
    hits = [SearchHit(run, excerpt_hit(held, query.terms)) for run, held in zip(runs, texts, strict=True)]
    return SearchResult(hits, note)


def _add_fold(connection: sqlite3.Connection) -> None:
    connection.create_function("search_fold", 1, fold_text, deterministic=True)


def _is_index_complete(registry: RegistryDatabase) -> bool:
    with registry.temp_connection() as connection:
        last = connection.execute("SELECT max(seq) FROM runs").fetchone()[0] or 0
        waits = connection.execute("SELECT 1 FROM search_waiting LIMIT 1").fetchone()
        return _has_trigrams(connection) and waits is None and _watermark(connection) == last


def _has_trigrams(connection: sqlite3.Connection) -> bool:
    """Whether there is an index, and of this form: earlier ones held whole words."""
    row = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'run_search'").fetchone()
    return row is not None and "trigram" in row[0]


def _make_index(connection: sqlite3.Connection) -> None:
    """Begin the index, or begin it again in this form: all of it can be read from the runs."""
    if not _has_trigrams(connection):
        drop_search_index(connection)
        connection.execute(_CREATE)


def update_search_index(registry: RegistryDatabase, progress: Progress | None = None) -> None:
    """Index what has ended since the last time, a chunk a transaction."""
    with registry.write() as connection:
        _add_fold(connection)
        _make_index(connection)
        _index_ended_late(connection)
    last = registry.read_one("SELECT max(seq) FROM runs") or 0
    while (done := _index_chunk(registry, last)) < last:
        if progress:
            progress(done, last)


def _index_ended_late(connection: sqlite3.Connection) -> None:
    """Runs that had not ended when their turn was."""
    ended = "SELECT seq FROM runs JOIN search_waiting USING (seq) WHERE state <> 'started'"
    connection.execute(f"{_INDEX_ROWS} WHERE seq IN ({ended})")
    connection.execute(f"DELETE FROM search_waiting WHERE seq IN ({ended})")


def _index_chunk(registry: RegistryDatabase, last: int) -> int:
    with registry.write() as connection:
        done = _watermark(connection)
        end = connection.execute(
            "SELECT max(seq) FROM (SELECT seq FROM runs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)",
            (done, last, _CHUNK),
        ).fetchone()[0]
        if end is None:
            return last
        span = (done, end)
        started = "SELECT seq FROM runs WHERE seq > ? AND seq <= ? AND state = 'started'"
        connection.execute(f"INSERT INTO search_waiting {started}", span)
        connection.execute(
            f"{_INDEX_ROWS} WHERE seq > ? AND seq <= ? AND seq NOT IN ({started})", (*span, *span)
        )
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('search_watermark', ?)", (str(end),))
    return int(end)


def _watermark(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'search_watermark'").fetchone()
    return int(row[0]) if row else 0


def delete_from_search_index(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> None:
    """Take runs out of the index, in the transaction that deletes them. ``where`` speaks of ``seq``."""
    if _watermark(connection) and _has_trigrams(connection):
        _add_fold(connection)
        connection.execute(
            f"{_UNINDEX_ROWS} WHERE {where} AND seq <= ? AND seq NOT IN (SELECT seq FROM search_waiting)",
            (*values, _watermark(connection)),
        )
    connection.execute(f"DELETE FROM search_waiting WHERE {where}", values)


def add_to_search_index(connection: sqlite3.Connection, where: str) -> None:
    """Put runs back, with the texts that they have now, in the transaction that took them out."""
    if _watermark(connection) and _has_trigrams(connection):
        _add_fold(connection)
        ended = "SELECT seq FROM runs WHERE state <> 'started'"
        connection.execute(
            f"{_INDEX_ROWS} WHERE {where} AND seq <= ? AND seq IN ({ended})", (_watermark(connection),)
        )


def drop_search_index(connection: sqlite3.Connection) -> None:
    """The next search makes it again."""
    connection.execute("DROP TABLE IF EXISTS run_search")
    connection.execute("DELETE FROM meta WHERE key = 'search_watermark'")
    connection.execute("DELETE FROM search_waiting")


def merge_search_index(registry: RegistryDatabase) -> None:
    """Merge what deletions have left in the index, a bounded part of it."""
    with registry.temp_connection() as connection:
        indexed = _has_trigrams(connection)
    if indexed:
        with registry.write() as connection:
            connection.execute("INSERT INTO run_search (run_search, rank) VALUES ('merge', -2000)")

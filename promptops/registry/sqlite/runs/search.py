"""Full-text search over inputs and outputs.

The index is brought up to date when it is searched, so that logging pays nothing for it. It holds the words
of runs that have ended; the text itself stays in ``run_texts``. What the index holds of a run must be taken
out with exactly the text that was put in, hence ``delete_from_search_index`` before runs are deleted.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from promptops.registry.filters import RunFilter
from promptops.registry.sqlite.runs.conditions import filter_conditions
from promptops.registry.sqlite.runs.queries import RunRecord, runs_by_seq
from promptops.registry.sqlite.store import RegistryDatabase

_CHUNK = 2_000  # runs indexed in one transaction: about half a second during which writers wait
_CREATE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS run_search USING fts5("
    "inputs, output, content='search_texts', content_rowid='seq', tokenize='unicode61 remove_diacritics 2')"
)
_INDEX_ROWS = "INSERT INTO run_search (rowid, inputs, output) SELECT seq, inputs, output FROM search_texts"
_UNINDEX_ROWS = (
    "INSERT INTO run_search (run_search, rowid, inputs, output) "
    "SELECT 'delete', seq, inputs, output FROM search_texts"
)
_SNIPPET = "snippet(run_search, -1, char(2), char(3), '…', 12)"
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
    """Runs that have ended and hold these words, newest first.

    Words are an FTS5 expression where they can be read as one (``refund AND NOT late``, ``"exact phrase"``,
    ``ref*``, ``output: refund``); else each is looked for as it stands.
    """
    if not registry.writable:
        return _search_without_index(registry, words, chosen, limit)
    update_search_index(registry, progress)
    try:
        registry.read("SELECT 1 FROM run_search WHERE run_search MATCH ? LIMIT 1", (words,))
    except sqlite3.OperationalError:
        return SearchResult(_matching(registry, quote_words(words), chosen, limit))
    return SearchResult(_matching(registry, words, chosen, limit))


def quote_words(text: str) -> str:
    """An FTS5 expression that looks for each word as it stands."""
    words = text.replace("\0", " ").split()
    return " ".join('"' + word.replace('"', '""') + '"' for word in words) or '""'


def _matching(registry: RegistryDatabase, expression: str, chosen: RunFilter, limit: int) -> list[SearchHit]:
    where, values = filter_conditions(chosen)
    found = registry.read(
        f"SELECT r.seq, {_SNIPPET} AS snippet FROM run_search JOIN runs r ON r.seq = run_search.rowid "
        f"WHERE run_search MATCH ? AND {where} ORDER BY run_search.rowid DESC LIMIT ?",
        (expression, *values, limit),
    )
    return _hits(registry, found)


def _hits(registry: RegistryDatabase, found: Sequence[sqlite3.Row]) -> list[SearchHit]:
    runs = runs_by_seq(registry, [row["seq"] for row in found])
    return [SearchHit(run, row["snippet"] or "") for run, row in zip(runs, found, strict=True)]


def _search_without_index(
    registry: RegistryDatabase, words: str, chosen: RunFilter, limit: int
) -> SearchResult:
    """What can be done without an index that can be written."""
    where, values = filter_conditions(chosen)
    patterns = [f"%{_escape_like(word)}%" for word in words.replace('"', " ").split()]
    each = "(coalesce(s.inputs, '') || char(10) || coalesce(s.output, '')) LIKE ? ESCAPE '\\'"
    holds = " AND ".join([each] * len(patterns)) or "1"
    found = registry.read(
        f"SELECT r.seq, substr(coalesce(s.output, s.inputs), 1, 80) AS snippet FROM runs r "
        f"JOIN search_texts s ON s.seq = r.seq WHERE {where} AND r.state <> 'started' AND {holds} "
        "ORDER BY r.seq DESC LIMIT ?",
        (*values, *patterns, limit),
    )
    return SearchResult(
        _hits(registry, found), f"{registry.path} is read-only: all texts were read, without the index"
    )


def _escape_like(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def update_search_index(registry: RegistryDatabase, progress: Progress | None = None) -> None:
    """Index what has ended since the last time, a chunk a transaction."""
    with registry.write() as connection:
        connection.execute(_CREATE)
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
    if _watermark(connection):
        connection.execute(
            f"{_UNINDEX_ROWS} WHERE {where} AND seq <= ? AND seq NOT IN (SELECT seq FROM search_waiting)",
            (*values, _watermark(connection)),
        )
    connection.execute(f"DELETE FROM search_waiting WHERE {where}", values)


def merge_search_index(registry: RegistryDatabase) -> None:
    """Merge what deletions have left in the index, a bounded part of it."""
    if registry.read_one("SELECT 1 FROM meta WHERE key = 'search_watermark'"):
        with registry.write() as connection:
            connection.execute("INSERT INTO run_search (run_search, rank) VALUES ('merge', -2000)")

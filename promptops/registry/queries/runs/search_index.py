"""How far the index of words has got, whichever form it has: each engine has its own.

It is brought up to date when it is searched, so that logging pays nothing for it. It holds runs that have
ended, up to a number; those below it that have not ended yet wait in a table.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol

from promptops.registry.connection import Connection, EngineName
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import SAVE_META
from promptops.registry.queries.runs.search_query import Grams

_CHUNK = 2_000  # runs indexed in one transaction: about half a second during which writers wait
_WATERMARK = "search_watermark"  # in ``meta``
Progress = Callable[[int, int], None]
RunTexts = tuple[int, dict[str, str | None]]
"""The number of a run, and its texts by column."""


class SearchIndex(Protocol):
    """What each engine has. ``where`` speaks of ``seq``; the runs it names have ended."""

    def has_index(self, connection: Connection) -> bool: ...
    def create_index(self, connection: Connection) -> None: ...
    def drop_index(self, connection: Connection) -> None: ...
    def merge_index(self, connection: Connection) -> None:
        """Tidy up after deletions, a bounded part of it."""

    def index_runs(self, connection: Connection, where: str, values: Sequence[Any]) -> None: ...
    def unindex_runs(self, connection: Connection, where: str, values: Sequence[Any]) -> None:
        """Take runs out; they still have the texts that were put in."""

    def read_texts(self, connection: Connection, seqs: Sequence[int]) -> list[RunTexts]:
        """What is searched in of these runs, the last first."""

    def grams_of(self, text: str) -> list[str]:
        """Pieces that the index holds of every text which holds this folded one."""

    def held_condition(self, grams: Grams) -> tuple[str, Any]:
        """A condition on ``r``, a run, of which the index holds these; and its value."""


def engine_index(engine: EngineName) -> SearchIndex:
    index: SearchIndex = import_module(f"promptops.registry.{engine}.search_index").INDEX
    return index


def search_backlog(registry: RegistryDatabase) -> int | None:
    """How many runs have ended since the index was brought up to date; None where there is none."""
    with registry.temp_connection() as connection:
        if not engine_index(connection.engine).has_index(connection):
            return None
        done = _watermark(connection)
        after = "SELECT count(*) FROM runs WHERE seq > ?"
        waiting = "SELECT count(*) FROM search_waiting CROSS JOIN runs USING (seq) WHERE state <> 'started'"
        return sum(
            int(connection.execute(sql, values).fetchone()[0])
            for sql, values in ((after, (done,)), (waiting, ()))
        )


def is_index_complete(registry: RegistryDatabase) -> bool:
    with registry.temp_connection() as connection:
        last = connection.execute("SELECT max(seq) FROM runs").fetchone()[0] or 0
        waits = connection.execute("SELECT 1 FROM search_waiting LIMIT 1").fetchone()
        there = engine_index(connection.engine).has_index(connection)
        return there and waits is None and _watermark(connection) == last


def update_search_index(registry: RegistryDatabase, progress: Progress | None = None) -> None:
    """Index what has ended since the last time, a chunk a transaction."""
    with registry.write() as connection:
        if not engine_index(connection.engine).has_index(connection):
            drop_search_index(connection)
            engine_index(connection.engine).create_index(connection)
        _index_ended_late(connection)
        # a run of a lower number may yet come where transactions end in another order than they began
        last = connection.execute("SELECT max(seq) FROM runs").fetchone()[0] or 0
        last = min(last, registry.settled().seq)
    while (done := _index_chunk(registry, last)) < last:
        if progress:
            progress(done, last)


def _index_ended_late(connection: Connection) -> None:
    """Runs that had not ended when their turn was."""
    ended = "SELECT seq FROM runs JOIN search_waiting USING (seq) WHERE state <> 'started'"
    engine_index(connection.engine).index_runs(connection, f"seq IN ({ended})", ())
    connection.execute(f"DELETE FROM search_waiting WHERE seq IN ({ended})")


def _index_chunk(registry: RegistryDatabase, last: int) -> int:
    with registry.write() as connection:
        done = _watermark(connection)
        end = connection.execute(
            "SELECT max(seq) FROM "
            "(SELECT seq FROM runs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?) AS chunk",
            (done, last, _CHUNK),
        ).fetchone()[0]
        if end is None:
            return last
        span = (done, end)
        started = "SELECT seq FROM runs WHERE seq > ? AND seq <= ? AND state = 'started'"
        connection.execute(f"INSERT INTO search_waiting {started}", span)
        engine_index(connection.engine).index_runs(
            connection, f"seq > ? AND seq <= ? AND seq NOT IN ({started})", (*span, *span)
        )
        connection.execute(SAVE_META, (_WATERMARK, str(end)))
    return int(end)


def indexed_through(registry: RegistryDatabase) -> int:
    """The number up to which runs that have ended are in the index, but for those that wait."""
    with registry.temp_connection() as connection:
        return _watermark(connection)


def _watermark(connection: Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_WATERMARK,)).fetchone()
    return int(row[0]) if row else 0


def delete_from_search_index(
    connection: Connection, where: str, values: Sequence[Any], *, words: bool = True
) -> None:
    """Take runs out of the index, in the transaction that deletes them. ``where`` speaks of ``seq``.

    Without ``words`` these are left, to be dropped with the texts of a month.
    """
    if words and _has_words(connection):
        engine_index(connection.engine).unindex_runs(
            connection,
            f"{where} AND seq <= ? AND seq NOT IN (SELECT seq FROM search_waiting)",
            (*values, _watermark(connection)),
        )
    connection.execute(f"DELETE FROM search_waiting WHERE {where}", values)


def add_to_search_index(connection: Connection, where: str) -> None:
    """Put runs back, with the texts that they have now, in the transaction that took them out."""
    if _has_words(connection):
        ended = "SELECT seq FROM runs WHERE state <> 'started'"
        engine_index(connection.engine).index_runs(
            connection, f"{where} AND seq <= ? AND seq IN ({ended})", (_watermark(connection),)
        )


def _has_words(connection: Connection) -> bool:
    return bool(_watermark(connection)) and engine_index(connection.engine).has_index(connection)


def drop_search_index(connection: Connection) -> None:
    """The next search makes it again."""
    engine_index(connection.engine).drop_index(connection)
    connection.execute("DELETE FROM meta WHERE key = ?", (_WATERMARK,))
    connection.execute("DELETE FROM search_waiting")


def merge_search_index(registry: RegistryDatabase) -> None:
    """Tidy up what deletions have left in the index, a bounded part of it."""
    with registry.temp_connection() as connection:
        indexed = engine_index(connection.engine).has_index(connection)
    if indexed:
        with registry.write() as connection:
            engine_index(connection.engine).merge_index(connection)

"""The registry file: opened, written and kept whole.

WAL with synchronous=FULL: what a call has returned from is on disk. Every write is one BEGIN IMMEDIATE
transaction; a transaction that reads first and asks for the lock later fails under several writers.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Self

from promptops.config.clock import utc_now
from promptops.config.closing import Closing
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.records import FinishedRun, StartedRun
from promptops.registry.sqlite.connections import (
    configure_connection,
    connect,
    connect_for_reading,
    create_or_check_writable,
    expect_schema,
)
from promptops.registry.sqlite.errors import (
    read_only_error,
    stale_registry_error,
    translate_sqlite_error,
    translate_sqlite_errors,
)
from promptops.registry.sqlite.migrations import MIGRATIONS, SchemaMigration, migrate
from promptops.registry.sqlite.open_files import OpenFiles
from promptops.registry.sqlite.rows import (
    INSERT_OUTCOME,
    INSERT_RUN,
    INSERT_RUN_TEXTS,
    INSERT_TAG,
    UNFINISHED_VALUES,
    UPDATE_FINISHED,
    UPDATE_TEXTS,
    finished_texts,
    finished_values,
    outcome_values,
    started_texts,
    started_values,
    tag_values,
)
from promptops.registry.sqlite.run_groups import (
    add_shadow_job,
    finish_started_runs,
    insert_ended_runs,
    insert_started_runs,
)
from promptops.registry.ulid import new_run_id

__all__ = ["RegistryDatabase", "new_run_id"]

BUSY_TIMEOUT_S = 30.0
LogPosition = tuple[str, int]  # a writer, and the how many-th of its runs this is


@dataclass(frozen=True, slots=True)
class _OpenRun:
    """A run of this writer that has not ended; ``seq`` is None before its row is there."""

    counter: int
    run: StartedRun
    seq: int | None = None


class RegistryDatabase(Closing):
    """One connection; may be shared by threads. Use it as a context manager, or call ``close``."""

    def __init__(self, connection: sqlite3.Connection, path: Path, busy_s: float, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self.writer_id = os.urandom(8).hex()
        self._busy_s = busy_s
        self._connection = connection
        self._counter = 0
        self._lock = RLock()
        self._open_runs: dict[str, _OpenRun] = {}
        self._files = OpenFiles(str(path.absolute()))

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        busy_s: float = BUSY_TIMEOUT_S,
        steps: Sequence[SchemaMigration] = MIGRATIONS,
        bulk: bool = False,
    ) -> Self:
        """Open for writing, creating the file when there is none; for reading where it cannot be written."""
        writable = create_or_check_writable(path)
        with translate_sqlite_errors(path, busy_s):
            connection = connect(path, busy_s, bulk=bulk) if writable else connect_for_reading(path, busy_s)
            try:
                if writable:
                    migrate(connection, str(path), steps, busy_s=busy_s)
                else:
                    expect_schema(connection, path, len(steps))
            except BaseException:
                connection.close()
                raise
        return cls(connection, path, busy_s, writable=writable)

    @classmethod
    def open_existing(cls, path: Path, *, busy_s: float = BUSY_TIMEOUT_S) -> Self:
        """For reading verbs: no file is made, and where there is none nothing is logged yet."""
        return cls.open(path, busy_s=busy_s) if path.exists() else cls.in_memory(path)

    @classmethod
    def in_memory(cls, path: Path = Path(":memory:")) -> Self:
        """An empty registry of this process; ``path`` is what messages call it."""
        connection = configure_connection(
            sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        )
        migrate(connection, ":memory:", MIGRATIONS, busy_s=BUSY_TIMEOUT_S)
        return cls(connection, path, BUSY_TIMEOUT_S, writable=True)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, translate_sqlite_errors(self.path, self._busy_s):
            return self._connection.execute(sql, values).fetchall()

    def read_one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.read(sql, values)
        return found[0][0] if found else None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises. In one, a part of it."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            if not self.writable:
                raise read_only_error(self.path)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._commit()
            except sqlite3.DatabaseError as error:
                self._roll_back()
                raise translate_sqlite_error(error, self.path, self._busy_s) from error
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written in the block is one whole: nobody else writes meanwhile."""
        with self.write():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """What is read in the block is of one moment, and what is written in it is forgotten at its end.

        In a transaction or another snapshot it is a part of that.
        """
        with self._lock, translate_sqlite_errors(self.path, self._busy_s):
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._roll_back()

    def _commit(self) -> None:
        if not self._files.are_there():
            raise stale_registry_error(self.path)
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite itself has rolled back after some errors
            self._connection.execute("ROLLBACK")

    def add_aggregate(self, name: str, aggregate: type[Any]) -> None:
        """Make a Python class usable as an aggregate function of one argument."""
        self._connection.create_aggregate(name, 1, aggregate)

    def command(self, sql: str) -> list[sqlite3.Row]:
        """A statement that cannot stand in a transaction, such as a checkpoint."""
        if not self.writable:
            raise read_only_error(self.path)
        return self.read(sql)

    @contextmanager
    def temp_connection(self) -> Iterator[sqlite3.Connection]:
        """The connection for temporary tables, which keep nobody else from writing."""
        with self._lock, translate_sqlite_errors(self.path, self._busy_s):
            yield self._connection

    def start(self, run: StartedRun) -> int:
        """Log that a call is about to be made. On disk when this returns; the number is its order."""
        return self.start_all([run])[0]

    def start_all(self, runs: Sequence[StartedRun]) -> list[int]:
        """Log that calls are about to be made, in this order."""
        return self.log_group(runs, ())

    def finish(self, run_id: str, end: FinishedRun) -> None:
        """Log how a started run ended, with its checks. A started row that has gone is made again."""
        self.finish_all([(run_id, end)])

    def finish_all(self, ended: Sequence[tuple[str, FinishedRun]]) -> None:
        self.log_group((), ended)

    def log_group(self, started: Sequence[StartedRun], ended: Sequence[tuple[str, FinishedRun]]) -> list[int]:
        """``start_all`` and ``finish_all`` in one transaction: all of it or nothing."""
        placed = [(self.writer_id, self._count(run), run) for run in started]
        with self.write() as connection:
            seqs = insert_started_runs(connection, placed)
            if ended and not self._finish_together(connection, ended):
                self._finish_each(connection, ended)
        for seq, (_, counter, run) in zip(seqs, placed, strict=True):
            self._open_runs[run.run_id] = _OpenRun(counter, run, seq)
        for run_id, _ in ended:
            self._open_runs.pop(run_id, None)
        return seqs

    def _finish_together(
        self, connection: sqlite3.Connection, ended: Sequence[tuple[str, FinishedRun]]
    ) -> bool:
        """Whether all of these are this writer's runs, and were finished as one."""
        known: dict[str, tuple[int, str, FinishedRun]] = {}
        for run_id, end in ended:
            run = self._open_runs.get(run_id)
            if run is not None and run.seq is not None:
                known[run_id] = run.seq, run_id, end
        return len(known) == len(ended) and finish_started_runs(connection, list(known.values()))

    def _finish_each(self, connection: sqlite3.Connection, ended: Sequence[tuple[str, FinishedRun]]) -> None:
        for run_id, end in ended:
            if not self._update(connection, run_id, end):
                self._finish_missing_row(connection, run_id, end)

    def release_position(self, run_id: str) -> LogPosition | None:
        """The place that was meant for a run which is kept elsewhere now; ``take_in`` gives it back."""
        found = self._open_runs.pop(run_id, None)
        return (self.writer_id, found.counter) if found else None

    def replay(self, run: StartedRun, end: FinishedRun | None, place: LogPosition | None = None) -> None:
        """Log a run that was kept elsewhere meanwhile. Doing so again changes nothing.

        One without a place gets the next here, unless it cannot be written now either: it waits on, and a
        place that stays empty would tell of a lost run.
        """
        place = place or self.release_position(run.run_id)
        with self._lock:
            counter = self._counter
            try:
                with self.write() as connection:
                    self._replay(connection, run, end, place or (self.writer_id, counter + 1))
            except BaseException:
                self._counter = counter
                if place and place[0] == self.writer_id:
                    self._open_runs[run.run_id] = _OpenRun(place[1], run)
                raise

    def _replay(
        self, connection: sqlite3.Connection, run: StartedRun, end: FinishedRun | None, place: LogPosition
    ) -> None:
        found = connection.execute("SELECT state FROM runs WHERE run_id = ?", (run.run_id,)).fetchone()
        if found is None:
            if place == (self.writer_id, self._counter + 1):
                self._counter += 1
            self._insert_run(connection, place, run, end)
        elif found["state"] == "started" and end is not None:
            self._update(connection, run.run_id, end)

    def _update(self, connection: sqlite3.Connection, run_id: str, end: FinishedRun) -> bool:
        values = (*finished_values(end), run_id)
        updated = connection.execute(UPDATE_FINISHED, values).fetchall()
        for (seq,) in updated:
            connection.execute(UPDATE_TEXTS, (*finished_texts(end), seq))
            connection.executemany(INSERT_OUTCOME, outcome_values(end, seq, utc_now()))
            add_shadow_job(connection, run_id, end)
        return bool(updated)

    def _finish_missing_row(self, connection: sqlite3.Connection, run_id: str, end: FinishedRun) -> None:
        if connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone():
            raise Invalid(f"run {run_id} has ended already", hint=f"promptops runs show {run_id}")
        if run_id not in self._open_runs:
            raise NotFound(f"no run {run_id} in the registry {self.path}", hint="promptops runs list")
        known = self._open_runs[run_id]
        self._insert_run(connection, (self.writer_id, known.counter), known.run, end)

    def record(self, ended: Sequence[tuple[StartedRun, FinishedRun]]) -> list[int]:
        """Log whole runs in one transaction."""
        placed = [((self.writer_id, self._count(run), run), end) for run, end in ended]
        with self.write() as connection:
            seqs = insert_ended_runs(connection, placed)
        for run, _ in ended:
            self._open_runs.pop(run.run_id, None)
        return seqs

    def _insert_run(
        self, connection: sqlite3.Connection, place: LogPosition, run: StartedRun, end: FinishedRun | None
    ) -> int:
        ended = end or FinishedRun(finished_at="", state="started")
        finished = finished_values(ended) if end else UNFINISHED_VALUES
        values = (*place, *started_values(run), *finished)
        seq = _inserted(connection.execute(INSERT_RUN, values))
        texts = (seq, *started_texts(run), *finished_texts(ended))
        connection.execute(INSERT_RUN_TEXTS, texts)
        if run.metadata:
            connection.executemany(INSERT_TAG, tag_values(run, seq))
        if ended.checks:
            connection.executemany(INSERT_OUTCOME, outcome_values(ended, seq, utc_now()))
        add_shadow_job(connection, run.run_id, ended)
        return seq

    def _count(self, run: StartedRun) -> int:
        """The place of a run, taken before the attempt: a row that could not be written leaves a hole."""
        with self._lock:
            if run.run_id in self._open_runs:  # tried before
                return self._open_runs[run.run_id].counter
            self._counter += 1
            self._open_runs[run.run_id] = _OpenRun(self._counter, run)
            return self._counter


def _inserted(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has just succeeded
    return cursor.lastrowid

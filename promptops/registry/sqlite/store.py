"""The registry file: opened, written and kept whole.

WAL with synchronous=FULL: what a call has returned from is on disk. Every write is one BEGIN IMMEDIATE
transaction; a transaction that reads first and asks for the lock later fails under several writers.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptops.config.registry_location import RegistryLocation
from promptops.registry.connection import Row, Values
from promptops.registry.database import BUSY_TIMEOUT_S, RegistryDatabase
from promptops.registry.sqlite.connections import (
    SqliteConnection,
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
from promptops.registry.sqlite.migrations import MIGRATIONS, SchemaMigration, migrate, schema_version
from promptops.registry.sqlite.open_files import OpenFiles


def open_registry(
    path: Path,
    *,
    busy_s: float = BUSY_TIMEOUT_S,
    steps: Sequence[SchemaMigration] = MIGRATIONS,
    bulk: bool = False,
) -> "SqliteRegistry":
    """See ``RegistryDatabase.open``. ``bulk``: the file is mapped, not copied."""
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
    return SqliteRegistry(connection, path, busy_s, writable=writable)


def open_existing_registry(path: Path, *, busy_s: float = BUSY_TIMEOUT_S) -> "SqliteRegistry | None":
    return open_registry(path, busy_s=busy_s) if path.exists() else None


def open_in_memory(path: RegistryLocation, script: str = "") -> "SqliteRegistry":
    """An empty registry, or one that has the tables of ``script`` only."""
    connection = configure_connection(
        sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=SqliteConnection)
    )
    if script:
        connection.executescript(script)
    else:
        migrate(connection, ":memory:", MIGRATIONS, busy_s=BUSY_TIMEOUT_S)
    return SqliteRegistry(connection, Path(":memory:"), BUSY_TIMEOUT_S, writable=True, name=path)


class SqliteRegistry(RegistryDatabase):
    """A registry in one file."""

    engine = "sqlite"

    def __init__(
        self,
        connection: SqliteConnection,
        path: Path,
        busy_s: float,
        *,
        writable: bool,
        name: RegistryLocation | None = None,
    ) -> None:
        super().__init__(name or path, busy_s, writable=writable)
        self._connection = connection
        self._file = path
        self._files = OpenFiles(str(path.absolute()))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, sql: str, values: Values = ()) -> list[Row]:
        with self._lock, translate_sqlite_errors(self._file, self._busy_s):
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def write(self, *, waits: bool = True) -> Iterator[SqliteConnection]:
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            if not self.writable:
                raise read_only_error(self._file)
            try:
                self._begin(waits=waits)
                yield self._connection
                self._commit()
            except sqlite3.DatabaseError as error:
                self._roll_back()
                raise translate_sqlite_error(error, self._file, self._busy_s) from error
            except BaseException:
                self._roll_back()
                raise

    def _begin(self, *, waits: bool) -> None:
        if not waits:
            self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            if not waits:
                self._connection.execute(f"PRAGMA busy_timeout = {self._busy_s * 1000:.0f}")

    _write_log = write

    @contextmanager
    def snapshot(self) -> Iterator[SqliteConnection]:
        with self._lock, translate_sqlite_errors(self._file, self._busy_s):
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
            raise stale_registry_error(self._file)
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite itself has rolled back after some errors
            self._connection.execute("ROLLBACK")

    def add_aggregate(self, name: str, aggregate: type[Any]) -> None:
        self._connection.create_aggregate(name, 1, aggregate)

    def command(self, sql: str) -> list[Row]:
        if not self.writable:
            raise read_only_error(self._file)
        return self.read(sql)

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        with self._lock:
            self._connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            try:
                yield
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {self._busy_s * 1000:.0f}")

    @contextmanager
    def temp_connection(self) -> Iterator[SqliteConnection]:
        with self._lock, translate_sqlite_errors(self._file, self._busy_s):
            yield self._connection

    def is_there(self) -> bool:
        return self._files.is_there()

    def schema_number(self) -> int:
        with self._lock, translate_sqlite_errors(self._file, self._busy_s):
            return schema_version(self._connection)

    def size_bytes(self) -> int:
        files = (self._file, self._file.with_name(f"{self._file.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def find_damage(self) -> str:
        found = str(self.read_one("PRAGMA quick_check"))
        return "" if found == "ok" else found

    def engine_version(self) -> str:
        return sqlite_version()


def sqlite_version() -> str:
    """The engine of this program, such as "SQLite 3.45.1"."""
    return f"SQLite {sqlite3.sqlite_version}"

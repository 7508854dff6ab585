"""Opening the registry's file: for writing, for reading, or as it stands."""

import errno
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from promptops.errors import Invalid
from promptops.registry.sqlite.bulk_insert import insert_many, update_many
from promptops.registry.sqlite.errors import cannot_open_error
from promptops.registry.sqlite.migrations import migrate, schema_version

_MAPPED = 2**40  # bytes; SQLite maps less of it, as it was built


class SqliteConnection(sqlite3.Connection):
    """A connection of the standard library, with what the queries ask of every engine."""

    engine: Literal["sqlite"] = "sqlite"

    def insert_many(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> range:
        return insert_many(self, table, columns, rows)

    def update_many(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        update_many(self, table, columns, rows)

    def make_scratch_copy(self, table: str, key: tuple[str, ...], rollout: str) -> None:
        del key  # as in the definition
        made = self.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,))
        columns = str(made.fetchone()[0]).partition("(")[2]
        self.execute(f"CREATE TEMP TABLE {table} ({columns}")
        copy = f"INSERT INTO temp.{table} SELECT * FROM main.{table} WHERE rollout = ?"  # noqa: S608 - a constant
        self.execute(copy, (rollout,))


def create_or_check_writable(path: Path) -> bool:
    """Whether the file can be written, after making it (readable by its owner alone) when it is missing.

    One that exists is not opened: closing it again would drop every lock this process holds on it, and
    another process that believes to be the last one then deletes the log that this one writes to.
    """
    try:
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_dir() or not os.access(path, os.R_OK):
            reason = errno.EISDIR if path.is_dir() else errno.EACCES
            raise cannot_open_error(path, os.strerror(reason)) from None
    except OSError as error:
        raise cannot_open_error(path, error.strerror or str(error)) from None
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)  # WAL keeps two files beside it


def connect(path: Path, busy_s: float, *, bulk: bool = False) -> SqliteConnection:
    """``bulk``: for a process that reads much and may die: the file is mapped, not copied."""
    connection = sqlite3.connect(
        path, timeout=busy_s, isolation_level=None, check_same_thread=False, factory=SqliteConnection
    )
    connection.execute("PRAGMA synchronous = FULL")
    if bulk:
        connection.execute(f"PRAGMA mmap_size = {_MAPPED}")
    return configure_connection(connection)


def configure_connection(connection: SqliteConnection) -> SqliteConnection:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.row_factory = sqlite3.Row
    return connection


def connect_for_reading(path: Path, busy_s: float) -> SqliteConnection:
    """Read-only; a file without pending changes in a folder that cannot be written is read as it stands."""
    connection = _connect_uri(path, "mode=ro", busy_s)
    try:
        schema_version(connection)
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        return _connect_uri(path, "mode=ro&immutable=1", busy_s)
    return connection


def _connect_uri(path: Path, mode: str, busy_s: float) -> SqliteConnection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    return configure_connection(
        sqlite3.connect(
            uri,
            uri=True,
            timeout=busy_s,
            isolation_level=None,
            check_same_thread=False,
            factory=SqliteConnection,
        )
    )


def expect_schema(connection: sqlite3.Connection, path: Path, known: int) -> None:
    done = schema_version(connection)
    if done == known:
        return
    if done > known:
        migrate(connection, str(path), (), busy_s=0)
    raise Invalid(
        f"the registry {path} has schema {done} and needs schema {known}, but cannot be written",
        hint="open it once where it can be written",
    )

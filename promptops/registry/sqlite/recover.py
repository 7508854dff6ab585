"""Saving from a damaged registry what can be read, into a new one.

Rows are asked for by ranges of their numbers. A range that cannot be read is halved until what is damaged
stands alone, so one bad page costs only the rows on it.
"""

# ruff: noqa: S608 - statements are put together from constants and the schema's own names

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptops.errors import Invalid
from promptops.registry.sqlite.errors import translate_sqlite_errors
from promptops.registry.sqlite.store import RegistryDatabase

_TABLES_BY_ROWID = ("versions", "runs", "run_texts", "outcomes", "evals", "batches", "jobs")
_TABLES_BY_KEY = ("meta", "run_tags", "observations", "eprocesses", "breakers", "imports")
_WITHOUT_TEXTS = "seq NOT IN (SELECT seq FROM run_texts)"
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RegistryRecovery:
    runs: int
    without_texts: int  # of these runs, inputs and output were lost


def recover_registry(damaged: Path, new: Path) -> RegistryRecovery:
    """Copy all that can be read. The damaged file is only read; the new one must not exist yet."""
    if not damaged.is_file():
        raise Invalid(f"no registry at {damaged}")
    if new.exists():
        raise Invalid(f"{new} exists already", hint="name a file that does not exist yet with --out")
    source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)
    source.text_factory = lambda data: data.decode(errors="replace")
    try:
        with translate_sqlite_errors(damaged, 0):
            columns = _all_columns(source, damaged)
        with RegistryDatabase.open(new) as registry:
            return _copy(source, registry, columns)
    finally:
        source.close()


def _all_columns(source: sqlite3.Connection, damaged: Path) -> dict[str, list[str]]:
    try:
        known = {table: _columns(source, table) for table in (*_TABLES_BY_ROWID, *_TABLES_BY_KEY)}
        return {table: names for table, names in known.items() if names}  # an older file has fewer
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
            raise
        raise Invalid(
            f"the list of tables in {damaged} is damaged, so its rows cannot be told apart",
            hint=f"restore a backup, or try `sqlite3 '{damaged}' .recover` with SQLite 3.41 or newer",
        ) from None


def _columns(source: sqlite3.Connection, table: str) -> list[str]:
    found = source.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
    return [row[0] for row in found]


def _copy(
    source: sqlite3.Connection, registry: RegistryDatabase, columns: dict[str, list[str]]
) -> RegistryRecovery:
    registry.command("PRAGMA foreign_keys = OFF")
    last_run = _last(source, "runs")
    for table, names in columns.items():
        rows = (
            _rows_by_rowid(source, table, names, last_run)
            if table in _TABLES_BY_ROWID
            else _rows_by_key(source, table, names)
        )
        with registry.write() as connection:
            marks = ", ".join("?" * len(names))
            connection.executemany(
                f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})", rows
            )
    return _repair_references(registry)


def _rows_by_rowid(source: sqlite3.Connection, table: str, names: list[str], last_run: int) -> Iterator[Row]:
    last = max(last_run if table == "run_texts" else 0, _last(source, table))
    stack = [(1, last + 1)]
    while stack:
        first, end = stack.pop()
        sql = f"SELECT {', '.join(names)} FROM {table} WHERE rowid >= ? AND rowid < ?"
        try:
            yield from source.execute(sql, (first, end)).fetchall()
        except sqlite3.DatabaseError:
            if end - first > 1:
                middle = (first + end) // 2
                stack += [(middle, end), (first, middle)]


def _last(source: sqlite3.Connection, table: str) -> int:
    """The highest row number, from the table or whatever else of it can be read."""
    indexes = [row[0] for row in source.execute("SELECT name FROM pragma_index_list(?)", (table,))]
    ways = [f"SELECT max(rowid) FROM {table}"]
    ways += [f"SELECT max(rowid) FROM {table} INDEXED BY {index}" for index in indexes]
    ways += [f"SELECT max(seq) FROM sqlite_sequence WHERE name = '{table}'"]
    for sql in ways:
        try:
            return int(source.execute(sql).fetchone()[0] or 0)
        except sqlite3.DatabaseError:
            continue
    return 0


def _rows_by_key(source: sqlite3.Connection, table: str, names: list[str]) -> Iterator[Row]:
    """From both ends, each as far as it can be read; what is read twice is stored once."""
    for direction in ("ASC", "DESC"):
        try:
            yield from source.execute(
                f"SELECT {', '.join(names)} FROM {table} ORDER BY {names[0]} {direction}"
            )
        except sqlite3.DatabaseError:
            continue


def _repair_references(registry: RegistryDatabase) -> RegistryRecovery:
    with registry.write() as connection:
        for table, column in (("run_texts", "seq"), ("run_tags", "seq"), ("outcomes", "run_seq")):
            connection.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT seq FROM runs)")
        bare = connection.execute(f"SELECT count(*) FROM runs WHERE {_WITHOUT_TEXTS}").fetchone()[0]
        connection.execute(
            "INSERT INTO run_texts (seq, parameters, overrides, metadata) "
            f"SELECT seq, '{{}}', '{{}}', '{{}}' FROM runs WHERE {_WITHOUT_TEXTS}"
        )
        connection.execute("DELETE FROM meta WHERE key = 'search_watermark'")
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return RegistryRecovery(runs=runs, without_texts=bare)

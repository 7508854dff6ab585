"""Saving from a damaged registry what can be read, into a new one.

Rows are asked for by ranges of their numbers. A range that cannot be read is halved until what is damaged
stands alone, so one bad page costs only the rows on it. A first page that is lost is that of any registry.
"""

# ruff: noqa: S608 - statements are put together from constants and the schema's own names

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from promptops.config.safe_writes import WriteTarget
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.daily_stats import drop_daily_stats
from promptops.registry.sqlite.errors import translate_sqlite_errors

_TABLES_BY_ROWID = (
    "versions",
    "runs",
    "run_texts",
    "outcomes",
    "evals",
    "batches",
    "jobs",
    "review_queues",
    "review_items",
    "review_labels",
    "held_runs",
    "alarms",
    "guarded_runs",
)
_TABLES_BY_KEY = (
    "meta",
    "run_tags",
    "observations",
    "eprocesses",
    "breakers",
    "imports",
    "review_rubrics",
    "review_codes",
    "monitors",
    "provider_work",
    "provider_jobs",
    "provider_calls",
)
_WITHOUT_TEXTS = "seq NOT IN (SELECT seq FROM run_texts)"
_PAGE = 8192  # bytes
_HEADER = 100  # bytes before the root of the list of tables
_WITH_LOG = ("", "-wal")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RegistryRecovery:
    runs: int
    without_texts: int  # of these runs, inputs and output were lost


def recover_registry(damaged: Path, new: Path, *, called: Path | None = None) -> RegistryRecovery:
    """Copy all that can be read. The damaged file is only read; the new one must not exist yet.

    ``called``: what messages call the damaged one, where this is a copy of it.
    """
    if not damaged.is_file():
        raise Invalid(f"no registry at {damaged}")
    if new.exists():
        raise Invalid(f"{new} exists already", hint="name a file that does not exist yet with --out")
    with _readable(damaged, called or damaged) as source, RegistryDatabase.open(new) as registry:
        return _copy(source, registry, _all_columns(source))


def recover_to_file(damaged: Path, out: Path) -> RegistryRecovery:
    """Recover into a file that a person has named. SQLite itself would follow a link planted there."""
    if out.exists():
        raise Invalid(f"{out} exists already", hint="name a file that does not exist yet with --out")
    beside = damaged.parent if os.access(damaged.parent, os.W_OK) else None
    with TemporaryDirectory(prefix=f".{damaged.name}.", dir=beside) as folder:
        new = Path(folder) / "new.db"
        saved = recover_registry(damaged, new)
        with WriteTarget.output(out).replacing(0o600, new=True) as stream, new.open("rb") as recovered:
            shutil.copyfileobj(recovered, stream.buffer)
    return saved


@contextmanager
def _readable(damaged: Path, called: Path) -> Iterator[sqlite3.Connection]:
    """The file, or where its first page is lost a copy with another one."""
    with closing(_connect(f"{damaged.absolute().as_uri()}?mode=ro")) as source:
        if _has_tables(source):
            with translate_sqlite_errors(called, 0):
                yield source
            return
    with TemporaryDirectory(prefix=f".{damaged.name}.", dir=damaged.parent) as folder:
        copy = Path(folder) / "registry.db"
        for end in _WITH_LOG:
            if (part := damaged.with_name(damaged.name + end)).exists():
                shutil.copyfile(part, copy.with_name(copy.name + end))
        _replace_first_page(copy)
        with closing(_connect(copy.as_uri())) as source:
            if not _has_tables(source):
                raise _nothing_left(called)
            yield source


def _connect(uri: str) -> sqlite3.Connection:
    source = sqlite3.connect(uri, uri=True)
    source.execute("PRAGMA writable_schema = ON")  # reads a file that is shorter than its header says
    source.text_factory = lambda data: data.decode(errors="replace")
    return source


def _has_tables(source: sqlite3.Connection) -> bool:
    try:
        return bool(_columns(source, "runs"))
    except sqlite3.DatabaseError:
        return False


def _replace_first_page(copy: Path) -> None:
    """Its tables stand where those of a new registry do, and its root may have been spared."""
    fresh = copy.with_name("fresh.db")
    RegistryDatabase.open(fresh).close()
    page = bytearray(fresh.read_bytes()[:_PAGE])
    with copy.open("r+b") as file:
        lost = file.read(_PAGE).ljust(_PAGE, b"\0")
        pages = -(-copy.stat().st_size // _PAGE)
        page[28:32] = pages.to_bytes(4, "big")
        page[32:40] = bytes(8)  # which pages are free is of no interest to who reads
        if lost[_HEADER] in (5, 13):  # an inner page or a leaf of a table
            page[_HEADER:] = lost[_HEADER:]
        file.seek(0)
        file.write(page)


def _nothing_left(damaged: Path) -> Invalid:
    return Invalid(
        f"{damaged} is not a promptops registry, or its list of tables is lost",
        hint=f"restore a backup, or try `sqlite3 '{damaged}' .recover` with SQLite 3.41 or newer; "
        "where it is moved away, the next run makes a new one",
    )


def _all_columns(source: sqlite3.Connection) -> dict[str, list[str]]:
    """By table; an older file has fewer."""
    tables = {table: _columns(source, table) for table in (*_TABLES_BY_ROWID, *_TABLES_BY_KEY)}
    return {table: names for table, names in tables.items() if names}


def _columns(source: sqlite3.Connection, table: str) -> list[str]:
    return [row[0] for row in source.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _copy(
    source: sqlite3.Connection, registry: RegistryDatabase, columns: dict[str, list[str]]
) -> RegistryRecovery:
    from sqlite_utils import Database

    registry.command("PRAGMA foreign_keys = OFF")
    with registry.write() as connection:
        connection.execute("DELETE FROM meta")  # that of the damaged file holds
    last_run = _last(source, "runs")
    for table, names in columns.items():
        rows = (
            _rows_by_rowid(source, table, names, last_run)
            if table in _TABLES_BY_ROWID
            else _rows_by_key(source, table, names)
        )
        with registry.write() as connection:
            assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - a recovered registry is a file
            database = Database(connection, execute_plugins=False)
            database.table(table).insert_all(chain([names], rows), ignore=True)
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
        drop_daily_stats(connection)
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return RegistryRecovery(runs=runs, without_texts=bare)

"""Many rows in few statements: between two statements another thread may take the interpreter."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_SIZES = (64, 16, 4, 1)  # rows in one statement; few sizes, so that SQLite's compiled ones are found again


def insert_many(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> range:
    """The row numbers of the new rows, where SQLite gives them: one after another, as the table is locked."""
    last = 0
    for part in _parts(rows):
        done = connection.execute(_insert(table, columns, len(part)), list(chain.from_iterable(part)))
        last = done.lastrowid or 0
    return range(last - len(rows) + 1, last + 1)


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], size: int) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) {_values(len(columns), size)}"


def update_many(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Set these columns of many rows; each of ``rows`` begins with the seq of its row."""
    for part in _parts(rows):
        connection.execute(_update(table, columns, len(part)), list(chain.from_iterable(part)))


@lru_cache(maxsize=64)
def _update(table: str, columns: tuple[str, ...], size: int) -> str:
    if size == 1:  # costs less than a list of one
        changes = ", ".join(f"{name} = ?{number}" for number, name in enumerate(columns, 2))
        return f"UPDATE {table} SET {changes} WHERE seq = ?1"
    changes = ", ".join(f"{name} = new.column{number}" for number, name in enumerate(columns, 2))
    values = _values(len(columns) + 1, size)
    return f"UPDATE {table} SET {changes} FROM ({values}) AS new WHERE {table}.seq = new.column1"


def are_started(connection: sqlite3.Connection, runs: Sequence[tuple[int, str]]) -> bool:
    """Whether all of these, by seq and run id, are in the log and have not ended."""
    count = 0
    for part in _parts(runs):
        count += connection.execute(_count_started(len(part)), list(chain.from_iterable(part))).fetchone()[0]
    return count == len(runs)


@lru_cache(maxsize=len(_SIZES))
def _count_started(size: int) -> str:
    if size == 1:
        return "SELECT count(*) FROM runs WHERE seq = ? AND run_id = ? AND state = 'started'"
    return (
        f"SELECT count(*) FROM ({_values(2, size)}) AS run JOIN runs ON runs.seq = run.column1 "
        "WHERE runs.run_id = run.column2 AND runs.state = 'started'"
    )


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _values(columns: int, size: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * size)}"

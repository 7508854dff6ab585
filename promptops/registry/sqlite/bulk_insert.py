"""Many rows in few statements: between two statements another thread may take the interpreter."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_SIZES = (64, 16, 4, 1)  # rows in one statement; few sizes, so that SQLite's compiled ones are found again


def insert_many(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            values = list(chain.from_iterable(rows[start : start + size]))
            connection.execute(_insert(table, columns, size), values)
            start += size


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], size: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * size)}"


def next_seq(connection: sqlite3.Connection) -> int:
    """The number of the next run, within the transaction that inserts it."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
    return (int(found[0]) if found else 0) + 1

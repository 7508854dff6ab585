"""Rows that are inserted and changed together, as SQLite does it in the fewest statements."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from promptops.registry.queries.row_parts import parts, values_rows


def insert_many(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> range:
    """The row numbers of the new rows, where SQLite gives them: one after another, as the table is locked."""
    last = 0
    for part in parts(rows):
        done = connection.execute(_insert(table, columns, len(part)), list(chain.from_iterable(part)))
        last = done.lastrowid or 0
    return range(last - len(rows) + 1, last + 1)


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], size: int) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) {values_rows(len(columns), size)}"


def update_many(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Set these columns of many rows; each of ``rows`` begins with the seq of its row."""
    for part in parts(rows):
        connection.execute(_update(table, columns, len(part)), list(chain.from_iterable(part)))


@lru_cache(maxsize=64)
def _update(table: str, columns: tuple[str, ...], size: int) -> str:
    if size == 1:  # costs less than a list of one
        changes = ", ".join(f"{name} = ?{number}" for number, name in enumerate(columns, 2))
        return f"UPDATE {table} SET {changes} WHERE seq = ?1"
    changes = ", ".join(f"{name} = new.column{number}" for number, name in enumerate(columns, 2))
    values = values_rows(len(columns) + 1, size)
    return f"UPDATE {table} SET {changes} FROM ({values}) AS new WHERE {table}.seq = new.column1"

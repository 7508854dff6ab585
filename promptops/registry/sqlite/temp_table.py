"""Rows that come from elsewhere and are looked at as a whole before any of them counts.

They wait in a temporary table, which takes memory for a few pages only and keeps nobody from writing.
"""

from typing import Any, Self

from promptops.registry.sqlite.bulk_insert import insert_many
from promptops.registry.sqlite.store import RegistryDatabase

_CHUNK = 1_024


class TempTable:
    """Fills a temporary table from scratch. Use as a context: when it ends all rows are in the table."""

    def __init__(
        self, registry: RegistryDatabase, table: str, columns: tuple[str, ...], *, more: str = ""
    ) -> None:
        self._registry = registry
        self._table = table
        self._columns = columns
        self._rows: list[tuple[Any, ...]] = []
        with registry.temp_connection() as connection:
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
            connection.execute(f"CREATE TEMP TABLE {table} ({', '.join(columns)}{more})")

    def put(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        with self._registry.temp_connection() as connection:
            connection.execute("BEGIN")
            insert_many(connection, self._table, self._columns, self._rows)
            connection.execute("COMMIT")
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

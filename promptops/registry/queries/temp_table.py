"""Rows that come from elsewhere and are looked at as a whole before any of them counts.

They wait in a temporary table, which takes memory for a few pages only and keeps nobody from writing.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from typing import Any, Literal, Self

from promptops.registry.database import RegistryDatabase

_CHUNK = 1_024
_TYPED_BY = {
    "runs": "runs JOIN run_texts USING (seq)",
    "outcomes": "outcomes CROSS JOIN (SELECT run_id FROM runs) AS of_runs",
}


class TempTable:
    """Fills a temporary table from scratch. Use as a context: when it ends all rows are in the table.

    ``columns``: names of columns that have their types from runs and their texts, or from outcomes and
    ``run_id``; or a name with a type, "line INTEGER". ``unique``: of rows that have these columns in common
    the first is kept.
    """

    def __init__(
        self,
        registry: RegistryDatabase,
        table: str,
        columns: tuple[str, ...],
        *,
        of: Literal["runs", "outcomes"] = "runs",
        unique: tuple[str, ...] = (),
    ) -> None:
        self._registry = registry
        self._rows: list[tuple[Any, ...]] = []
        typed = [column.split() for column in columns]
        shown = [f"CAST(NULL AS {each[1]}) AS {each[0]}" if each[1:] else each[0] for each in typed]
        once = " ON CONFLICT DO NOTHING" if unique else ""
        self._insert = (
            f"INSERT INTO temp.{table} ({', '.join(each[0] for each in typed)}) "
            f"VALUES ({', '.join('?' * len(typed))}){once}"
        )
        with registry.temp_connection() as connection:
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
            empty = f"SELECT {', '.join(shown)} FROM {_TYPED_BY[of]} WHERE FALSE"
            connection.execute(f"CREATE TEMP TABLE {table} AS {empty}")
            if unique:
                connection.execute(f"CREATE UNIQUE INDEX {table}_once ON {table} ({', '.join(unique)})")

    def put(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        with self._registry.temp_connection() as connection:
            connection.execute("BEGIN")
            connection.executemany(self._insert, self._rows)
            connection.execute("COMMIT")
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()

"""Rows by name and by number, as SQLite's are."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from psycopg import Cursor, ProgrammingError, RawCursor


class PostgresRow(tuple[Any, ...]):
    """Made by ``_row_type``, which knows the columns."""

    __slots__ = ()
    columns: tuple[str, ...] = ()
    places: dict[str, int] = {}  # noqa: RUF012 - of the class made for these columns, never changed

    def __getitem__(self, key: Any) -> Any:
        if type(key) is str:
            try:
                key = self.places[key]
            except KeyError:
                raise IndexError(f"no column {key}") from None
        return tuple.__getitem__(self, key)

    def keys(self) -> list[str]:
        return list(self.columns)


@lru_cache(maxsize=1_024)
def _row_type(columns: tuple[str, ...]) -> type[PostgresRow]:
    places = {name: place for place, name in reversed(list(enumerate(columns)))}  # of two, the first
    return type("Row", (PostgresRow,), {"__slots__": (), "columns": columns, "places": places})


def registry_rows(cursor: Cursor[Any]) -> Callable[[Sequence[Any]], PostgresRow]:
    if cursor.description is None:
        return PostgresRow
    return _row_type(tuple(column.name for column in cursor.description))


class PostgresCursor(RawCursor[PostgresRow]):
    """Gives no rows, as SQLite's, where a statement has none to give."""

    def fetchall(self) -> list[PostgresRow]:
        try:
            return super().fetchall()
        except ProgrammingError as error:  # asked first: in a pipeline the answer has not come before
            if error.sqlstate is None and self.description is None:
                return []
            raise

    def fetchone(self) -> PostgresRow | None:
        try:
            return super().fetchone()
        except ProgrammingError as error:  # of the server, which has a number, or of psycopg
            if error.sqlstate is None and self.description is None:
                return None
            raise

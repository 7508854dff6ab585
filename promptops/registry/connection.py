"""What the queries see of an engine: a connection that takes their SQL, and rows by name and by number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

Values = Sequence[Any] | Mapping[str, Any]
EngineName = Literal["sqlite", "postgres"]


class Row(Protocol):
    """One row: ``row["name"]``, ``row[0]``, ``dict(row)``, ``tuple(row)``."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> Iterable[str]: ...


class Cursor(Protocol):
    """The rows that a statement gave; ``rowcount`` is how many it changed."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection in a transaction of ``RegistryDatabase``."""

    @property
    def engine(self) -> EngineName: ...
    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor: ...

    def insert_many(
        self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
    ) -> Sequence[int]:
        """Insert rows in this order; their numbers, in a table that numbers its rows."""

    def update_many(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        """Set these columns of many rows; each of ``rows`` begins with the seq of its row."""

    def make_scratch_copy(self, table: str, key: tuple[str, ...], rollout: str) -> None:
        """A temporary table that stands before this one, with a rollout's rows; ``key`` tells them apart."""

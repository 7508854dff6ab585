"""Connections to a PostgreSQL server."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from promptops.config.registry_location import PostgresLocation, is_ambiguous
from promptops.registry.connection import Values
from promptops.registry.postgres.dialect import in_order, translate
from promptops.registry.postgres.errors import bad_url_error, pooled_error
from promptops.registry.postgres.rows import PostgresCursor, PostgresRow, registry_rows
from promptops.registry.postgres.values import bound, register_values
from promptops.registry.queries.row_parts import parts, values_rows

_CONNECT_S, _LEAST_S = 10, 2  # libpq takes less for 2
_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE)
_NUMBERED = {"runs": "seq"}  # tables whose numbers are asked for
# The first statement finds what another client of the same session has set. The rest a role or a database may
# have set otherwise: a snapshot that is older than the lock of a transaction that writes would not show what
# others wrote while it waited, and numbers would lose their last digits. Pages are read in their order hardly
# faster than out of it: tables are in memory or on an SSD. No query is so long that it is worth compiling.
_SETTINGS = (
    "SELECT coalesce(current_setting('promptops.session', true), ''); SET promptops.session = 'begun'; "
    "SET client_encoding = 'UTF8'; SET timezone = 'UTC'; SET standard_conforming_strings = on; "
    "SET default_transaction_isolation = 'read committed'; SET extra_float_digits = 1; "
    "SET random_page_cost = 1.1; SET jit = off; "
    "SET client_min_messages = warning; SET lock_timeout = {wait}"
)


class PostgresConnection:
    """Takes the SQL of the queries."""

    engine: Literal["postgres"] = "postgres"

    def __init__(self, raw: "psycopg.Connection[PostgresRow]") -> None:
        self.raw = raw

    @property
    def in_transaction(self) -> bool:
        return self.raw.info.transaction_status in _IN_TRANSACTION

    def execute(self, sql: str, values: Values = (), /) -> PostgresCursor:
        text, names = translate(sql)
        return PostgresCursor(self.raw).execute(text, bound(in_order(names, values)) or None)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> PostgresCursor:
        text, names = translate(sql)
        cursor = PostgresCursor(self.raw)
        cursor.executemany(text, [bound(in_order(names, row)) for row in rows])
        return cursor

    def insert_many(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> list[int]:
        number = _NUMBERED.get(table)
        inserted = [
            self.raw.execute(_insert(table, columns, len(part), number), bound(chain.from_iterable(part)))
            for part in parts(rows)
        ]
        return [row[0] for part in inserted for row in part.fetchall()] if number else []

    def update_many(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
        self.raw.cursor().executemany(_update(table, columns), map(bound, rows))

    def make_scratch_copy(self, table: str, key: tuple[str, ...], rollout: str) -> None:
        copy = f"CREATE TEMP TABLE {table} AS SELECT * FROM {table} WHERE rollout = ?"  # noqa: S608 - a constant
        self.execute(copy, (rollout,))
        self.execute(f"ALTER TABLE temp.{table} ADD PRIMARY KEY ({', '.join(key)})")

    def close(self) -> None:
        self.raw.close()


@lru_cache(maxsize=64)
def _insert(table: str, columns: tuple[str, ...], size: int, number: str | None) -> str:
    sql = f"INSERT INTO {table} ({', '.join(columns)}) {values_rows(len(columns), size)}"
    return translate(f"{sql} RETURNING {number}" if number else sql)[0]


@lru_cache(maxsize=64)
def _update(table: str, columns: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    return f"UPDATE {table} SET {changes} WHERE seq = $1"  # noqa: S608 - constants


def _defaults(busy_s: float) -> dict[str, Any]:
    """Where the URL says nothing else: a server that does not answer is not waited for longer than others."""
    patience_s = min(_CONNECT_S, max(_LEAST_S, math.ceil(busy_s)))
    return {
        "connect_timeout": patience_s,
        "tcp_user_timeout": patience_s * 1000,
        "fallback_application_name": "promptops",
    }


def connect_database(location: PostgresLocation, busy_s: float) -> PostgresConnection:
    """``busy_s``: how long others' locks are waited for."""
    if is_ambiguous(location.url):  # libpq would take the rest of a password for a host, and say so
        raise bad_url_error(location)
    try:
        raw = _connect(location.url, busy_s)
    except psycopg.ProgrammingError:
        raise bad_url_error(location) from None  # it quotes the URL, password and all
    register_values(raw)
    shared = None
    try:
        shared = raw.execute(_SETTINGS.format(wait=max(1, round(busy_s * 1000)))).fetchall()[0][0]
    finally:
        if shared or shared is None:
            raw.close()
    if shared:
        raise pooled_error(location)
    return PostgresConnection(raw)


def _connect(url: str, busy_s: float) -> "psycopg.Connection[PostgresRow]":
    given = {name for name, value in conninfo_to_dict(url).items() if value}
    return psycopg.Connection.connect(
        url,
        autocommit=True,
        row_factory=registry_rows,
        cursor_factory=PostgresCursor,
        **{name: value for name, value in _defaults(busy_s).items() if name not in given},
    )

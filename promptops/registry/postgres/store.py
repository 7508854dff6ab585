"""The registry in a database: opened, written and kept whole.

What a call has returned from is committed. A transaction that writes holds a lock of the whole registry:
runs are added by many at a time, all else is written by one alone.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple

import psycopg

from promptops.config.clock import follow_clock, utc_now
from promptops.config.registry_location import PostgresLocation
from promptops.errors import PromptopsError
from promptops.registry.connection import Row, Values
from promptops.registry.database import BUSY_TIMEOUT_S, RegistryDatabase, SettledNumbers
from promptops.registry.postgres.connections import PostgresConnection, connect_database
from promptops.registry.postgres.errors import (
    busy_error,
    commit_in_doubt_error,
    no_rights_error,
    translate_postgres_error,
    translate_postgres_errors,
)
from promptops.registry.postgres.identity import expect_any, expect_same
from promptops.registry.postgres.migrations import (
    applied_steps,
    expect_applied_steps,
    expect_place,
    migrate_database,
)
from promptops.registry.postgres.rows import PostgresCursor

_MONTH = len("2026-11")
_COMMIT_POLLS, _POLL_INTERVAL_S = 10, 0.1


def open_database(
    location: PostgresLocation, *, busy_s: float = BUSY_TIMEOUT_S, bulk: bool = False
) -> "PostgresRegistry":
    del bulk  # of the server
    with translate_postgres_errors(location, busy_s), _new_connection(location, busy_s) as connection:
        return _prepared(connection, location, busy_s)


def open_existing_database(
    location: PostgresLocation, *, busy_s: float = BUSY_TIMEOUT_S
) -> "PostgresRegistry | None":
    with translate_postgres_errors(location, busy_s), _new_connection(location, busy_s) as connection:
        if applied_steps(connection.raw):
            return _prepared(connection, location, busy_s)
        expect_place(connection.raw, str(location))
        expect_any(connection, location)
        connection.close()
        return None


@contextmanager
def _new_connection(location: PostgresLocation, busy_s: float) -> Iterator[PostgresConnection]:
    """One that is closed where the block fails."""
    connection = connect_database(location, busy_s)
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


def _prepared(
    connection: PostgresConnection, location: PostgresLocation, busy_s: float
) -> "PostgresRegistry":
    rights = _greet(connection)
    expect_any(connection, location)
    if rights.writable:
        migrate_database(connection.raw, str(location))
    else:
        expect_applied_steps(connection.raw, str(location))
    registry_id = expect_same(connection, location)
    return PostgresRegistry(connection, location, busy_s, rights, registry_id)


class _Rights(NamedTuple):
    writable: bool
    temp_tables: bool


# Whoever may not add a run reads. A session that is read-only by default is asked to read, and for temporary
# tables, which a server that follows another does not make.
_GREETING = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS follows,
  coalesce(has_table_privilege(to_regclass('runs'), 'INSERT'), TRUE) AS may_add,
  has_database_privilege(current_database(), 'TEMP') AS may_temp,
  extract(epoch FROM clock_timestamp())::double precision AS moment
"""


def _greet(connection: PostgresConnection) -> _Rights:
    """What may be done there. Its clock is followed from now on."""
    asked_at = time.time()
    found = connection.execute(_GREETING).fetchall()[0]
    follow_clock(found["moment"], asked_at, time.time())
    if found["read_only"] and not found["follows"]:
        connection.execute("SET default_transaction_read_only = off")
    return _Rights(
        writable=found["may_add"] and not found["read_only"],
        temp_tables=found["may_temp"] and not found["follows"],
    )


class PostgresRegistry(RegistryDatabase):
    """A registry in one schema of a database."""

    engine = "postgres"

    def __init__(
        self,
        connection: PostgresConnection,
        location: PostgresLocation,
        busy_s: float,
        rights: _Rights,
        registry_id: str,
    ) -> None:
        super().__init__(location, busy_s, writable=rights.writable)
        self.makes_temp_tables = rights.temp_tables
        self._location = location
        self._registry_id = registry_id
        self._connection = connection
        self._closed = False
        self._doubtful = set()
        self._month = ""  # in which the last transaction began
        self._settled: SettledNumbers | None = None  # while a snapshot is open

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()

    def read(self, sql: str, values: Values = ()) -> list[Row]:
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            return list(self._first(sql, values).fetchall())

    def write(self, *, waits: bool = True) -> AbstractContextManager[PostgresConnection]:
        return self._writing(alone=True, waits=waits)

    def _write_log(self, *, waits: bool = True) -> AbstractContextManager[PostgresConnection]:
        return self._writing(alone=False, waits=waits)

    @contextmanager
    def _writing(self, *, alone: bool, waits: bool) -> Iterator[PostgresConnection]:
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            if not self.writable:
                raise no_rights_error(self._location)
            try:
                number = self._begin(alone=alone, waits=waits)
                if alone:
                    yield self._connection
                    self._commit(number)
                else:
                    yield from self._in_pipeline(number)
            except psycopg.Error as error:
                self._roll_back()
                raise translate_postgres_error(error, self._location, self._busy_s) from error
            except BaseException:
                self._roll_back()
                raise

    def _begin(self, *, alone: bool, waits: bool) -> str:
        """The number of the transaction that is open now. Two statements, but one journey to the server."""
        month = utc_now()[:_MONTH]
        if month != self._month and self._begin_month():
            self._month = month
        begun = self._first(f"BEGIN; SELECT registry_begin({alone}, {waits})")
        begun.nextset()
        number = begun.fetchall()[0][0]
        if number is None:
            raise busy_error(self._location, 0)
        return str(number)

    def _begin_month(self) -> bool:
        """Whether it has begun, or is begun by another: it makes tables, which only their owner may."""
        try:
            return bool(self._first("SELECT registry_begin_month()").fetchall()[0][0])
        except psycopg.errors.InsufficientPrivilege:
            return True

    def _in_pipeline(self, number: str) -> Iterator[PostgresConnection]:
        """The block's statements and the commit go out without a wait for what nobody asks for."""
        committing = False
        try:
            with self._connection.raw.pipeline():
                yield self._connection
                committing = True
                self._connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if not (committing and self._connection.raw.closed and self._was_committed(number, error)):
                raise

    def _first(self, sql: str, values: Values = ()) -> PostgresCursor:
        """A statement, on a new connection where the server has closed the one that there was."""
        was_idle = not self._connection.in_transaction
        try:
            return self._connection.execute(sql, values)
        except psycopg.OperationalError:
            if self._closed or not was_idle or not self._connection.raw.closed:
                raise
        self._connect_again()
        return self._connection.execute(sql, values)

    def _connect_again(self) -> None:
        with _new_connection(self._location, self._busy_s) as connection:
            expect_same(connection, self._location, self._registry_id)
            self.writable, self.makes_temp_tables = _greet(connection)
        self._connection = connection

    def _commit(self, number: str) -> None:
        try:
            self._connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if not self._connection.raw.closed:
                raise
            if not self._was_committed(number, error):
                raise

    def _was_committed(self, number: str, error: psycopg.Error) -> bool:
        """How a transaction ended whose connection broke meanwhile. Raises CommitInDoubt."""
        for _ in range(_COMMIT_POLLS):
            try:
                if self._connection.raw.closed:
                    self._connect_again()
                sql = "SELECT pg_xact_status(CAST(CAST(? AS text) AS xid8))"
                status = self._connection.execute(sql, (number,)).fetchall()[0][0]
            except (psycopg.OperationalError, PromptopsError):
                status = None
            if status in ("committed", "aborted"):
                return bool(status == "committed")
            time.sleep(_POLL_INTERVAL_S)
        raise commit_in_doubt_error(self._location, error) from error

    def _roll_back(self) -> None:
        with suppress(psycopg.Error):  # a connection that is lost has undone it
            if not self._connection.raw.closed and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[PostgresConnection]:
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            if self._connection.in_transaction:
                yield self._connection
                return
            self._settled = self.settled()
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            try:
                yield self._connection
            finally:
                self._settled = None
                self._roll_back()

    def settled(self) -> SettledNumbers:
        if self._settled:
            return self._settled
        row = self.read("SELECT seq, outcome FROM registry_settled()")[0]
        return SettledNumbers(row[0], row[1])

    @contextmanager
    def temp_connection(self) -> Iterator[PostgresConnection]:
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            self._first("SELECT 1")
            yield self._connection

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            self._wait(seconds)
            try:
                yield
            finally:
                self._wait(self._busy_s)

    def _wait(self, seconds: float) -> None:
        self._first(f"SET lock_timeout = {max(1, round(seconds * 1000))}")

    def schema_number(self) -> int:
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            self._first("SELECT 1")  # on a new connection where the server has closed the one there was
            return applied_steps(self._connection.raw)

    def size_bytes(self) -> int:
        sql = (
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
        )
        return int(self.read_one(sql))

    def command(self, sql: str) -> list[Row]:
        if not self.writable:
            raise no_rights_error(self._location)
        with self._lock, translate_postgres_errors(self._location, self._busy_s):
            return list(self._first(sql).fetchall())

    def find_damage(self) -> str:
        return ""  # the server checks its pages itself

    def engine_version(self) -> str:
        return f"PostgreSQL {self.read_one('SHOW server_version')}"

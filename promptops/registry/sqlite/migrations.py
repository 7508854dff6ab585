"""Brings a registry to the present schema. The list only ever grows; a step that has shipped is never edited.

Each step runs in one transaction together with the record that it has run, so that a killed process
leaves either both or neither, and several processes may try at once: one does the work, the others wait
and find it done. The number of steps done is also SQLite's ``user_version``, which costs one read to check.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence

from promptops.config.clock import utc_now
from promptops.errors import Invalid
from promptops.registry.errors import UNFINISHED_COPY, unfinished_copy_error

APPLICATION_ID = 0x504F5053  # "POPS": tells a registry from another program's database
SchemaMigration = tuple[str, Callable[[sqlite3.Connection], None]]
_POLL_INTERVAL_S = 0.02


def migrate(
    connection: sqlite3.Connection, path: str, steps: Sequence[SchemaMigration], *, busy_s: float
) -> None:
    done = schema_version(connection)
    if done == len(steps):
        return
    _refuse_foreign(connection, path, done, len(steps))
    if done == 0:
        _prepare_file(connection, busy_s)
    for number in range(done + 1, len(steps) + 1):
        _apply(connection, number, steps[number - 1])


def schema_version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def _refuse_foreign(connection: sqlite3.Connection, path: str, done: int, known: int) -> None:
    if done == UNFINISHED_COPY:
        raise unfinished_copy_error(path)
    if done > known:
        raise Invalid(
            f"the registry {path} has schema {done}, and this promptops knows schemas up to {known}",
            hint="upgrade promptops, or use another registry with --registry",
        )
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and (done or tables) and schema_version(connection) == done:
        raise Invalid(
            f"{path} is another program's database, not a promptops registry",
            hint="name the registry with --registry, PROMPTOPS_REGISTRY or `registry:` in promptops.yaml",
        )


def _prepare_file(connection: sqlite3.Connection, busy_s: float) -> None:
    """Settings that a file must have before its first table."""
    connection.execute("PRAGMA page_size = 8192")  # runs of 2 KB fill 4 KB pages to the half only
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    # the switch to WAL does not wait for other processes by itself
    deadline = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_INTERVAL_S)
        else:
            return


def _apply(connection: sqlite3.Connection, number: int, step: SchemaMigration) -> None:
    name, work = step
    connection.execute("BEGIN IMMEDIATE")
    try:
        if schema_version(connection) < number:
            work(connection)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, name, utc_now()))
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _first_schema(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import FIRST_SCHEMA

    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)")
    # executescript would commit the open transaction
    for statement in split_statements(FIRST_SCHEMA):
        connection.execute(statement)


def _releases(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import RELEASES_SCHEMA

    for statement in split_statements(RELEASES_SCHEMA):
        connection.execute(statement)


def _redaction(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import REDACTION_SCHEMA

    for statement in split_statements(REDACTION_SCHEMA):
        connection.execute(statement)


def _keys(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import KEYS_SCHEMA

    for statement in split_statements(KEYS_SCHEMA):
        connection.execute(statement)


def _nonces(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE runs ADD COLUMN nonce TEXT")  # of the tags around untrusted inputs


def _daily_stats(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import DAILY_STATS_SCHEMA

    for statement in split_statements(DAILY_STATS_SCHEMA):
        connection.execute(statement)


def _review(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.review_schema import REVIEW_SCHEMA

    for statement in split_statements(REVIEW_SCHEMA):
        connection.execute(statement)


def _held(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.review_schema import HELD_SCHEMA

    for statement in split_statements(HELD_SCHEMA):
        connection.execute(statement)


def _monitoring(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.monitoring_schema import MONITORING_SCHEMA, allow_probes

    for statement in split_statements(MONITORING_SCHEMA):
        connection.execute(statement)
    allow_probes(connection)


def _guards(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.schema import GUARDS_SCHEMA

    for statement in split_statements(GUARDS_SCHEMA):
        connection.execute(statement)


def _alerts(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.monitoring_schema import ALERTS_SCHEMA

    for statement in split_statements(ALERTS_SCHEMA):
        connection.execute(statement)


def _provider_jobs(connection: sqlite3.Connection) -> None:
    from promptops.registry.sqlite.jobs_schema import JOBS_SCHEMA

    for statement in split_statements(JOBS_SCHEMA):
        connection.execute(statement)


def split_statements(script: str) -> list[str]:
    statements, part = [], ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return statements


MIGRATIONS: tuple[SchemaMigration, ...] = (
    ("first schema", _first_schema),
    ("releases", _releases),
    ("redaction", _redaction),
    ("keys", _keys),
    ("nonces", _nonces),
    ("daily stats", _daily_stats),
    ("review", _review),
    ("held answers", _held),
    ("monitoring", _monitoring),
    ("guards", _guards),
    ("alerts", _alerts),
    ("provider jobs", _provider_jobs),
)

"""Brings a database to the present schema. The list only ever grows; a step that has shipped is never edited.

All steps that are due run in one transaction under a lock of their own: of several hosts that try at once one
does the work, and the others find it done.
"""

from typing import Any

from psycopg import Connection

from promptops.config.clock import utc_now
from promptops.errors import Invalid
from promptops.registry.errors import UNFINISHED_COPY, unfinished_copy_error
from promptops.registry.postgres.schema import steps

_LOCK = 0x504F5053  # "POPS"
# Read from the catalogue itself: what ``to_regclass`` remembers may be older than the wait for another host.
_COUNT = (
    "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema() AND c.relname = ANY ($1::text[])"
)
_OURS, _PERHAPS_FOREIGN = ["migrations", "run_texts"], ["migrations", "runs"]
_NUMBER = "SELECT coalesce(max(number), 0) FROM migrations"


def applied_steps(connection: Connection[Any]) -> int:
    """How many steps have been done; 0 where there is no registry."""
    if _first(connection, _COUNT, _OURS) < len(_OURS):
        return 0
    return int(_first(connection, _NUMBER))


def migrate_database(connection: Connection[Any], name: str) -> None:
    """Do what is due. ``name``: of the registry, for messages."""
    due = steps()
    if applied_steps(connection) == len(due):
        return
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock($1::int, hashtext(current_schema()))", (_LOCK,), prepare=False
        )
        done = applied_steps(connection)
        expect_known(done, name)
        if done == 0:
            expect_place(connection, name)
            _expect_encoding(connection, name)
            _refuse_foreign(connection, name)
            connection.execute(
                "CREATE TABLE migrations (number bigint PRIMARY KEY, name text, applied_at text)"
            )
        for number, (step, script) in enumerate(due[done:], done + 1):
            connection.execute(script)
            connection.execute("INSERT INTO migrations VALUES ($1, $2, $3)", (number, step, utc_now()))


def expect_known(done: int, name: str) -> None:
    if done == UNFINISHED_COPY:
        raise unfinished_copy_error(name)
    if done > len(steps()):
        raise Invalid(
            f"the registry {name} has schema {done}, and this promptops knows schemas up to {len(steps())}",
            hint="upgrade promptops, or use another registry with --registry",
        )


def expect_applied_steps(connection: Connection[Any], name: str) -> None:
    """For one that can only be read."""
    done = applied_steps(connection)
    expect_known(done, name)
    if done < len(steps()):
        raise Invalid(
            f"the registry {name} has schema {done} and needs schema {len(steps())}, but cannot be written",
            hint="open it once where it can be written",
        )


def expect_place(connection: Connection[Any], name: str) -> None:
    """One to make tables in, or to look for them."""
    if _first(connection, "SELECT current_schema()") is None:
        raise Invalid(
            f"the registry {name} is in a schema that does not exist, or that its user may not use",
            hint="CREATE SCHEMA, or GRANT USAGE on it to the user",
        )


def _expect_encoding(connection: Connection[Any], name: str) -> None:
    """One that has every character."""
    if (encoding := _first(connection, "SHOW server_encoding")) != "UTF8":
        raise Invalid(
            f"the database of {name} is in {encoding}, which cannot hold every text",
            hint="name a database that was created with ENCODING 'UTF8' TEMPLATE template0",
        )


def _refuse_foreign(connection: Connection[Any], name: str) -> None:
    if _first(connection, _COUNT, _PERHAPS_FOREIGN):
        raise Invalid(
            f"the schema of {name} has another program's tables `runs` or `migrations`",
            hint="name a database or a schema of its own: postgresql://HOST/NAME?options=-csearch_path%3Dpromptops",
        )


def _first(connection: Connection[Any], sql: str, *values: Any) -> Any:
    row = connection.execute(sql, values or None, prepare=False).fetchone()
    return row[0] if row else None

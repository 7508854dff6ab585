"""A registry of a database that a copy is being made into."""

from typing import Any

from promptops.config.registry_location import PostgresLocation
from promptops.registry.database import BUSY_TIMEOUT_S
from promptops.registry.errors import UNFINISHED_COPY
from promptops.registry.postgres.connections import connect_database
from promptops.registry.postgres.errors import translate_postgres_errors
from promptops.registry.postgres.identity import forget_id
from promptops.registry.postgres.migrations import applied_steps

_IDENTITIES = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND is_identity = 'YES'
"""


class PostgresCopyTarget:
    """See ``CopyTarget``."""

    def let_in(self, location: PostgresLocation) -> bool:
        with translate_postgres_errors(location, BUSY_TIMEOUT_S):
            connection = connect_database(location, BUSY_TIMEOUT_S)
            try:
                unfinished = applied_steps(connection.raw) == UNFINISHED_COPY
                if unfinished:
                    self._open(connection)
                return unfinished
            finally:
                connection.close()

    def keep_out(self, connection: Any) -> None:
        connection.execute(
            "INSERT INTO migrations (number, name) VALUES (?, 'unfinished copy')", (UNFINISHED_COPY,)
        )

    def finish(self, connection: Any) -> None:
        for table, column in connection.execute(_IDENTITIES).fetchall():
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "  # noqa: S608 - the schema's names
                f"coalesce(max({column}), 1), count(*) > 0) FROM {table}"
            )
        self._open(connection)

    def _open(self, connection: Any) -> None:
        connection.execute("DELETE FROM migrations WHERE number = ?", (UNFINISHED_COPY,))

    def forget_id(self, location: PostgresLocation) -> None:
        forget_id(location)


TARGET = PostgresCopyTarget()

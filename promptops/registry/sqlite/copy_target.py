"""A registry file that a copy is being made into."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from promptops.registry.errors import UNFINISHED_COPY


class SqliteCopyTarget:
    """See ``CopyTarget``."""

    def let_in(self, location: Any) -> bool:
        if not Path(location).is_file():
            return False
        with (
            suppress(sqlite3.DatabaseError),  # what is no registry is refused when it is opened
            closing(sqlite3.connect(location, isolation_level=None)) as connection,
        ):
            unfinished: bool = connection.execute("PRAGMA user_version").fetchone()[0] == UNFINISHED_COPY
            if unfinished:
                self.finish(connection)
            return unfinished
        return False

    def keep_out(self, connection: Any) -> None:
        connection.execute(f"PRAGMA user_version = {UNFINISHED_COPY}")

    def finish(self, connection: Any) -> None:
        number = connection.execute("SELECT max(number) FROM migrations").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {number}")

    def forget_id(self, location: Any) -> None: ...


TARGET = SqliteCopyTarget()

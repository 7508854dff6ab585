"""What a registry takes on the disk of its server, and giving it back."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import time
from collections.abc import Sequence
from typing import Any

from promptops.errors import Unavailable
from promptops.registry.postgres.months import Month, drop_month, past_months

_READERS_S, _POLL_S = 10.0, 0.1
# Transactions, in any table of the database, that began before this number was drawn: what they might still
# read is kept by a rewrite.
_NUMBER = "SELECT CAST(txid_current() % 4294967296 AS text)"
_EARLIER = (
    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
    "AND age(backend_xmin) > age(CAST(CAST(? AS text) AS xid)))"
)
_TEXTS = ("run_texts", "run_search")
_OF_RUNS = {  # in this order
    "run_texts": "seq",
    "run_search": "seq",
    "run_tags": "seq",
    "outcomes": "run_seq",
    "guarded_runs": "run_seq",
    "held_runs": "run_seq",
    "review_items": "run_seq",
    "runs": "seq",
}


class PostgresSpace:
    """See ``RegistrySpace``."""

    def used_bytes(self, registry: Any) -> int:
        return int(registry.size_bytes())

    def bytes_of_runs(self, registry: Any) -> int:
        tables = ", ".join(f"('{table}')" for table in _OF_RUNS)
        sql = (
            "SELECT sum(pg_total_relation_size(relid)) FROM "
            f"(VALUES {tables}) AS tables (name), pg_partition_tree(CAST(name AS regclass))"
        )
        return int(registry.read_one(sql))

    def shrink(self, registry: Any, *, at_once: bool) -> bool:
        """What deletions have left is used again by and by; ``at_once``: the server's disk gets it back."""
        if at_once:
            return self.rewrite(registry)
        registry.command(f"VACUUM (SKIP_LOCKED) {', '.join(_OF_RUNS)}")
        return False

    def rewrite(self, registry: Any) -> bool:
        """Write the tables of runs again; True where others keep one from it."""
        waiting = not self._outlasts_readers(registry)
        for table in (*_OF_RUNS, "jobs", "review_labels", "batches"):
            try:
                registry.command(f"VACUUM FULL {table}")
            except Unavailable:
                waiting = True
        return waiting

    def _outlasts_readers(self, registry: Any) -> bool:
        """Wait for transactions that began earlier; False where one goes on for longer."""
        number = registry.read_one(_NUMBER)
        deadline = time.monotonic() + _READERS_S
        while registry.read_one(_EARLIER, (number,)):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def erase_overwrites(self, registry: Any) -> None:
        """It cannot: the old rows are in the table until the server has cleaned it."""
        del registry

    def whole_months(self, registry: Any, where: str, values: Sequence[Any]) -> list[Month]:
        stays = f"SELECT EXISTS (SELECT 1 FROM runs r WHERE r.seq BETWEEN ? AND ? AND NOT ({where}))"
        return [month for month in past_months(registry) if not registry.read_one(stays, (*month, *values))]

    def drop_texts(self, registry: Any, month: Month) -> None:
        drop_month(registry, month)

    def delete_runs(
        self, connection: Any, runs: str, values: Sequence[Any], numbers: Month, *, texts: bool
    ) -> None:
        for table, column in _OF_RUNS.items():
            if texts or table not in _TEXTS:
                # BETWEEN has both sides read in order, and no index is asked for each row
                chosen = f"{column} BETWEEN ? AND ? AND {column} IN ({runs})"
                connection.execute(f"DELETE FROM {table} WHERE {chosen}", (*numbers, *values))


SPACE = PostgresSpace()

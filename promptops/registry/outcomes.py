"""What is found out about a run after it has ended."""

from collections.abc import Sequence

from promptops.errors import NotFound
from promptops.registry.records import CheckResult, utc_now
from promptops.registry.rows import INSERT_OUTCOME, check_values
from promptops.registry.store import Registry


def add_checks(registry: Registry, run_id: str, checks: Sequence[CheckResult]) -> None:
    """Log checks that took calls of their own, made once the run was safely on disk."""
    failed = sum(not check.passed for check in checks)
    now = utc_now()
    with registry.write() as connection:
        row = connection.execute("SELECT seq FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise NotFound(f"no run {run_id} in {registry.path}", hint="it was pruned meanwhile")
        connection.executemany(INSERT_OUTCOME, check_values(checks, row[0], now, now))
        connection.execute(
            "UPDATE runs SET checks_failed = coalesce(checks_failed, 0) + ? WHERE seq = ?", (failed, row[0])
        )

"""Evidence is read in the order in which calls were assigned, though they are committed in another one.

PostgreSQL alone: SQLite has one writer at a time, whose rows are there before the next one's are numbered.
"""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from promptops.config.registry_location import PostgresLocation, postgres_location
from promptops.registry import (
    EngineError,
    ExportCheckpoint,
    Exposure,
    RegistryDatabase,
    StartedRun,
    calls_after,
    column,
    count_exposure,
    export_release,
    find_channels,
    last_outcome_id,
    last_seq,
)
from support.logged_runs import a_run, an_end, check
from support.postgres import new_registry
from support.slow_commits import slow_commits

SLOW = "a slow host"
HELD = 4711  # the key of the lock that slow commits wait for
WAIT = f"IF NEW.tenant = '{SLOW}' THEN PERFORM pg_advisory_xact_lock_shared({HELD}); END IF;"


@pytest.fixture
def location(tmp_path: Path) -> Iterator[PostgresLocation]:
    """A registry in which the commits of the slow host wait."""
    with new_registry() as url, slow_commits(url, WAIT):
        yield postgres_location(url, tmp_path)


@contextmanager
def slow_commit(location: PostgresLocation, run: StartedRun) -> Iterator[None]:
    """In the block a run has its number, and its transaction has not ended."""

    def log() -> None:
        with RegistryDatabase.open(location) as registry:
            registry.record([(run, an_end(checks=[check()]))])

    with psycopg.connect(location.url, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", (HELD,))
        writer = threading.Thread(target=log)
        writer.start()
        waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        while not server.execute(waits, (HELD,)).fetchone():
            time.sleep(0.005)
        yield
        server.execute("SELECT pg_advisory_unlock(%s)", (HELD,))
        writer.join()


def served(**fields: object) -> StartedRun:
    given = {"channel": "production", "rollout": "r-1", "arm": "canary", "weight_bp": 2500}
    return a_run(**{**given, **fields})


def test_what_an_open_transaction_may_precede_is_not_read_yet(location: PostgresLocation) -> None:
    slow, quick = served(tenant=SLOW), served()
    with RegistryDatabase.open(location) as registry:
        with slow_commit(location, slow):
            registry.record([(quick, an_end(checks=[check()]))])
            assert [row["run_id"] for row in registry.read("SELECT run_id FROM runs")] == [quick.run_id]
            assert read(registry) == ([], 0, 0, Exposure(), [], 0)
            with registry.snapshot():
                assert read(registry) == ([], 0, 0, Exposure(), [], 0)
        ids, last, outcome, exposure, channels, through = read(registry)
        assert ids == [slow.run_id, quick.run_id]
        assert (last, outcome, through, exposure.calls, exposure.through) == (2, 2, 2, 2, 2)
        assert channels == [("support/triage", "production")]


def read(registry: RegistryDatabase) -> tuple[list[str], int, int, Exposure, list[tuple[str, str]], int]:
    """All that reads the log on from a place, and would never see what comes before it later."""
    rows = calls_after(registry, "r-1", 0, limit=10)
    exported = export_release(registry, io.StringIO(), since=ExportCheckpoint(), now=time.time())
    return (
        column(rows, "run_id"),
        last_seq(registry),
        last_outcome_id(registry),
        count_exposure(registry, "r-1"),
        find_channels(registry),
        exported.mark.through_seq,
    )


def test_a_slow_commit_holds_up_no_other_and_a_lost_one_nobody(location: PostgresLocation) -> None:
    """A number whose transaction was undone is never waited for."""
    with RegistryDatabase.open(location) as registry:
        known = served()
        registry.record([(known, an_end())])
        with pytest.raises(EngineError):
            registry.record([(served(), an_end()), (known, an_end())])
        with slow_commit(location, served(tenant=SLOW)):
            began = time.monotonic()
            registry.record([(served(), an_end()) for _ in range(20)])
            assert time.monotonic() - began < 5.0
            assert len(calls_after(registry, "r-1", 0, limit=100)) == 1
        assert len(calls_after(registry, "r-1", 0, limit=100)) == 22

"""A registry of before there were probes takes them, and its rows stay as they were."""

import sqlite3
from pathlib import Path

import pytest

from promptops.registry import RegistryDatabase
from promptops.registry.sqlite.migrations import MIGRATIONS
from promptops.registry.sqlite.store import open_registry
from support.logged_runs import a_run, an_end

NAMES = [name for name, _ in MIGRATIONS]


def test_probes_are_logged_in_a_registry_that_was_made_before(tmp_path: Path) -> None:
    before = MIGRATIONS[: NAMES.index("monitoring")]
    path = tmp_path / "registry.db"
    with open_registry(path, steps=before) as registry, registry.write() as connection:
        columns = "run_id, writer_id, writer_counter, kind, state, started_at, reference, prompt, digest"
        more = "source, dirty, trial, request_model, messages_hash"
        values = "'01A', 'w', 1, 'judge', 'finished', '2026-11-01', 'a', 'a', 'd', 's', 0, 0, 'm', 'h'"
        connection.execute(f"INSERT INTO runs ({columns}, {more}) VALUES ({values})")
    with RegistryDatabase.open(path) as registry:
        registry.record([(a_run(kind="probe"), an_end())])
        assert [row[0] for row in registry.read("SELECT kind FROM runs ORDER BY seq")] == ["judge", "probe"]
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        assert registry.read_one("PRAGMA writable_schema") == 0
    with RegistryDatabase.open(path) as registry:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            registry.record([(a_run(kind="prob"), an_end())])
        registry.record([(a_run(kind="eval"), an_end())])
        assert registry.read_one("SELECT count(*) FROM runs") == 3

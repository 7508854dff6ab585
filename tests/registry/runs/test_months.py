"""On a server the texts of a month lie apart from those of others, and are dropped with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from promptops.config.registry_location import PostgresLocation, postgres_location
from promptops.registry import RegistryDatabase, RunFilter, list_runs, prune_runs, search_runs
from promptops.registry.postgres.months import SPAN, past_months
from support.logged_runs import a_run, an_end
from support.postgres import new_schema


@pytest.fixture
def location(tmp_path: Path) -> Iterator[PostgresLocation]:
    with new_schema() as url:
        yield postgres_location(url, tmp_path)


def forget_month(registry: RegistryDatabase) -> None:
    """As if this month had not begun."""
    with registry.write() as connection:
        connection.execute("UPDATE months SET month = '2000-' || place")


def begin_month(registry: RegistryDatabase) -> None:
    forget_month(registry)
    assert registry.read_one("SELECT registry_begin_month()")


def log_month(registry: RegistryDatabase, month: int, count: int = 20) -> list[int]:
    return registry.record([
        (a_run(started_at=f"2026-{month:02}-{1 + n % 28:02}T00:00:00.000Z", metadata={"tags": ["t"]}),
         an_end(output=f"word{n}"))
        for n in range(count)
    ])  # fmt: skip


@pytest.fixture
def filled(registry: RegistryDatabase) -> RegistryDatabase:
    """Three months."""
    for month in (1, 2, 3):
        log_month(registry, month)
        if month < 3:
            begin_month(registry)
    search_runs(registry, "word3", RunFilter(), limit=1)
    return registry


def texts(registry: RegistryDatabase) -> list[str]:
    sql = "SELECT relid::text FROM pg_partition_tree('run_texts') WHERE isleaf ORDER BY 1"
    return [row[0] for row in registry.read(sql)]


def test_a_month_begins_with_numbers_of_its_own(filled: RegistryDatabase) -> None:
    spans = {row[0] // SPAN for row in filled.read("SELECT seq FROM runs")}
    assert spans == {0, 1, 2}
    assert len(past_months(filled)) == 2
    assert len(list_runs(filled, RunFilter(), limit=99)) == 60
    assert filled.read_one("SELECT registry_begin_month()")  # it has begun already
    assert len(past_months(filled)) == 2


def test_a_month_is_dropped_whole(filled: RegistryDatabase) -> None:
    assert prune_runs(filled, before="2026-02-01").runs == 20
    assert texts(filled) == ["run_texts_1", "run_texts_2", "run_texts_other"]
    assert len(list_runs(filled, RunFilter(), limit=99)) == 40
    assert len(search_runs(filled, "word3", RunFilter(), limit=9).hits) == 2
    assert filled.read_one("SELECT count(*) FROM run_tags") == 40


def test_a_part_of_a_month_is_deleted(filled: RegistryDatabase) -> None:
    assert prune_runs(filled, before="2026-02-11").runs == 30
    assert texts(filled) == ["run_texts_1", "run_texts_2", "run_texts_other"]
    assert filled.read_one("SELECT count(*) FROM run_texts") == 30


def test_a_month_with_runs_of_an_active_rollout_stays(filled: RegistryDatabase) -> None:
    with filled.write() as connection:
        connection.execute("UPDATE runs SET rollout = 'r1' WHERE seq = 5")
    assert prune_runs(filled, before="2026-02-01", active_rollouts=["r1"]).runs == 19
    assert "run_texts_0" in texts(filled)
    assert filled.read_one("SELECT count(*) FROM run_texts WHERE seq < 100") == 1


def test_what_a_killed_prune_has_left_is_dropped_by_the_next(filled: RegistryDatabase) -> None:
    with filled.write() as connection:
        connection.execute("DELETE FROM runs WHERE seq <= 20")
    assert prune_runs(filled, before="2026-01-01").runs == 0
    assert "run_texts_0" not in texts(filled)


def test_a_month_does_not_begin_while_others_write(registry: RegistryDatabase) -> None:
    log_month(registry, 1)
    with RegistryDatabase.open(registry.path) as other:
        with other.write():
            pass
        forget_month(registry)
        with other.write():
            assert not registry.read_one("SELECT registry_begin_month()")
    assert registry.read_one("SELECT registry_begin_month()")


def test_numbers_from_elsewhere_find_a_place(registry: RegistryDatabase) -> None:
    far = 7 * SPAN + 3
    run = a_run()
    registry.record([(run, an_end())])
    with registry.write() as connection:
        for table in ("runs", "run_texts"):
            connection.execute(f"UPDATE {table} SET seq = ? WHERE seq = 1", (far,))
    begin_month(registry)
    (seq,) = log_month(registry, 5, count=1)
    assert seq // SPAN == 8
    assert len(list_runs(registry, RunFilter(), limit=9)) == 2

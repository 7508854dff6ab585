"""A registry copied from either engine to either."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from promptops.config.registry_location import RegistryLocation, exact_text, postgres_location
from promptops.errors import Invalid, Unavailable
from promptops.registry import RegistryDatabase, RunFilter, copy_registry, new_run_id, search_runs
from promptops.registry.queries import copy
from promptops.registry.queries.copy import OTHER_TABLES, RUN_TABLES
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, go_live, ok, told
from support.greet_traffic import traffic
from support.logged_runs import a_run, an_end, check
from support.postgres import new_registry, new_schema
from support.provider import Provider

DERIVED = {
    *("search_waiting", "stats_cells", "stats_days", "stats_outcomes", "stats_waiting"),
    *("history_index", "history_changes", "history_commits", "history_prompts", "history_versions"),
}
"""What is made again where it is missing."""
OWN = {"migrations", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"}
Places = tuple[RegistryLocation, RegistryLocation]


@pytest.fixture(params=["sqlite to postgres", "postgres to sqlite", "sqlite to sqlite"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """Where a registry is, and where its copy is to be."""
    with ExitStack() as stack:

        def place(engine: str, name: str) -> RegistryLocation:
            folder = tmp_path / name
            folder.mkdir()
            if engine == "sqlite":
                return folder / "registry.db"
            return postgres_location(stack.enter_context(new_registry()), folder)

        engines = request.param.split(" to ")
        yield place(engines[0], "of"), place(engines[1], "to")


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them, without many rows."""
    monkeypatch.setattr(copy, "_SLICE", 100)


def fill(place: RegistryLocation, count: int, *, first: int = 0) -> list[str]:
    """Runs with all that belongs to a run; their ids."""
    log = [
        (
            a_run(
                run_id=new_run_id(),
                inputs={"ticket": f"Parcel {number} 包裹 \ue000 \x00"},
                metadata={"tags": [f"t{number % 3}"]},
            ),
            an_end(output=f"late {number}", checks=(check(passed=bool(number % 2)),), latency_ms=number / 7),
        )
        for number in range(first, first + count)
    ]
    with RegistryDatabase.open(place) as registry:
        registry.record(log)
    return [run.run_id for run, _ in log]


def contents(place: RegistryLocation) -> dict[str, list[dict[str, Any]]]:
    tables = {table: order for table, (_, order) in RUN_TABLES.items()} | OTHER_TABLES
    tables.pop("meta")
    with RegistryDatabase.open(place) as registry:
        return {
            table: [dict(row) for row in registry.read(f"SELECT * FROM {table} ORDER BY {order}")]
            for table, order in tables.items()
        }


def test_no_table_is_forgotten(tmp_path: Path) -> None:
    RegistryDatabase.open(tmp_path / "registry.db").close()
    with closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    assert {name for (name,) in found} - OWN == {*RUN_TABLES, *OTHER_TABLES} | DERIVED


def test_a_copy_is_the_same_and_goes_on(places: Places) -> None:
    source, target = places
    ids = fill(source, 345)
    steps: list[tuple[int, int]] = []
    copied = copy_registry(source, target, lambda *step: steps.append(step))
    assert (copied.runs, copied.unfinished, copied.arrived) == (345, 0, 0)
    assert copied.rows == sum(map(len, contents(source).values())) + 2  # and of meta the id and the key
    assert steps == [(100, 345), (200, 345), (300, 345), (345, 345), (345, 345)]
    assert contents(target) == contents(source)
    again = copy_registry(source, target)
    assert (again.digest, again.written) == (copied.digest, 0)
    later = fill(target, 3, first=5_000)  # numbers go on after those of the copy
    identity = "SELECT value FROM meta WHERE key IN ('registry_id', 'unit_key') ORDER BY key"
    with RegistryDatabase.open(target) as registry, RegistryDatabase.open(source) as before:
        assert [row["run_id"] for row in registry.read("SELECT run_id FROM runs ORDER BY seq")] == ids + later
        assert search_runs(registry, "包裹", RunFilter(), limit=1).hits
        assert [tuple(row) for row in registry.read(identity)] == [
            tuple(row) for row in before.read(identity)
        ]
    with pytest.raises(Invalid, match="has been used since it was copied"):
        copy_registry(source, target)


def test_what_has_changed_since_is_brought_and_nothing_else(places: Places) -> None:
    source, target = places
    fill(source, 300)
    first = copy_registry(source, target)
    with RegistryDatabase.open(source) as registry, registry.write() as connection:
        (gone, last) = connection.execute("SELECT min(seq), max(seq) FROM runs").fetchone()
        for table, (number, _) in reversed(RUN_TABLES.items()):
            connection.execute(f"DELETE FROM {table} WHERE {number} = ?", (gone,))
        connection.execute("UPDATE run_texts SET output = NULL WHERE seq = ?", (last,))
    fill(source, 10, first=9_000)
    second = copy_registry(source, target)
    assert contents(target) == contents(source)
    assert 0 < second.written < first.written  # the slice in the middle is as it was
    assert second.runs == 309


def test_a_pass_that_was_killed_is_gone_on_with_and_nobody_opens_it_before(places: Places) -> None:
    source, target = places
    fill(source, 300)

    class Killed(BaseException): ...

    def kill(done: int, _: int) -> None:
        if done == 200:
            raise Killed

    with pytest.raises(Killed):
        copy_registry(source, target, kill)
    with pytest.raises(Invalid, match="is a copy that is not whole yet"):
        RegistryDatabase.open(target)
    rest = copy_registry(source, target)
    assert 0 < rest.written < rest.rows / 2
    assert contents(target) == contents(source)


def test_while_runs_are_logged_a_copy_is_of_one_moment(places: Places) -> None:
    source, target = places
    fill(source, 600)
    ends = threading.Event()

    def log() -> None:
        with RegistryDatabase.open(source) as registry:
            while not ends.is_set():
                run = a_run()
                registry.start(run)
                registry.finish(run.run_id, an_end(checks=(check(),)))
                time.sleep(0.001)

    logging = threading.Thread(target=log)
    logging.start()
    try:
        time.sleep(0.1)
        copied = copy_registry(source, target)
    finally:
        ends.set()
        logging.join()
    assert copied.arrived > 0
    there = contents(target)
    assert len(there["runs"]) == len(there["run_texts"]) == copied.runs
    ended = [run["seq"] for run in there["runs"] if run["state"] == "finished"]
    assert [row["run_seq"] for row in there["outcomes"]] == ended
    assert copied.unfinished == copied.runs - len(ended) <= 1
    copy_registry(source, target)
    assert contents(target) == contents(source)


def test_a_place_that_holds_something_else_is_left_alone(places: Places, tmp_path: Path) -> None:
    source, target = places
    fill(source, 3)
    fill(target, 1)
    before = contents(target)
    with pytest.raises(Invalid, match=r"is no copy of .* and not empty"):
        copy_registry(source, target)
    assert contents(target) == before
    with pytest.raises(Invalid, match="cannot be copied onto itself"):
        copy_registry(source, source)
    with pytest.raises(Invalid, match="no registry at"):
        copy_registry(tmp_path / "none.db", target)


def test_what_is_not_what_was_written_is_not_kept(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a disk or a driver that changes a letter would do."""
    source, target = places
    fill(source, 3)
    insert = copy._insert  # noqa: SLF001

    def changed(connection: Any, table: str, rows: Any) -> None:
        insert(connection, table, rows)
        if table == "run_texts":
            first = "SELECT min(seq) FROM run_texts"
            connection.execute(f"UPDATE run_texts SET output = 'x' WHERE seq = ({first})")

    monkeypatch.setattr(copy, "_insert", changed)
    with pytest.raises(Unavailable, match="does not hold what was written"):
        copy_registry(source, target)
    monkeypatch.undo()
    copy_registry(source, target)
    assert contents(target) == contents(source)


LOOKS = (
    ("runs", "list", "--json"),
    ("runs", "stats", "--json"),
    ("runs", "search", "Ada", "--json"),
    ("release", "verify", "--json"),
    ("status", "greet", "--json"),
    ("review", "status", "greet", "--json"),
    ("keys", "list", "--json"),
)


def without_now(found: Any) -> Any:
    if not isinstance(found, list):
        return found
    return [{key: each[key] for key in each if key != "now"} for each in found]


def test_every_verb_says_the_same_of_a_copy(
    cli: Cli, repo: Repo, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del provider
    go_live(cli, repo)
    ok(cli("run", "greet:production", "--unit", "u1", "-i", "name=Ada"))
    ok(cli("feedback", "last", "up", "--comment", "kind"))
    ok(cli("review", "start", "greet", "--sample", "1"))
    ok(cli("keys", "new", "acme"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 120, failing=True)
    assert cli("tick", "greet:production").code == 1

    def looks() -> list[Any]:
        return [without_now(told(cli, *words)) for words in LOOKS]

    with new_registry() as url:
        assert told(cli, "registry", "copy", exact_text(repo.registry), url)["runs"] == 121
        seen = looks()
        monkeypatch.setenv("PROMPTOPS_REGISTRY", url)
        assert looks() == seen
        ok(cli("registry", "copy", url, str(tmp_path / "back.db")))
        monkeypatch.setenv("PROMPTOPS_REGISTRY", str(tmp_path / "back.db"))
        assert looks() == seen


def test_a_file_that_is_no_registry_is_left_alone(greeting: Repo, cli: Cli) -> None:
    RegistryDatabase.open(greeting.path / "registry.db").close()
    before = greeting.write("notes.txt", "no database, and longer than its header " * 4).read_bytes()
    refused = cli("registry", "copy", "registry.db", "notes.txt")
    assert refused.code == 4
    assert "is not a promptops registry" in refused.err
    assert (greeting.path / "notes.txt").read_bytes() == before


def test_a_database_by_another_url_is_not_copied_onto_itself_and_an_empty_one_is_none(
    tmp_path: Path,
) -> None:
    fill(tmp_path / "registry.db", 3)
    with new_registry() as url, new_schema() as empty:
        target, other = (postgres_location(each, tmp_path) for each in (url, f"{url}&application_name=other"))
        copy_registry(tmp_path / "registry.db", target)
        with pytest.raises(Invalid, match="cannot be copied onto itself"):
            copy_registry(target, other)
        assert copy_registry(tmp_path / "registry.db", target).written == 0
        with pytest.raises(Invalid, match="no registry at"):
            copy_registry(postgres_location(empty, tmp_path), tmp_path / "copy.db")


def test_a_copy_by_another_name_is_not_copied_onto_itself(tmp_path: Path) -> None:
    source, target, link = (tmp_path / name for name in ("registry.db", "copy.db", "link.db"))
    RegistryDatabase.open(source).close()
    copy_registry(source, target)
    link.symlink_to(target)
    for other in (link, tmp_path / "x" / ".." / "copy.db"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(Invalid, match="cannot be copied onto itself"):
            copy_registry(target, other)

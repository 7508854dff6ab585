"""A wire that is cut in the very COMMIT, before the server has it and after."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import psycopg
import pytest

from promptops import Workspace
from promptops.config.registry_location import postgres_location
from promptops.errors import Invalid, Unavailable
from promptops.registry import RegistryDatabase, copy_registry
from promptops.registry.queries.versions import save_version
from support.batch_files import greetings, outputs, write_lines
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end
from support.postgres import new_registry, new_schema
from support.postgres_wires import Cut, Wire
from support.provider import Answer, Provider, Received, echo


@pytest.fixture
def url() -> Iterator[str]:
    with new_registry() as url:
        yield url


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with Wire(url) as wire:
        yield wire


def logged(url: str) -> Counter[tuple[str, str]]:
    """How often each run is there, by id and state."""
    with psycopg.connect(url) as connection:
        return Counter(connection.execute("SELECT run_id, state FROM runs").fetchall())


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("at", ["start", "finish"])
def test_a_run_is_logged_once(
    greeting: Repo, provider: Provider, url: str, wire: Wire, cut: Cut, at: str
) -> None:
    """What was not committed is kept beside and taken in; what was is not written again."""

    def answer(request: Received) -> Answer:
        wire.cut = cut if at == "finish" and len(provider.requests) == 2 else ""
        return echo(request)

    provider.script = answer
    with Workspace.open(greeting.path, registry=wire.url) as workspace:
        ids = [workspace.run("greet", {"name": "first"}).id]
        wire.cut = cut if at == "start" else ""
        ids.append(workspace.run("greet", {"name": "second"}).id)
    assert wire.cuts == 1
    with Workspace.open(greeting.path, registry=wire.url) as workspace:
        ids.append(workspace.run("greet", {"name": "third"}).id)
    assert logged(url) == {(run_id, "finished"): 1 for run_id in ids}


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("verb", ["start", "record", "write"])
def test_a_transaction_is_there_whole_or_raises(
    tmp_path: Path, url: str, wire: Wire, cut: Cut, verb: str
) -> None:
    run = a_run()
    with RegistryDatabase.open(postgres_location(wire.url, tmp_path)) as registry:
        verbs: dict[str, Callable[[], object]] = {
            "start": lambda: registry.start(run),
            "record": lambda: registry.record([(run, an_end())]),
            "write": lambda: save_version(registry, run.prompt, run.digest, "{}"),
        }
        wire.cut = cut
        with pytest.raises(Unavailable, match="cannot be reached") if cut == "before" else nullcontext():
            verbs[verb]()
        assert wire.cuts == 1
        verbs[verb]() if cut == "before" else None
        count = "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM versions)"
        assert registry.read_one(count) == 1


def test_nobody_knows_how_a_commit_ended_while_the_server_holds_it(
    greeting: Repo, provider: Provider, url: str, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """It sees only later that its client has gone, and then undoes the run, which is written again."""
    del provider
    wire.hold = True
    with Workspace.open(greeting.path, registry=wire.url) as workspace:
        ids = [workspace.run("greet", {"name": "first"}).id]
        wire.cut = "before"
        ids.append(workspace.run("greet", {"name": "second"}).id)
        assert "was lost while it was written" in caplog.text
        wire.let_go()
    with Workspace.open(greeting.path, registry=wire.url) as workspace:
        ids.append(workspace.run("greet", {"name": "third"}).id)
    assert logged(url) == {(run_id, "finished"): 1 for run_id in ids}


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_batch_asks_nothing_twice(
    cli: Cli,
    greeting: Repo,
    provider: Provider,
    url: str,
    wire: Wire,
    cut: Cut,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: Received) -> Answer:
        if len(provider.requests) == 10:
            wire.cut = cut
        return echo(request)

    provider.script = answer
    monkeypatch.setenv("PROMPTOPS_REGISTRY", wire.url)
    write_lines(greeting, 20)
    words = ("batch", "greet", "in.jsonl", "--out", "out.jsonl", "-j", "4")
    first = cli(*words)
    assert wire.cuts == 1
    assert first.code == (5 if cut == "before" else 0), first.err
    assert cut == "after" or cli(*words).code == 0
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(20)
    assert len(provider.requests) == 20
    assert sorted(logged(url).values()) == [1] * 20


@pytest.mark.parametrize("cut", ["before", "after"])
def test_tables_are_made_whole(tmp_path: Path, cut: Cut) -> None:
    with new_schema() as empty, Wire(empty) as wire:
        location = postgres_location(wire.url, tmp_path)
        wire.cut = cut
        with pytest.raises(Unavailable, match="cannot be reached"):
            RegistryDatabase.open(location)
        with psycopg.connect(empty) as connection:
            made = connection.execute("SELECT to_regclass('runs') IS NOT NULL").fetchone()
        assert made == (cut == "after",)
        with RegistryDatabase.open(location) as registry:
            assert registry.start(a_run()) == 1


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_copy_that_is_cut_off_is_gone_on_with(tmp_path: Path, url: str, wire: Wire, cut: Cut) -> None:
    source, target = tmp_path / "registry.db", postgres_location(wire.url, tmp_path)
    with RegistryDatabase.open(source) as registry:
        registry.record([(a_run(), an_end()) for _ in range(1_500)])

    def look(done: int, _: int) -> None:
        wire.cut = cut if done == 1_000 else ""

    with pytest.raises(Unavailable) if cut == "before" else nullcontext():
        copy_registry(source, target, look)
    assert wire.cuts == 1
    copy_registry(source, target)
    assert copy_registry(source, target).written == 0
    assert len(logged(url)) == 1_500


def test_a_copy_whose_source_is_cut_off_is_gone_on_with(tmp_path: Path, url: str, wire: Wire) -> None:
    source, target = postgres_location(wire.url, tmp_path), tmp_path / "copy.db"
    with RegistryDatabase.open(source) as registry:
        registry.record([(a_run(), an_end()) for _ in range(1_500)])

    def look(done: int, _: int) -> None:
        if done == 1_000:
            wire.drop()

    with pytest.raises(Unavailable, match="cannot be reached"):
        copy_registry(source, target, look)
    with pytest.raises(Invalid, match="is a copy that is not whole yet"):
        RegistryDatabase.open(target)
    rest = copy_registry(source, target)
    assert (rest.runs, copy_registry(source, target).written) == (1_500, 0)
    assert 0 < rest.written < rest.rows
    assert len(logged(url)) == 1_500

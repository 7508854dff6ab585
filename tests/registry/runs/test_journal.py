"""Runs that could not be logged at once."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from promptops.config.locks import file_lock
from promptops.config.settings import Settings, current_settings
from promptops.errors import Invalid
from promptops.registry import (
    CheckResult,
    FinishedRun,
    RegistryDatabase,
    RegistryJournal,
    Spool,
    StartedRun,
    new_run_id,
)
from support.front_door import Cli, Repo
from support.prompt_files import greet_prompt
from support.provider import Provider, text


def started(digest: str = "a" * 64) -> StartedRun:
    return StartedRun(
        run_id=new_run_id(),
        started_at="2026-11-02T09:14:00.000Z",
        reference="greet",
        prompt="greet",
        digest=digest,
        request_model="openai/gpt-4o",
        messages_hash="b" * 64,
        inputs={"name": "Ada"},
    )


def finished() -> FinishedRun:
    return FinishedRun(
        finished_at="2026-11-02T09:14:01.000Z",
        state="finished",
        output="Hello",
        checks=[CheckResult(name="polite", passed=True)],
    )


def block(settings: Settings) -> None:
    """Put a folder where the registry should be: nobody can write rows into that."""
    settings.registry.mkdir()


def unblock(settings: Settings) -> None:
    settings.registry.rmdir()


def logged(settings: Settings) -> dict[str, str]:
    with RegistryDatabase.open(settings.registry) as registry:
        return {row[0]: row[1] for row in registry.read("SELECT run_id, state FROM runs")}


@pytest.mark.sqlite
def test_a_run_begun_beside_the_registry_is_taken_in_whole(repo: Repo) -> None:
    settings, run = current_settings(), started()
    block(settings)
    journal = RegistryJournal(settings)
    journal.start(run, greet_prompt())
    journal.finish(run.run_id, finished())
    assert len(Spool(settings.registry).waiting()) == 1
    unblock(settings)
    other = started()
    RegistryJournal(settings).start(other, greet_prompt())
    assert logged(settings) == {run.run_id: "finished", other.run_id: "started"}
    with RegistryDatabase.open(settings.registry) as registry:
        assert registry.read_one("SELECT count(*) FROM outcomes") == 1


@pytest.mark.sqlite
def test_a_run_taken_in_while_under_way_is_finished_in_the_registry(repo: Repo) -> None:
    settings, run = current_settings(), started()
    block(settings)
    journal = RegistryJournal(settings)
    journal.start(run, greet_prompt())
    unblock(settings)
    RegistryJournal(settings).start(started(), greet_prompt())
    assert logged(settings)[run.run_id] == "started"
    journal.finish(run.run_id, finished())
    assert logged(settings)[run.run_id] == "finished"


@pytest.mark.sqlite
def test_a_run_that_ends_while_the_registry_is_gone_waits_with_its_end(repo: Repo) -> None:
    settings, run = current_settings(), started()
    journal = RegistryJournal(settings)
    journal.start(run, greet_prompt())
    with RegistryDatabase.open(settings.registry) as registry, registry.write() as connection:
        connection.execute("DELETE FROM runs")
    journal.finish(run.run_id, finished())
    journal.close()
    assert logged(settings) == {run.run_id: "finished"}


@pytest.mark.sqlite
def test_fail_closed_raises_at_either_end(repo: Repo) -> None:
    repo.write("promptops.yaml", "log: {on_error: fail}\n")
    settings = current_settings()
    block(settings)
    with pytest.raises(Invalid):
        RegistryJournal(settings).start(started(), greet_prompt())
    unblock(settings)
    journal, run = RegistryJournal(settings), started()
    journal.start(run, greet_prompt())
    with RegistryDatabase.open(settings.registry) as registry:
        registry.replay(run, finished())
    with pytest.raises(Invalid, match="ended already"):
        journal.finish(run.run_id, finished())


@pytest.mark.sqlite
def test_where_nothing_can_be_written_nothing_is_begun(repo: Repo, tmp_path: Path) -> None:
    repo.write("promptops.yaml", "registry: nowhere/registry.db\n")
    with pytest.raises(Invalid):
        RegistryJournal(current_settings()).start(started(), greet_prompt())


@pytest.mark.sqlite
def test_doctor_tells_of_runs_that_wait(cli: Cli, greeting: Repo, provider: Provider) -> None:
    settings = current_settings()
    block(settings)
    provider.script = text("Hello")
    assert cli("run", "greet", "-i", "name=Ada").code == 0
    done = cli("doctor")
    assert done.code == 1
    assert "1 run waits in" in done.out
    unblock(settings)
    assert cli("run", "greet", "-i", "name=Ada").code == 0
    assert "wait" not in cli("doctor").out


def test_a_spool_that_another_process_keeps_is_left_to_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "registry.db", lock_timeout_s=0.05)
    assert spool.put(started(), None)
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        with file_lock(spool.folder / "lock"):
            assert not spool.replay(registry)
            assert not spool.put(started(), None)
        assert spool.replay(registry)
        assert registry.read_one("SELECT count(*) FROM runs") == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("gone", ["deleted", "moved", "replaced"])
def test_runs_of_a_registry_that_left_its_path_are_in_the_next_one(repo: Repo, gone: str) -> None:
    settings, runs = current_settings(), [started() for _ in range(4)]
    journal = RegistryJournal(settings)
    journal.start(runs[0], greet_prompt())
    journal.finish(runs[0].run_id, finished())
    journal.start(runs[1], greet_prompt())
    for end in ("", "-wal", "-shm"):
        file = settings.registry.with_name(f"{settings.registry.name}{end}")
        file.unlink() if gone == "deleted" else file.rename(f"{file}.aside")
    if gone == "replaced":
        RegistryDatabase.open(settings.registry).close()
    journal.finish(runs[1].run_id, finished())
    for run in runs[2:]:
        journal.start(run, greet_prompt())
        journal.finish(run.run_id, finished())
    journal.close()
    assert logged(settings) == {run.run_id: "finished" for run in runs[1:]}
    assert Spool(settings.registry).waiting() == []


def odd_spool_file(spool: Spool, what: str) -> None:
    """A file among those that wait, which is not a run or none that can be stored."""
    file = spool.folder / f"{started().run_id}.json"
    record = {"started": asdict(started()), "finished": asdict(finished()), "place": None}
    if what == "folder":
        (file / "within").mkdir(parents=True)
        return
    odd = {
        "place": record | {"place": []},
        "number": record | {"finished": record["finished"] | {"input_tokens": 10**30}},
        "kind": record | {"started": record["started"] | {"kind": "dream"}},
        "type": record | {"finished": record["finished"] | {"state": ["finished"]}},
        "list": [],
    }
    texts = {"deep": "[" * 100_000, "bytes": "\udcff", "nothing": "", "huge": "1" * 5_000}
    file.write_bytes((texts.get(what) or json.dumps(odd.get(what, ""))).encode(errors="surrogateescape"))


@pytest.mark.parametrize(
    "what", ["folder", "place", "number", "kind", "type", "list", "deep", "bytes", "nothing", "huge"]
)
def test_one_odd_file_in_the_spool_keeps_no_other_waiting(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool, whole = Spool(tmp_path / "registry.db"), started()
    assert spool.put(whole, finished())
    odd_spool_file(spool, what)
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        assert spool.replay(registry)
        found = [row[0] for row in registry.read("SELECT run_id FROM runs")]
        assert spool.replay(registry)
    assert whole.run_id in found
    assert spool.waiting() == []
    assert len(found) + len(spool.damaged()) == 2
    assert caplog.text.count("set aside") == len(spool.damaged())


def test_what_a_killed_writer_left_in_the_spool_is_swept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "registry.db")
    spool.folder.mkdir()
    (spool.folder / "01J.new").write_text("{")
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        assert spool.replay(registry)
    assert [file.name for file in spool.folder.iterdir()] == ["lock"]


def test_an_end_is_kept_though_the_waiting_file_was_damaged_meanwhile(tmp_path: Path) -> None:
    spool, run = Spool(tmp_path / "registry.db"), started()
    assert spool.put(run, None)
    (spool.folder / f"{run.run_id}.json").write_text("{")
    assert spool.complete(run, finished())
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        assert spool.replay(registry)
        assert registry.read_one("SELECT state FROM runs WHERE run_id = ?", (run.run_id,)) == "finished"

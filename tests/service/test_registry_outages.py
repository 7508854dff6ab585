"""A workspace whose registry is locked, full or gone."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptops import Workspace
from promptops.errors import Unavailable
from support.forked_commands import run_forked
from support.front_door import Repo
from support.provider import Answer, Provider, Received, echo
from support.workspace_clients import locked, states, until, works


@pytest.fixture
def workspace(greeting: Repo, provider: Provider) -> Iterator[Workspace]:
    with Workspace.open(greeting.path) as opened:
        yield opened


def test_a_locked_registry_costs_nobody_the_answer(
    workspace: Workspace, greeting: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.run("greet", {"name": "first"})
    with locked(greeting.path), ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        runs = list(pool.map(lambda name: workspace.run("greet", {"name": str(name)}), range(40)))
        assert time.monotonic() - began < 15
    assert all(run.answer for run in runs)
    said = caplog.text
    assert said.count("has been locked by another process") == 1
    assert "registry.db-spool" in said
    until(lambda: not list(greeting.path.glob("registry.db-spool/*.json")))
    assert states(greeting.path) == {"finished": 41}
    until(lambda: "can be written, and has the runs" in caplog.text)


FULL = """
import logging, resource, signal, sys
from promptops import Workspace
logging.basicConfig()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Workspace.open(".") as workspace:
    workspace.run("greet", {"name": "before"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), hard))
    print(*(workspace.run("greet", {"name": str(number)}).answer for number in range(30)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
"""


@pytest.mark.parametrize("room", [20_000, 1500, 0], ids=["for small files", "for started runs", "none"])
def test_a_full_disk_costs_nobody_the_answer(greeting: Repo, provider: Provider, room: int) -> None:
    command = [sys.executable, "-c", FULL, str(room)]
    done = run_forked(command, capture_output=True, encoding="utf-8", check=True, timeout=30)
    assert done.stdout.count("Greet") == 30
    assert done.stderr.count("registry.db cannot be read or written") == 1
    assert ("runs are kept in memory" in done.stderr) == (room < 20_000)
    assert states(greeting.path) == {"finished": 31}


def test_where_nothing_can_be_written_runs_wait_in_memory(
    workspace: Workspace, greeting: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    (greeting.path / "registry.db").mkdir()
    greeting.write("registry.db-spool", "in the way")
    assert workspace.run("greet", {"name": "Ada"}).answer == "Greet Ada."
    assert "runs are kept in memory" in caplog.text
    (greeting.path / "registry.db").rmdir()
    (greeting.path / "registry.db-spool").unlink()
    workspace.close()
    assert states(greeting.path) == {"finished": 1}


def test_runs_that_find_no_place_until_the_end_are_told_of(
    workspace: Workspace, greeting: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    (greeting.path / "registry.db").mkdir()
    greeting.write("registry.db-spool", "in the way")
    workspace.run("greet", {"name": "Ada"})
    workspace.close()
    assert "1 runs have NOT been logged" in caplog.text


def test_fail_closed_calls_nobody(greeting: Repo, provider: Provider) -> None:
    greeting.write("promptops.yaml", "log: {on_error: fail}\n")
    with Workspace.open(greeting.path) as workspace:
        workspace.run("greet", {"name": "Ada"})
        with locked(greeting.path):
            began = time.monotonic()
            for _ in range(3):
                with pytest.raises(Unavailable, match="locked"):
                    workspace.run("greet", {"name": "Ada"})
            assert time.monotonic() - began < 15
        assert len(provider.requests) == 1
        until(lambda: works(workspace))


def test_fail_closed_at_the_end_gives_no_unlogged_answer(greeting: Repo, provider: Provider) -> None:
    greeting.write("promptops.yaml", "log: {on_error: fail}\n")
    (greeting.path / "registry.db-spool").mkdir()
    asked, go_on = threading.Event(), threading.Event()

    def wait(request: Received) -> Answer:
        asked.set()
        go_on.wait(5)
        return echo(request)

    provider.script = wait
    with Workspace.open(greeting.path) as workspace, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(workspace.run, "greet", {"name": "Ada"})
        assert asked.wait(5)
        with locked(greeting.path):
            go_on.set()
            with pytest.raises(Unavailable, match="locked"):
                answer.result(5)
    assert states(greeting.path) == {"started": 1}


def test_a_call_that_is_cancelled_while_its_row_waits_is_not_made(
    workspace: Workspace, greeting: Repo, provider: Provider
) -> None:
    workspace.run("greet", {"name": "Ada"})

    async def impatient() -> None:
        await asyncio.wait_for(workspace.arun("greet", {"name": "Bo"}), 0.2)

    with locked(greeting.path), pytest.raises(TimeoutError):
        asyncio.run(impatient())
    until(lambda: states(greeting.path) == {"finished": 1, "interrupted": 1})
    assert len(provider.requests) == 1


def test_a_run_that_waits_and_cannot_be_read_holds_up_nobody(
    workspace: Workspace, greeting: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    greeting.write("registry.db-spool/01J0000000000000000000000A.json", '{"started": {}')
    assert workspace.run("greet", {"name": "Ada"}).answer
    until(lambda: "is set aside as" in caplog.text)
    assert states(greeting.path) == {"finished": 1}


def _delete(folder: Path) -> None:
    for file in folder.glob("registry.db*"):
        if file.is_file():
            file.unlink()


def _delete_log(folder: Path) -> None:
    (folder / "registry.db-wal").unlink()


def _empty(folder: Path) -> None:
    os.truncate(folder / "registry.db", 0)


def _replace(folder: Path) -> None:
    (folder / "other").write_bytes(b"")
    (folder / "other").replace(folder / "registry.db")


def _move_behind_a_link(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "registry.db").rename(folder / "elsewhere" / "registry.db")
    (folder / "registry.db").symlink_to("elsewhere/registry.db")


@pytest.mark.parametrize("change", [_delete, _delete_log, _empty, _replace, _move_behind_a_link])
def test_a_registry_that_is_taken_from_a_service_costs_no_run(
    workspace: Workspace,
    greeting: Repo,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Path], None],
) -> None:
    workspace.run("greet", {"name": "first"})
    change(greeting.path)
    runs = [workspace.run("greet", {"name": str(number)}) for number in range(10)]
    assert all(run.answer for run in runs)
    until(lambda: "can be written, and has the runs" in caplog.text)
    until(lambda: states(greeting.path).get("finished", 0) >= 10)
    assert caplog.text.count("was moved, replaced or deleted while it was open") == 1

"""Workspaces whose registry is on a server that is restarted under load, full, or another one."""

import contextlib
import os
import random
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from promptops import Workspace
from promptops.config.registry_location import local_file, postgres_location
from promptops.errors import Unavailable
from support.front_door import Repo
from support.postgres import PrivateServer, private_server
from support.provider import Provider
from support.workspace_clients import until

SETTINGS = ("max_connections=60",)


@pytest.fixture
def server() -> Iterator[PrivateServer]:
    with private_server(*SETTINGS) as server:
        yield server


def logged(server: PrivateServer) -> Counter[tuple[str, str]]:
    """How often each run is there, by id and state."""
    with psycopg.connect(server.url) as connection:
        return Counter(connection.execute("SELECT run_id, state FROM runs").fetchall())


def spool_of(folder: Path, server: PrivateServer) -> Path:
    beside = local_file(postgres_location(server.url, folder))
    return beside.with_name(f"{beside.name}-spool")


def test_a_restart_under_load_loses_and_doubles_nothing(
    greeting: Repo, provider: Provider, server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash (``immediate``), an orderly end, and a while without a server."""
    stopped = threading.Event()
    with Workspace.open(greeting.path, registry=server.url) as workspace, ThreadPoolExecutor(8) as pool:
        workspace.run("greet", {"name": "first"})

        def serve(_: int) -> list[str]:
            ids = []
            while not stopped.is_set():
                run = workspace.run("greet", {"name": "Ada"})
                assert run.answer
                ids.append(run.id)
            return ids

        serving = [pool.submit(serve, number) for number in range(8)]
        for mode in ("immediate", "fast", "immediate"):
            stopped.wait(0.5)
            server.stop(mode)
            stopped.wait(0.5)
            server.start(*SETTINGS)
        stopped.wait(1)
        stopped.set()
        ids = [run_id for each in serving for run_id in each.result()]
        until(lambda: not list(spool_of(greeting.path, server).glob("*.json")))
    found = logged(server)
    assert len(ids) == len(set(ids)) > 20
    assert {run_id for run_id, _ in found} >= set(ids)
    assert set(found.values()) == {1}
    assert {state for _, state in found} == {"finished"}
    assert len(found) == len(ids) + 1
    assert "cannot be reached" in caplog.text or "was lost" in caplog.text


def test_runs_wait_where_an_empty_replica_answers(
    greeting: Repo, provider: Provider, server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Workspace.open(greeting.path, registry=server.url) as workspace:
        workspace.run("greet", {"name": "first"})
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA public RENAME TO kept; CREATE SCHEMA public")
    with Workspace.open(greeting.path, registry=server.url) as workspace:
        assert workspace.run("greet", {"name": "second"}).answer
    assert "is not the one used before" in caplog.text
    with psycopg.connect(server.url, autocommit=True) as connection:
        assert connection.execute("SELECT to_regclass('runs')").fetchone() == (None,)
        connection.execute("DROP SCHEMA public; ALTER SCHEMA kept RENAME TO public")
    with Workspace.open(greeting.path, registry=server.url) as workspace:
        workspace.run("greet", {"name": "third"})
    assert [state for _, state in logged(server)] == ["finished"] * 3


def test_fail_closed_calls_nobody_while_there_is_no_server(
    greeting: Repo, provider: Provider, server: PrivateServer
) -> None:
    greeting.write("promptops.yaml", "log: {on_error: fail}\n")
    with Workspace.open(greeting.path, registry=server.url) as workspace:
        workspace.run("greet", {"name": "first"})
        server.stop()
        before = len(provider.requests)
        with pytest.raises(Unavailable, match="cannot be reached"):
            workspace.run("greet", {"name": "second"})
        assert len(provider.requests) == before


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system with room for a new server and little more; where one can be mounted."""
    with tempfile.TemporaryDirectory(prefix="promptops-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=90m,mode=777", "tmpfs", folder]
        if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("cannot mount a small file system here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


def test_a_full_disk_of_the_server_costs_nobody_the_answer(
    greeting: Repo, provider: Provider, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = PrivateServer(small_disk / "server")
    server.start("max_wal_size=32MB", "min_wal_size=32MB", "wal_keep_size=0")
    try:
        with Workspace.open(greeting.path, registry=server.url) as workspace:
            workspace.run("greet", {"name": "first"})
            filling = small_disk / "filling"
            filling.write_bytes(b"")
            with filling.open("wb") as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            text = random.Random(1).randbytes(300_000).hex()  # more than what pages have room for
            assert [workspace.run("greet", {"name": text[number:]}).answer for number in range(4)]
            assert "no space left for the registry" in caplog.text
            filling.unlink()
            until(lambda: not list(spool_of(greeting.path, server).glob("*.json")))
            workspace.run("greet", {"name": "last"})
        assert [state for _, state in logged(server)] == ["finished"] * 6
    finally:
        server.stop()

"""Two hosts, each with its clone and its gateway, and one registry on a server.

A canary whose calls come over both is rolled back on harm, and whichever process is killed, no finished run
is lost.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from promptops.registry import RegistryDatabase
from support.forked_commands import run_forked
from support.front_door import Cli, Finished, Repo
from support.gateway_client import Client, serving_process
from support.greet_releases import CHECKED, QUICK, a_remote, ok, two_versions
from support.paths import ROOT
from support.postgres import PrivateServer, private_server
from support.provider import Provider, echo, status
from support.workspace_clients import until

UNITS = 120
IN_FLIGHT = 8


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateServer]:
    with private_server() as started:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", started.url)
        yield started


@pytest.fixture
def hosts(server: PrivateServer, cli: Cli, repo: Repo, tmp_path: Path) -> list[Path]:
    """v1 serves, v2 is the canary; two clones."""
    del server
    two_versions(repo, CHECKED)
    origin = a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        repo.git("clone", "-q", str(origin), str(folder))
        on(folder, "release", "sync")
    return folders


def on(host: Path, *arguments: str) -> Finished:
    """A command on one of the hosts."""
    line = [sys.executable, "-m", "promptops", *arguments]
    done = run_forked(line, cwd=host, capture_output=True, encoding="utf-8", check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def log_of(server: PrivateServer, host: Path) -> list[tuple[str, str, str | None]]:
    """Id, state and arm of what both hosts have logged."""
    del server
    location = Repo(host).registry
    with RegistryDatabase.open(location) as registry:
        return [tuple(row) for row in registry.read("SELECT run_id, state, arm FROM runs ORDER BY seq")]


def test_a_canary_over_both_gateways_is_rolled_back_on_harm(
    hosts: list[Path], server: PrivateServer, provider: Provider
) -> None:
    provider.script = lambda request: status(500, "down") if b"Salute" in request.raw else echo(request)
    with ExitStack() as stack:
        gateways = [stack.enter_context(serving_process(host, "--retries", "0"))[1] for host in hosts]

        def call(number: int) -> tuple[str | None, str]:
            answer = gateways[number % 2].chat(user=f"u{number // 2}")
            return answer.headers.get("x-promptops-arm"), answer.headers["x-promptops-run-id"]

        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            answered = list(pool.map(call, range(2 * UNITS)))
        logged = log_of(server, hosts[0])
        assert {arm for arm, _ in answered} >= {"stable", "canary"}
        assert Counter(arm for _, _, arm in logged) == Counter(arm for arm, _ in answered)
        assert {run_id for run_id, _, _ in logged} == {run_id for _, run_id in answered}
        done = on(hosts[1], "tick", "greet:production", "--json")
        assert (done.code, json.loads(done.out)["move"]) == (1, "rollback"), done
        ok(on(hosts[0], "release", "sync"))
        for host, gateway in zip(hosts, gateways, strict=True):
            assert ok(on(host, "release", "verify")).out.startswith("ok ")
            until(lambda gateway=gateway: serves(gateway) == {"v1"}, 10)


def test_the_tour_of_the_manual(server: PrivateServer, tmp_path: Path) -> None:
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        ports = []
        for free in (one, two, three):
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    (tmp_path / "bin").mkdir()
    for name, line in (("promptops", '-m promptops "$@"'), ("python", '"$@"')):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {line}\n")
        program.chmod(0o755)
    (tmp_path / "work").mkdir()
    own = {
        "PROMPTOPS_REGISTRY": server.url,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "WORK": str(tmp_path / "work"),
        **dict(zip(("PORT_PROVIDER", "PORT_A", "PORT_B"), ports, strict=True)),
    }
    line = ["sh", str(ROOT / "docs" / "two-gateways" / "tour.sh")]
    done = subprocess.run(
        line, env=os.environ | own, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "v2 50% → 0%, rolled back" in done.stdout + done.stderr
    assert re.search(r"== either host .*(\nok .*){4}\n +40 x v1 released 200\n$", done.stdout, re.DOTALL)


def serves(gateway: Client) -> set[str]:
    """The versions that twenty units get."""
    return {gateway.chat(user=f"v{number}").headers["x-promptops-version"] for number in range(20)}


class Traffic:
    """Calls over both gateways until it is stopped; whose gateway is down, goes to the other."""

    def __init__(self, ports: dict[Path, int]) -> None:
        self.ports = ports
        self.answered: list[str] = []
        self.failed = 0
        self._ends = threading.Event()
        self._pool = ThreadPoolExecutor(IN_FLIGHT)
        self._workers = [self._pool.submit(self._work, number) for number in range(IN_FLIGHT)]

    def _work(self, worker: int) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            port = list(self.ports.values())[(worker + number) % 2]
            try:
                answer = Client(port).chat(user=f"u{worker}-{number}")
            except (OSError, HTTPException):
                self.failed += 1
                time.sleep(0.02)
                continue
            if answer.status == 200:
                self.answered.append(answer.headers["x-promptops-run-id"])
            else:
                self.failed += 1

    def goes_on(self, calls: int = 40) -> None:
        so_far = len(self.answered)
        until(lambda: len(self.answered) >= so_far + calls, 60)

    def stop(self) -> None:
        self._ends.set()
        for worker in self._workers:
            worker.result(60)
        self._pool.shutdown()


@contextmanager
def traffic(ports: dict[Path, int]) -> Iterator[Traffic]:
    going = Traffic(ports)
    try:
        yield going
    finally:
        going.stop()


def test_a_kill_of_any_one_process_loses_no_finished_run(
    hosts: list[Path], server: PrivateServer, provider: Provider
) -> None:
    provider.script = echo
    with ExitStack() as stack:
        started = {host: stack.enter_context(serving_process(host, "--retries", "0")) for host in hosts}
        ports = {host: client.port for host, (_, client) in started.items()}
        with traffic(ports) as calls:
            calls.goes_on()
            for host in hosts:
                process, client = started[host]
                os.kill(process.pid, signal.SIGKILL)
                calls.goes_on()
                again, _ = stack.enter_context(serving_process(host, "--port", str(client.port)))
                started[host] = again, client
                calls.goes_on()
            server.stop()  # as a crash
            calls.goes_on()
            os.kill(started[hosts[0]][0].pid, signal.SIGKILL)  # what it has kept meanwhile is kept
            server.start()
            stack.enter_context(serving_process(hosts[0], "--port", str(ports[hosts[0]])))
            calls.goes_on()
        for host in hosts:
            ok(on(host, "run", "greet:production", "-i", "name=Ada", "--unit", "last"))
    logged = log_of(server, hosts[0])
    state = {run_id: state for run_id, state, _ in logged}
    assert len(state) == len(logged)
    lost = [run_id for run_id in calls.answered if state.get(run_id) != "finished"]
    assert (lost, len(calls.answered) > 200) == ([], True)
    assert not [file for host in hosts for file in host.glob("registry.db*-spool/*.json*")]
    for host in hosts:
        assert ok(on(host, "release", "verify")).out.startswith("ok ")

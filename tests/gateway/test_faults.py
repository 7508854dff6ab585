"""What happens around a gateway while it answers: kills, locks, full disks, moves, clients of every sort."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Response, running_gateway, serving_process
from support.gateway_load import workers_of
from support.greet_releases import a_remote, ok, versions
from support.provider import Provider
from support.workspace_clients import states, until

WITHIN_S = 1.0  # in which a move and a revoked key hold
SLACK_S = 2.0  # for a machine that does much else


@contextmanager
def load(call: Callable[[], Response], threads: int = 4) -> Iterator[list[tuple[float, Response]]]:
    """Calls one after the other on each thread; each answer with the moment when its request was sent."""
    over, seen = threading.Event(), []

    def work() -> None:
        while not over.is_set():
            sent = time.monotonic()
            seen.append((sent, call()))

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work) for _ in range(threads)]
        try:
            yield seen
        finally:
            over.set()
    for each in working:
        each.result()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_release_that_moves_under_load_fails_no_call_and_is_served_in_a_second(
    cli: Cli, live: Repo, provider: Provider, workers: int
) -> None:
    with serving_process(live.path, "--workers", str(workers)) as (_, client), load(client.chat) as seen:
        until(lambda: len(seen) > 20)
        ok(cli("promote", "greet@HEAD", "--yes"))
        moved = time.monotonic()
        until(lambda: time.monotonic() > moved + WITHIN_S + SLACK_S)
        known = len(seen)
        until(lambda: len(seen) > known + 20)
    assert {answer.status for _, answer in seen} == {200}
    late = [answer for sent, answer in seen if sent > moved + WITHIN_S + SLACK_S]
    assert {answer.headers["x-promptops-version"] for answer in late} == {"v2"}
    assert {answer.text for _, answer in seen} == {"Greet Ada.", "Salute Ada."}
    assert states(live.path) == {"finished": len(seen)}


def test_a_key_that_is_revoked_under_load_is_refused_in_a_second(
    cli: Cli, live: Repo, provider: Provider
) -> None:
    key, other = (ok(cli("keys", "new", name)).out.strip() for name in ("acme", "other"))
    with running_gateway(live.path) as client:
        call = lambda key: lambda: client.chat(headers={"Authorization": f"Bearer {key}"})
        with load(call(key), 2) as seen, load(call(other), 2) as kept:
            until(lambda: len(seen) > 10)
            ok(cli("keys", "revoke", key.split("-")[1]))
            revoked = time.monotonic()
            until(lambda: seen[-1][1].status == 401, WITHIN_S + SLACK_S)
            known = len(kept)
            until(lambda: len(kept) > known + 10)
    assert {answer.status for sent, answer in seen if sent > revoked + WITHIN_S + SLACK_S} <= {401}
    assert {answer.status for _, answer in kept} == {200}
    answered = [answer for _, answer in (*seen, *kept) if answer.status == 200]
    assert states(live.path) == {"finished": len(answered)} == {"finished": len(provider.requests)}


def test_workers_end_when_what_started_them_was_killed(live: Repo, provider: Provider) -> None:
    """Else they would keep the port, without anybody who could end them."""
    with serving_process(live.path, "--workers", "2") as (process, client):
        workers = workers_of(process.pid)
        assert client.chat().status == 200
        process.kill()
        until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}/exe").exists()], 20)
        with socket.create_server(("127.0.0.1", client.port)):
            pass


def test_sigterm_reaches_a_worker_that_is_just_starting(live: Repo) -> None:
    with serving_process(live.path, "--workers", "2") as (process, _):
        until(lambda: len(workers_of(process.pid)) == 2)
        killed = workers_of(process.pid)[0]
        os.kill(killed, signal.SIGKILL)
        until(lambda: len({*workers_of(process.pid)} - {killed}) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_another_clone_serves_a_release_after_it_has_fetched(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("release", "sync"))
    other = tmp_path / "other"
    live.git("clone", "-q", str(origin), str(other))
    served = lambda client: client.chat().headers["x-promptops-version"]
    with running_gateway(live.path) as here, serving_process(other, "--sync-every", "1") as (process, there):
        assert (served(here), served(there)) == ("v1", "v1")
        ok(cli("promote", "greet@HEAD", "--yes"))
        until(lambda: served(here) == "v2", 5)
        until(lambda: served(there) == "v2", 20)
        ok(cli("rollback", "greet"))
        until(lambda: served(here) == served(there) == "v1", 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    for clone in (live.path, other):
        monkeypatch.chdir(clone)
        assert ok(cli("release", "verify")).out.startswith("ok ")
        assert versions(cli) == ("v1", None)

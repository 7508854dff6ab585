"""What happens around a gateway while it answers: kills, locks, full disks, moves, clients of every sort."""

import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from promptops.git.repo import STATE_BRANCH
from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway, serving_process
from support.gateway_load import resident_mb, workers_of
from support.greet_releases import a_remote, ok, versions
from support.provider import Provider, chunk, events, text
from support.workspace_clients import locked, rows, states, until

SLOW_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
WITHIN_S = 1.0  # in which a move and a revoked key hold
SLACK_S = 2.0  # for a machine that does much else
LOCKED_S = float(os.environ.get("PROMPTOPS_GATEWAY_LOCKED_S", "2"))


@contextmanager
def load(call: Callable[[], Response], threads: int = 4) -> Iterator[list[Response]]:
    """Calls one after the other on each thread, and what was answered."""
    over = threading.Event()
    seen: list[Response] = []

    def work() -> None:
        while not over.wait(0.01):
            seen.append(call())

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work) for _ in range(threads)]
        try:
            yield seen
        finally:
            over.set()
    for each in working:
        each.result()


def served_by(answer: Response) -> str:
    return answer.headers["x-promptops-version"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_release_that_moves_under_load_fails_no_call_and_is_served_in_a_second(
    cli: Cli, live: Repo, provider: Provider, workers: int
) -> None:
    with serving_process(live.path, "--workers", str(workers)) as (_, client), load(client.chat) as seen:
        until(lambda: len(seen) > 20)
        ok(cli("promote", "greet@HEAD", "--yes"))
        until(lambda: {served_by(answer) for answer in seen[-20:]} == {"v2"}, WITHIN_S + SLACK_S)
    assert {answer.status for answer in seen} == {200}
    assert {(served_by(answer), answer.text) for answer in seen} == {
        ("v1", "Greet Ada."),
        ("v2", "Salute Ada."),
    }
    assert states(live.path) == {"finished": len(seen)}


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


def test_sigterm_ends_a_worker_that_was_stopped(live: Repo) -> None:
    with serving_process(live.path, "--workers", "2") as (process, _):
        until(lambda: len(workers_of(process.pid)) == 2)
        os.kill(workers_of(process.pid)[1], signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_another_clone_serves_a_release_after_it_has_fetched(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("release", "sync"))
    other = tmp_path / "other"
    live.git("clone", "-q", str(origin), str(other))
    served = lambda client: served_by(client.chat())
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


def test_releases_whose_branch_is_deleted_are_served_on(
    cli: Cli, live: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    commit = live.git("rev-parse", STATE_BRANCH)
    with running_gateway(live.path) as client:
        assert served_by(client.chat()) == "v1"
        live.git("branch", "-qD", STATE_BRANCH)
        until(lambda: "is gone" in caplog.text, 5)
        assert served_by(client.chat()) == "v1"
        assert len(client.get("/v1/models").body["data"]) == 1
        live.git("branch", STATE_BRANCH, commit)
        ok(cli("promote", "greet@HEAD", "--yes"))
        until(lambda: served_by(client.chat()) == "v2", 5)


def test_a_registry_that_is_locked_under_load_costs_no_answer(
    live: Repo, provider: Provider, cli: Cli
) -> None:
    with serving_process(live.path) as (_, client):
        assert client.chat().status == 200
        with load(client.chat) as seen, locked(live.path):
            time.sleep(LOCKED_S)
        until(lambda: states(live.path) == {"finished": len(seen) + 1}, 20)
    assert {answer.status for answer in seen} == {200}
    assert len(seen) > 2 * 4  # of four threads, none of which waits for the lock more than once
    assert len(set(rows(live.path, "run_id"))) == len(seen) + 1 == len(provider.requests)
    assert not [*live.path.glob("registry.db*-spool/*.json")]


@pytest.mark.sqlite
@pytest.mark.parametrize("on_error", ["spool", "fail"])
def test_a_full_disk_under_load(live: Repo, provider: Provider, on_error: str) -> None:
    live.write("promptops.yaml", f"log: {{on_error: {on_error}}}\n")
    live.commit("Log")
    with serving_process(live.path) as (process, client):
        assert client.chat().status == 200
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        with ThreadPoolExecutor(4) as pool:
            full = list(pool.map(lambda number: client.chat(stream=number % 2 == 0), range(30)))
        assert client.get("/v1/models").status == client.get("/livez").status == 200
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        if on_error == "fail":
            assert {(answer.status, answer.error["code"]) for answer in full} == {(503, "unavailable")}
            until(lambda: client.chat().status == 200, 20)
        else:
            assert {answer.status for answer in full} == {200}
            until(lambda: states(live.path) == {"finished": 31}, 20)
    assert states(live.path) == {"finished": len(provider.requests)}


@pytest.mark.parametrize("held", [300, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_idle_and_very_slow_connections_hold_up_nobody(live: Repo, provider: Provider, held: int) -> None:
    """One of a hundred sends its header a byte at a time, and so does another its body."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < held + 500:
        pytest.skip(f"needs {held} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        process, client = stack.enter_context(serving_process(live.path))
        assert client.chat().status == 200
        before, there = resident_mb(process.pid), ("127.0.0.1", client.port)
        idle = [stack.enter_context(socket.create_connection(there)) for _ in range(held)]
        for turn in range(3):
            for connection in idle[::100]:
                connection.send(b"POST /v1/c"[turn : turn + 1])
            for connection in idle[1::100]:
                connection.send(b" " if turn else SLOW_HEAD)
            sent = time.monotonic()
            assert client.chat().status == 200
            assert time.monotonic() - sent < SLACK_S
        grown = resident_mb(process.pid) - before
    print(f"{held} connections: {grown:.1f} MB")  # noqa: T201 - with -s
    assert grown < 5 + held * 0.02


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux knows how long a peer has not read"
)
def test_a_client_that_does_not_read_is_cut_off(cli: Cli, live: Repo, provider: Provider) -> None:
    """Its call would count as under way, and its answer be kept, for as long as it likes."""
    words = [chunk({"content": "long " * 20_000}) for _ in range(150)]  # more than sockets hold
    provider.script = [events(*words, chunk({}, "stop")), text("Hi")]
    key = ok(cli("keys", "new", "acme", "--concurrency", "1")).out.strip()
    authorized = f"Authorization: Bearer {key}\r\n".encode()
    with (
        running_gateway(live.path, idle_s=1) as client,
        socket.create_connection(("127.0.0.1", client.port)) as connection,
    ):
        connection.sendall(POST + authorized + b"Content-Length: 66\r\n\r\n" + STREAMED)
        until(lambda: provider.requests)
        until(lambda: client.chat(headers={"Authorization": f"Bearer {key}"}).status == 200, 20)


def test_a_server_without_a_free_file_answers_again_when_it_has_some(live: Repo, provider: Provider) -> None:
    with serving_process(live.path) as (process, client):
        assert client.chat().status == 200
        opened = len([*Path(f"/proc/{process.pid}/fd").iterdir()])
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (opened + 20, opened + 20))
        with ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
            time.sleep(0.3)
        until(lambda: client.chat().status == 200, 10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert states(live.path) == {"finished": len(provider.requests)}


BODY = b'{"model":"greet:production","inputs":{"name":"Ada"}}'
STREAMED = b'{"model":"greet:production","inputs":{"name":"Ada"},"stream":true}'
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + JSON


MISLEADING = [
    b"GET /v1/models/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/runs/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/runs/%0d%0aX-Injected:%201 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models/greet%0d%0aX-Injected:%201 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://evil.example/v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    POST + b"X-Promptops-Unit: a\rX-Injected: 1\r\nContent-Length: 52\r\n\r\n" + BODY,
    POST + b"X-Promptops-Unit: a\x00b\r\nContent-Length: 52\r\n\r\n" + BODY,
    POST + b"X-Promptops-Unit: a\r\nX-Promptops-Unit: b\r\nContent-Length: 52\r\n\r\n" + BODY,
    POST + b"Idempotency-Key: a\r\nidempotency-key: b\r\nContent-Length: 52\r\n\r\n" + BODY,
    POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 52\r\n\r\n" + BODY,
    POST + b"Content-Length: 52\r\nContent-Length: 2\r\n\r\n" + BODY,
    POST + b"Content-Length: 52\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + BODY,
    POST + b"Content-Length: -1\r\n\r\n" + BODY,
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
    POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + BODY,
    POST + b"Content-Length : 52\r\n\r\n" + BODY,
    POST + b"Expect: 200-maybe\r\nContent-Length: 52\r\n\r\n" + BODY,
]


def test_raw_requests_that_are_meant_to_be_misread(
    client: Client, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in MISLEADING:
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(sent)
            answer = connection.recv(65536)
        head = answer.split(b"\r\n\r\n")[0].lower()
        assert re.match(rb"http/1\.[01] 4\d\d ", head), (sent, answer)
        assert b"\nx-injected" not in head, (sent, answer)
        assert b"Traceback" not in answer, (sent, answer)
    assert client.get("/livez").status == 200
    assert not provider.requests
    assert not caplog.records  # whoever sends nonsense fills no log

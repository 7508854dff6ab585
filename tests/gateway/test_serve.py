"""The server: how it starts, what it bears, how it ends."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway, serving_process
from support.greet_releases import ok, two_versions
from support.provider import Answer, Provider, as_json, cut_off, html, malformed, slow, text
from support.workspace_clients import states, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_ends_it_when_the_answers_under_way_are_sent(
    number: signal.Signals, workers: str, live: Repo, provider: Provider
) -> None:
    """SIGHUP is what the end of a terminal sends."""
    provider.script = slow(0.5, text("late"))
    with ThreadPoolExecutor(1) as pool, serving_process(live.path, "--workers", workers) as (process, client):
        answer = pool.submit(client.chat)
        until(lambda: provider.requests)
        process.send_signal(number)
        assert process.wait(20) == 0
        assert answer.result().text == "late"
    assert states(live.path) == {"finished": 1}


def test_where_it_cannot_listen(cli: Cli, live: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("serve", "--port", str(port))
    assert (done.code, f"cannot listen on 127.0.0.1:{port}: Address already in use\n" in done.err) == (
        5,
        True,
    )
    for host in ("256.1.1.1", "192.0.2.1"):  # no address, and none of this machine
        assert "name an address of this machine" in cli("serve", "--host", host).err
    done = cli("serve", "--host", "0.0.0.0", "--port", "0")  # noqa: S104 - it is refused
    assert (done.code, "can be reached from other machines" in done.err) == (4, True)


def test_the_address_of_its_first_line_is_that_of_clients(live: Repo) -> None:
    with serving_process(live.path, "--host", "::1") as (_, client):
        assert client.base_url.startswith("http://[::1]:")
        assert client.get("/v1/models").status == 200


def test_where_nothing_is_released_it_says_what_to_do(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    with serving_process(repo.path, "--workers", "2") as (process, client):
        assert process.stderr
        assert "promptops promote NAME@REV" in process.stderr.readline()
        assert client.chat().status == 404
        ok(cli("promote", "greet@HEAD", "--yes"))
        until(lambda: client.get("/v1/models").body["data"], 5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == "ending: no more requests are taken\n"  # once


def test_probes(client: Client) -> None:
    assert (client.get("/livez").status, client.get("/readyz").body) == (200, {"ready": True})


def test_pages_of_other_sites_are_not_answered(client: Client) -> None:
    answer = client.get("/v1/models", Host="evil.example")
    assert (answer.status, answer.error["code"]) == (403, "wrong_host")
    for host in ("localhost", "LocalHost", f"localhost:{client.port}", "[::1]:4455", "127.0.0.1"):
        assert client.get("/livez", Host=host).status == 200
    assert (
        "access-control-allow-origin" not in client.get("/v1/models", Origin="https://evil.example").headers
    )


def test_requests_that_are_too_large(client: Client) -> None:
    assert client.get("/livez", **{"X-Long": "a" * 20_000}).status == 400
    raw = b'{"model": "' + b"a" * (33 * 1024 * 1024) + b'"}'
    answer = client.send("POST", "/v1/chat/completions", raw)
    assert (answer.status, answer.error["type"]) == (413, "invalid_request_error")
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        head = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: 99999999\r\n\r\n")
        assert b" 413 " in connection.recv(100)  # before it has come


def test_a_connection_that_sends_its_request_too_slowly_is_closed(live: Repo, provider: Provider) -> None:
    with running_gateway(live.path, idle_s=0.2) as client:
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nX-Slow: ")
            connection.settimeout(20)
            assert connection.recv(100) == b""
        assert client.chat().status == 200


def test_many_clients_at_once(client: Client, live: Repo) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: client.chat(user=f"u{number}"), range(200)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["promptops"]["run_id"] for answer in answers}) == 200
    assert states(live.path) == {"finished": 200}


def test_a_worker_that_is_killed_has_lost_nothing_that_was_answered(live: Repo, provider: Provider) -> None:
    answered: set[str] = set()
    for _ in range(2):
        with serving_process(live.path) as (process, client), ThreadPoolExecutor(8) as pool:

            def call(client: Client = client) -> None:
                for _ in range(50):
                    try:
                        answered.add(client.chat().body["promptops"]["run_id"])
                    except (OSError, HTTPException):
                        return

            before = len(answered)
            for _ in range(8):
                pool.submit(call)
            until(lambda before=before: len(answered) > before + 40)
            os.kill(process.pid, signal.SIGKILL)
    with RegistryDatabase.open(live.registry) as registry:
        logged = [tuple(row) for row in registry.read("SELECT run_id, state FROM runs")]
    finished = {run_id for run_id, state in logged if state == "finished"}
    assert answered <= finished
    assert len(logged) == len({run_id for run_id, _ in logged})
    assert len(answered) <= len(provider.requests) <= len(logged)  # a row is there before each call


def test_workers_share_a_port_and_one_that_is_killed_is_replaced(live: Repo, provider: Provider) -> None:
    with serving_process(live.path, "--workers", "2") as (process, client):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        first = {*map(int, children.read_text().split())}
        assert len(first) == 2
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status for answer in pool.map(lambda _: client.chat(), range(40))} == {200}
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        until(lambda: len({*map(int, children.read_text().split())} - {killed}) == 2, 20)
        assert client.chat().status == 200
        until(lambda: "_duration_seconds_count" in (shown := client.get("/metrics").raw.decode()) and shown)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert states(live.path) == {"finished": 41}
    assert not [*live.path.glob("registry.db-serve-*")]


def test_workers_that_cannot_start_end_all(live: Repo) -> None:
    registry = str(live.path / "prompts")  # a folder
    command = [sys.executable, "-m", "promptops", "--registry", registry]
    command += ["serve", "--port", "0", "--workers", "2"]
    done = subprocess.run(command, cwd=live.path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert registry in done.stderr


@pytest.mark.sqlite
def test_a_bundle_is_served_where_there_is_no_git(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path
) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    ok(cli("release", "bundle", "--out", str(place / "bundle.json")))
    with serving_process(place, "--bundle", "bundle.json") as (_, client):
        assert client.chat().text == client.chat("greet@v1").text == "Greet Ada."
        assert [model["id"] for model in client.get("/v1/models").body["data"]] == ["greet:production"]
        assert client.chat("great:production").status == 404
    assert states(place) == {"finished": 2}


def test_doctor_says_what_a_gateway_serves(cli: Cli, live: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_gateway(live.path) as client:
        for url in (client.base_url, client.base_url.removesuffix("/v1")):
            done = ok(cli("doctor", "--gateway", url))
            assert "serves greet:production" in done.out
            assert '"inputs": {"name": "<string>"}' in done.out
    key = ok(cli("keys", "new", "acme")).out.strip()
    with running_gateway(live.path) as client:
        refused = cli("doctor", "--gateway", client.base_url)
        assert (refused.code, "PROMPTOPS_GATEWAY_KEY" in refused.out) == (1, True)
        monkeypatch.setenv("PROMPTOPS_GATEWAY_KEY", key)
        done = ok(cli("doctor", "--gateway", client.base_url))
        assert (key in done.out, '--oauth2-bearer "$PROMPTOPS_GATEWAY_KEY"' in done.out) == (False, True)
    for url in (client.base_url, "ftp://x", "nonsense"):
        assert cli("doctor", "--gateway", url).code == 1


def test_doctor_of_what_is_no_gateway(cli: Cli, provider: Provider) -> None:
    assert "does not answer as a gateway" in cli("doctor", "--gateway", "http://127.0.0.1:1/v1").out
    assert cli("doctor", "--gateway", provider.base_url).code == 1


@pytest.mark.parametrize(
    "answer",
    [
        as_json({"data": [{"id": "gpt-9", "object": "model"}]}),  # a provider, not a gateway
        as_json({"data": [{"id": "x", "promptops": {"inputs": ["name"]}}]}),
        as_json([]),
        malformed(),
        html(),
        cut_off("half"),
    ],
)
def test_doctor_of_a_server_that_answers_something_else(cli: Cli, answer: Answer) -> None:
    with Provider(answer) as server:
        done = cli("doctor", "--gateway", server.base_url)
    assert (done.code, "does not answer as a gateway" in done.out) == (1, True), done.out + done.err


def test_doctor_reaches_a_gateway_through_the_proxy(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {
        "data": [{"id": "a:b", "promptops": {"inputs": {"it's": {"type": "string", "required": True}}}}]
    }
    with Provider(as_json(models)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        done = ok(cli("doctor", "--gateway", "http://gateway.invalid:4455/v1"))
    assert proxy.requests[-1].path == "http://gateway.invalid:4455/v1/models"
    call = shlex.split(done.out[done.out.index("curl ") :])
    assert json.loads(call[call.index("-d") + 1]) == {"model": "a:b", "inputs": {"it's": "<string>"}}


def test_read_only_it_shows_what_there_is(live: Repo, provider: Provider) -> None:
    with running_gateway(live.path) as client:
        run_id = client.chat().headers["x-promptops-run-id"]
    with running_gateway(live.path, read_only=True) as client:
        assert client.get(f"/v1/runs/{run_id}").body["output"] == "Greet Ada."
        assert client.get("/v1/models").status == client.get("/metrics").status == 200
        feedback = client.send("POST", "/v1/feedback", {"run_id": run_id, "thumbs": "up"})
        for answer in (client.chat(), client.respond(model="greet:production", input="Ada"), feedback):
            assert (answer.status, answer.error["code"]) == (403, "read_only")
    assert len(provider.requests) == 1

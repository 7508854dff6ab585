"""Counts of clients, provider and registry agree, whatever clients do."""

import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.front_door import Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import runs
from support.provider import Provider, chunk, events, slow, text
from support.workspace_clients import states, until


def hang_up(client: Client, stream: bool, after_s: float) -> None:
    """Send a request and close the connection after a while, however far it has come."""
    body = json.dumps({"model": "greet:production", "inputs": {"name": "Ada"}, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        time.sleep(after_s)


@pytest.mark.parametrize(("calls", "cut"), [(150, 40), pytest.param(1_000, 100, marks=pytest.mark.thorough)])
def test_clients_that_hang_up_leave_no_run_unended(
    live: Repo, provider: Provider, calls: int, cut: int
) -> None:
    stream = events(*(chunk({"content": word}) for word in ("a ", "b ", "c ")), chunk({}, "stop"))
    provider.script = lambda request: slow(0.02, stream if request.streams else text("a b c "))
    answered: list[str] = []
    draw = random.Random(7)

    def one(number: int) -> None:
        if number < cut:
            hang_up(client, number % 2 == 0, moments[number])
            return
        answer = client.chat(stream=number % 2 == 0)
        assert answer.status == 200
        answered.append(answer.headers["x-promptops-run-id"])

    moments = [draw.uniform(0, 0.08) for _ in range(cut)]
    order = draw.sample(range(calls), calls)
    with running_gateway(live.path) as client:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(one, order))
        until(lambda: states(live.path)["started"] == 0)
    logged = {run["run_id"]: run["state"] for run in runs(live)}
    assert len(answered) == len(set(answered)) == calls - cut
    assert all(logged[run_id] == "finished" for run_id in answered)
    assert set(logged.values()) <= {"finished", "interrupted"}
    assert calls - cut <= len(provider.requests) <= len(logged) <= calls

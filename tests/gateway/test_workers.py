"""Several processes on one port: what one of them counts holds in all.

Two gateways of this process stand for two workers, so that each test says which of them takes a request.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from promptops.config.locks import file_lock
from promptops.registry import SharedState, remove_shared_state, shared_state_path
from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway
from support.greet_releases import ok, runs
from support.provider import Provider, slow, status, text
from support.workspace_clients import until

Workers = tuple[Client, Client]


def new_key(cli: Cli, *options: str) -> str:
    return ok(cli("keys", "new", "acme", "--metrics", *options)).out.strip()


def call(client: Client, key: str, again: str = "", **body: Any) -> Response:
    repeated = {"Idempotency-Key": again} if again else {}
    return client.chat(headers={"Authorization": f"Bearer {key}", **repeated}, **body)


@contextmanager
def two_workers(folder: Path, state: Path) -> Iterator[Workers]:
    with running_gateway(folder, shared=state) as one, running_gateway(folder, shared=state, member=1) as two:
        yield one, two


def in_turn(workers: Workers, key: str, number: int, **more: Any) -> list[int]:
    """The statuses of so many calls, each of the other worker."""
    return [call(workers[turn % 2], key, **more).status for turn in range(number)]


def calls_counted(client: Client, key: str) -> int:
    shown = client.get("/metrics", Authorization=f"Bearer {key}").raw.decode()
    return sum(map(int, re.findall(r"operation_duration_seconds_count\{[^}]*\} (\d+)", shown)))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (("--rpm", "4"), [200] * 4 + [429] * 3),
        (("--unit-rpm", "2"), [200] * 2 + [429] * 5),
        (("--tpm", "500"), [200] * 4 + [429] * 3),
        (("--usd-per-day", "0.0001"), [200] * 3 + [429] * 4),  # $0.000021 each, up to $0.00004 put aside
    ],
    ids=lambda value: str(value[0]),
)
def test_limits_hold_for_all(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path, limit: tuple[str, str], expected: list[int]
) -> None:
    provider.script = text("Hi", usage={"prompt_tokens": 100, "completion_tokens": 10})
    key = new_key(cli, *limit)
    with two_workers(live.path, tmp_path / "state") as workers:
        assert in_turn(workers, key, 7, user="u1") == expected
        assert call(workers[1], key, user="u2").status == (200 if limit[0] == "--unit-rpm" else 429)


def test_counts_are_those_of_all_and_a_revoked_key_is_refused_by_all(
    cli: Cli, live: Repo, tmp_path: Path
) -> None:
    key, other = new_key(cli), new_key(cli)
    with two_workers(live.path, tmp_path / "state") as workers:
        in_turn(workers, key, 5)
        for client in workers:
            until(lambda client=client: calls_counted(client, key) == 5, 5)
        ok(cli("keys", "revoke", other.split("-")[1]))
        until(lambda: in_turn(workers, other, 2) == [401, 401], 5)
    with two_workers(live.path, tmp_path / "state") as workers:  # in their place
        assert calls_counted(workers[0], key) == len(runs(live))


def test_calls_at_a_time(cli: Cli, live: Repo, provider: Provider, tmp_path: Path) -> None:
    provider.script = slow(1, text("late"))
    key = new_key(cli, "--concurrency", "1")
    with two_workers(live.path, tmp_path / "state") as workers, ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, workers[0], key)
        until(lambda: provider.requests)
        assert call(workers[1], key).status == 429
        assert first.result().status == 200
        provider.script = text("soon")
        assert in_turn(workers, key, 2) == [200, 200]


def test_a_request_that_is_sent_again_to_another_worker(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path
) -> None:
    key, other = new_key(cli), new_key(cli)
    with two_workers(live.path, tmp_path / "state") as workers, ThreadPoolExecutor(1) as pool:
        one, two = (call(client, key, "a") for client in workers)
        assert (one.text, one.body["promptops"]) == (two.text, two.body["promptops"])
        assert ("x-promptops-repeated" in one.headers, two.headers["x-promptops-repeated"]) == (False, "true")
        assert call(workers[1], key, "a", user="u9").status == 422
        assert "x-promptops-repeated" not in call(workers[1], other, "a").headers
        provider.script = status(503, "down")
        failures = [call(client, key, "b") for client in workers]
        assert [answer.status for answer in failures] == [502, 502]
        assert failures[0].error == failures[1].error
        provider.script, known = slow(1, text("late")), len(provider.requests)
        under_way = pool.submit(call, workers[0], key, "c")
        until(lambda: len(provider.requests) > known)
        assert call(workers[1], key, "c", stream=True).events[0]["choices"][0]["delta"]["content"] == "late"
        assert under_way.result().text == "late"
    assert len(runs(live)) == 4  # one for each request that was new


def test_what_is_erased_is_kept_for_no_repeated_request(cli: Cli, live: Repo, provider: Provider) -> None:
    key, state = new_key(cli), shared_state_path(live.registry)
    for marker, user in (("quokka", "ada"), ("wombat", "bob")):
        provider.script = text(marker)
        with two_workers(live.path, state) as (one, two):
            assert call(one, key, user, user=user).text == marker
    with two_workers(live.path, state) as (one, two):
        ok(cli("registry", "erase", "--unit", "ada", "--yes"))
        left = b"".join(Path(f"{state}{suffix}").read_bytes() for suffix in ("", "-wal"))
        assert (b"quokka" in left, b"wombat" in left) == (False, True)
        again = call(two, key, "ada", user="ada")
        assert (again.status, "redacted or erased" in again.error["message"]) == (409, True)
        assert call(two, key, "bob", user="bob").text == "wombat"
    remove_shared_state(state)


def test_a_process_that_stops_while_it_has_the_lock_holds_up_no_other(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path
) -> None:
    """Without limits callers are answered; what was under way settles when the lock can be had again."""
    key, free = new_key(cli, "--concurrency", "1", "--usd-per-day", "0.0001"), new_key(cli)
    provider.script = slow(0.5, text("Hi", usage={"prompt_tokens": 100, "completion_tokens": 10}))
    with two_workers(live.path, tmp_path / "state") as (one, two), ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(call, one, key, "a")
        until(lambda: provider.requests)
        with file_lock(tmp_path / "state-lock"):  # as one that was stopped (SIGSTOP) holds it
            assert under_way.result().status == 200
            refused = [call(one, key), call(two, key), call(one, free, "b")]
            assert {(answer.status, answer.error["code"]) for answer in refused} == {(503, "unavailable")}
            assert "kill -CONT" in refused[0].error["message"]
            assert [call(client, free).status for client in (one, two)] == [200, 200]
            assert one.get("/metrics", Authorization=f"Bearer {free}").status == 503
        assert "x-promptops-repeated" in call(two, key, "a").headers
        until(lambda: calls_counted(two, free) == 3, 5)
        assert in_turn((one, two), key, 3) == [200, 200, 429]  # $0.000021 each, up to $0.00004 put aside


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    registry = tmp_path / "registry.db"
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    left = tmp_path / f"registry.db-serve-{ended.pid}-wal"
    left.touch()
    (tmp_path / "registry.db-serve-99999999999999").touch()  # a number that no process has
    alive = tmp_path / f"registry.db-serve-{os.getppid()}"
    alive.touch()
    path = shared_state_path(registry)
    assert (left.exists(), alive.exists(), path.name) == (False, True, f"registry.db-serve-{os.getpid()}")
    SharedState(path, 0).close()
    assert path.stat().st_mode & 0o777 == 0o600
    remove_shared_state(path)
    assert [*tmp_path.iterdir()] == [alive]


def test_amounts_of_processes(tmp_path: Path) -> None:
    path = tmp_path / "state"
    one, other = SharedState(path, 0), SharedState(path, 1)
    for state, amount in ((one, 1.5), (other, 2.0), (one, -0.5)):
        with state.locked():
            state.add("a", amount)
            state.write("b", amount, 1.0)
    with one.locked():
        assert (one.total("a"), one.read("b"), one.read("c")) == (3.0, (-0.5, 1.0), None)
    other.close()
    again = SharedState(path, 1)  # in its place
    with again.locked():
        assert again.total("a") == 1.0
    one.publish({"n": 1})
    assert (again.published(own=False), again.published(own=True)) == ([{"n": 1}], [])
    assert one.claim("r", "d") is None
    assert again.claim("r", "d").outcome is None  # type: ignore[union-attr]
    one.close()
    later = SharedState(path, 0)
    assert again.claim("r", "d") is None  # who began it has ended
    later.settle("r", "not its own")
    again.settle("r", "done")
    assert later.claim("r", "e").outcome == "done"  # type: ignore[union-attr]

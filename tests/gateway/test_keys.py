"""Keys, tenants and limits."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from promptops.registry import RegistryDatabase
from promptops.service.rate_limits import MinuteAllowance
from promptops.service.service import POLL_INTERVAL_S
from promptops.service.usage_store import OF_UNITS, LocalUsage
from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway
from support.greet_releases import ok, runs, told
from support.provider import Provider, slow, status, text
from support.workspace_clients import states, until

Gateway = Callable[[Path], AbstractContextManager[Client]]


def new_key(cli: Cli, *options: str, tenant: str = "acme") -> str:
    return ok(cli("keys", "new", tenant, *options)).out.strip()


def take_away(registry: Path) -> None:
    for file in (registry, *registry.parent.glob("registry.db-[ws][ah][lm]")):
        file.unlink()


def call(client: Client, key: str, model: str = "greet:production", **body: Any) -> Response:
    return client.chat(model, headers={"Authorization": f"Bearer {key}"}, **body)


def test_from_the_first_key_on_a_key_is_needed(cli: Cli, live: Repo, provider: Provider) -> None:
    key = new_key(cli)
    with running_gateway(live.path) as client:
        assert call(client, key).status == 200
        wrong = [("X-Api-Key", key), ("Authorization", "Bearer nonsense"), ("Authorization", f"Basic {key}")]
        for name, value in wrong:
            answer = client.chat(headers={name: value})
            assert (answer.status, answer.error["type"]) == (401, "authentication_error")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/v1/models").status == 401
        assert client.get("/readyz").status == 200
        assert client.get("/livez", Host="any.example").status == 200
    assert len(provider.requests) == 1


@pytest.mark.sqlite
def test_a_key_is_shown_once_and_only_its_hash_is_kept(cli: Cli, live: Repo) -> None:
    key = new_key(cli, "--rpm", "60", "--allow", "greet:*")
    content = b"".join(file.read_bytes() for file in live.path.glob("registry.db*"))
    assert key.encode() not in content
    assert (live.path / "registry.db").stat().st_mode & 0o777 == 0o600
    (shown,) = told(cli, "keys", "list")
    assert (shown["tenant"], shown["limits"]["requests_per_minute"]) == ("acme", 60)
    assert key.split("-")[1] == shown["key_id"]
    assert "secret" not in str(shown)
    assert "greet:*, 60/min" in cli("keys", "list").out


def test_what_a_key_may_call(cli: Cli, live: Repo) -> None:
    narrow, wide = new_key(cli, "--allow", "greet:staging"), new_key(cli, "--revisions")
    with running_gateway(live.path) as client:
        refused = call(client, narrow)
        assert (refused.status, refused.error["type"]) == (403, "permission_error")
        assert "greet:staging" in refused.error["message"]
        assert call(client, narrow, "greet@HEAD").status == 404
        assert call(client, wide, "greet@HEAD").text == "Salute Ada."
        assert call(client, wide, "greet").status == 404
        assert call(client, wide, "greet@INDEX").status == 404
        models = client.get("/v1/models", Authorization=f"Bearer {narrow}").body["data"]
    assert models == []


def test_a_key_that_is_revoked_under_load_is_refused_within_a_second(cli: Cli, live: Repo) -> None:
    key, other = new_key(cli), new_key(cli, tenant="other")
    with running_gateway(live.path) as client, ThreadPoolExecutor(4) as pool:
        stop: list[bool] = []

        def load() -> None:
            while not stop:
                assert call(client, other).status == 200

        loads = [pool.submit(load) for _ in range(3)]
        assert call(client, key).status == 200
        ok(cli("keys", "revoke", key.split("-")[1]))
        until(lambda: call(client, key).status == 401, 5)
        stop.append(True)
        for each in loads:
            each.result()
    assert cli("keys", "revoke", "nonsense").code == 4
    assert "revoked" in cli("keys", "list").out


def test_the_tenant_is_logged_and_a_filter(cli: Cli, live: Repo) -> None:
    acme, other = new_key(cli), new_key(cli, tenant="other")
    with running_gateway(live.path) as client:
        call(client, acme)
        call(client, other)
        call(client, other, "greet@v1")
    assert [run["tenant"] for run in runs(live)] == ["acme", "other", "other"]
    assert [run["tenant"] for run in told(cli, "runs", "list", "--tenant", "other")] == ["other", "other"]
    assert told(cli, "runs", "stats", "--tenant", "acme")["rows"][0]["calls"] == 1
    assert told(cli, "runs", "list")[0]["tenant"] == "other"


@pytest.mark.parametrize("option", ["--rpm", "--unit-rpm"])
def test_requests_a_minute(cli: Cli, live: Repo, provider: Provider, option: str) -> None:
    key = new_key(cli, option, "2")
    with running_gateway(live.path) as client:
        answers = [call(client, key, user="u1") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        other = call(client, key, user="u2").status
    refused = answers[-1]
    assert refused.error["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert "x-should-retry" not in refused.headers
    assert (other, len(provider.requests)) == ((429, 2) if option == "--rpm" else (200, 3))


def test_tokens_a_minute(cli: Cli, live: Repo, provider: Provider) -> None:
    provider.script = text("Hi", usage={"prompt_tokens": 400, "completion_tokens": 60})
    key = new_key(cli, "--tpm", "500")
    with running_gateway(live.path) as client:
        assert [call(client, key).status for _ in range(2)] == [200, 429]


def test_calls_at_a_time(cli: Cli, live: Repo, provider: Provider) -> None:
    provider.script = slow(1, text("late"))
    key = new_key(cli, "--concurrency", "1")
    with running_gateway(live.path) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, client, key)
        until(lambda: provider.requests)
        assert call(client, key).status == 429
        assert first.result().status == 200
        provider.script = text("soon")
        assert call(client, key).status == 200


def test_a_budget_is_reserved_before_the_call(cli: Cli, live: Repo, provider: Provider) -> None:
    # a call of greet may cost 64 tokens of answer at $0.6 a million, and its messages
    key = new_key(cli, "--usd-per-day", "0.0001")
    provider.script = slow(0.5, text("Hi", usage={"prompt_tokens": 9, "completion_tokens": 2}))
    with running_gateway(live.path) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(client, key), range(4)))
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [200, 200, 429, 429]
        refused = next(answer for answer in answers if answer.status == 429)
        assert (refused.error["type"], refused.headers["x-should-retry"]) == ("insufficient_quota", "false")
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        provider.script = text("Hi")
        assert call(client, key).status == 200  # what was not spent is there again
    assert len(provider.requests) == 3


def test_what_was_spent_today_counts_after_a_restart(cli: Cli, live: Repo, provider: Provider) -> None:
    provider.script = text("Hi", usage={"prompt_tokens": 100_000, "completion_tokens": 2000})
    key = new_key(cli, "--usd-per-month", "0.01")
    for expected in (200, 429):
        with running_gateway(live.path) as client:
            assert call(client, key).status == expected


def test_a_failure_that_was_not_billed_costs_nothing(cli: Cli, live: Repo, provider: Provider) -> None:
    provider.script = [status(400, "no"), text("Hi")]
    key = new_key(cli, "--usd-per-day", "0.00005")
    with running_gateway(live.path) as client:
        assert [call(client, key).status for _ in range(2)] == [400, 200]


def test_off_the_loopback_a_key_is_needed_to_start(cli: Cli, live: Repo) -> None:
    from promptops import Invalid

    everywhere = "0.0.0.0"  # noqa: S104 - what is tested
    with pytest.raises(Invalid, match="there are no keys"), running_gateway(live.path, host=everywhere):
        pass
    key = new_key(cli)
    with running_gateway(live.path, host=everywhere) as client:
        assert call(client, key).status == 200
    ok(cli("keys", "revoke", key.split("-")[1]))
    with pytest.raises(Invalid, match="there are no keys"), running_gateway(live.path, host=everywhere):
        pass


@pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 101, "-x"])
def test_names_that_are_no_tenants(cli: Cli, live: Repo, name: str) -> None:
    assert cli("keys", "new", "--", name).code == 4


@pytest.mark.parametrize(
    ("option", "value"), [("--usd-per-day", "nan"), ("--usd-per-month", "inf"), ("--rpm", "9" * 20)]
)
def test_limits_that_are_no_numbers(cli: Cli, repo: Repo, option: str, value: str) -> None:
    refused = cli("keys", "new", "acme", option, value)
    assert (refused.code, f"{option}: {value} is beyond" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--allow", "sup port"), "write 'NAME:CHANNEL'"),
        (("--allow", "sup port*"), "letters, digits"),
        (("--allow", ""), "write 'NAME:CHANNEL'"),
        (("--allow", "support/triage"), "write 'support/triage:*'"),
        (("--allow", "greet@HEAD"), "with --revisions"),
        (("--allow", "greet:production", "--allow", "../greet:production"), "write 'NAME:CHANNEL'"),
        (("--models", "gpt-5.4-mini"), "such as openai/gpt-5.4-mini"),
        (("--models", "openai/gpt 5*"), "no such characters"),
        (("--models", "openai/../x"), "a model's name holds"),
    ],
)
def test_patterns_that_can_match_nothing(cli: Cli, repo: Repo, options: tuple[str, ...], hint: str) -> None:
    refused = cli("keys", "new", "acme", *options)
    assert refused.code == 4
    assert "matches nothing that can be called" in refused.err
    assert hint in refused.err
    assert told(cli, "keys", "list") == []


@pytest.mark.parametrize(
    "options",
    [
        ("--allow", "greet@HEAD", "--revisions"),
        ("--allow", "greet@v3", "--allow", "support/*:prod[ud]ction", "--allow", "*"),
        ("--models", "openai/*", "--models", "bedrock/us.anthropic.claude-x:0", "--models", "*"),
    ],
)
def test_patterns_that_match_something(cli: Cli, repo: Repo, options: tuple[str, ...]) -> None:
    new_key(cli, *options)


def test_no_secret_is_written_anywhere(cli: Cli, live: Repo) -> None:
    key = new_key(cli)
    with running_gateway(live.path) as client:
        call(client, key)
        call(client, key, "great:production")
    with RegistryDatabase.open(live.registry) as registry:
        rows = registry.read("SELECT * FROM runs JOIN run_texts USING (seq)")
    assert len(rows) == 1
    assert key not in str([tuple(row) for row in rows])


# buckets


def test_a_bucket_is_refilled_at_an_even_pace() -> None:
    now = [0.0]
    bucket = MinuteAllowance(60, LocalUsage(), "a", lambda: now[0])
    for _ in range(60):
        assert bucket.wait_for(1) == 0
        bucket.take(1)
    assert bucket.wait_for(1) == pytest.approx(1)
    now[0] = 1.0
    assert bucket.wait_for(1) == pytest.approx(0)
    bucket.take(30)
    assert bucket.wait_for(1) == pytest.approx(30)
    bucket.take(-1000)  # what comes back fills it, and no more
    assert (bucket.wait_for(60), bucket.wait_for(1000)) == (0, 0)


def test_units_that_called_long_ago_are_forgotten() -> None:
    units = LocalUsage(most_units=2)
    a, b, c = (MinuteAllowance(1, units, f"{OF_UNITS}{name}") for name in "abc")
    a.take(1)
    assert a.wait_for(1) > 0
    b.take(1)
    c.take(1)
    assert a.wait_for(1) == 0


def test_the_tenant_of_a_key_goes_before_what_a_caller_writes(cli: Cli, live: Repo) -> None:
    key = new_key(cli)
    with running_gateway(live.path) as client:
        call(client, key, inputs={"name": "Ada"}, metadata={"tenant": "other"})
    ok(cli("run", "greet:production", "-i", "name=Ada", "--meta", "tenant=other"))
    assert [len(told(cli, "runs", "list", "--tenant", name)) for name in ("acme", "other")] == [1, 1]
    assert told(cli, "registry", "erase", "--tenant", "acme", "--yes")["runs"] == 1


def test_a_shadow_of_a_tenants_call_is_the_tenants_and_costs_the_key_nothing(
    cli: Cli, live: Repo, provider: Provider
) -> None:
    """One that answers behind the gateway, and one that a drain makes later."""
    key = new_key(cli, "--usd-per-day", "0.01")
    ok(cli("shadow", "on", "greet:production", "--version", "HEAD", "--sample", "1", "--max-usd", "1"))
    with running_gateway(live.path) as client:
        assert call(client, key).status == 200
        until(lambda: [run["tenant"] for run in runs(live) if run["kind"] == "shadow"] == ["acme"])
    ok(cli("run", "greet:production", "-i", "name=Ada", "--meta", "tenant=acme"))
    until(lambda: cli("shadow", "drain", "--wait").code == 0 and states(live.path)["finished"] == 4)
    shadows = [run for run in runs(live) if run["kind"] == "shadow"]
    assert [run["api_key"] for run in shadows] == [None, None]
    assert len(told(cli, "runs", "list", "--tenant", "acme", "--kind", "shadow")) == 2
    assert told(cli, "registry", "erase", "--tenant", "acme", "--yes")["runs"] == 4


@pytest.mark.sqlite
def test_keys_of_a_registry_that_is_restored_under_a_gateway(cli: Cli, live: Repo) -> None:
    """A copy that takes the place of the file is another file: what is revoked in it is revoked."""
    key, other = new_key(cli), new_key(cli, tenant="other")
    path = live.path / "registry.db"
    with running_gateway(live.path) as client:
        assert call(client, key).status == 200
        backup = live.path / "backup.db"
        ok(cli("registry", "copy", str(path), str(backup)))
        take_away(path)
        backup.rename(path)
        ok(cli("keys", "revoke", key.split("-")[1]))
        until(lambda: call(client, key).status == 401, seconds=5)
        assert call(client, other).status == 200


@pytest.mark.sqlite
def test_a_registry_that_is_taken_away_opens_no_gateway(cli: Cli, live: Repo) -> None:
    key = new_key(cli)
    with running_gateway(live.path) as client:
        assert call(client, key).status == 200
        take_away(live.path / "registry.db")
        until(lambda: call(client, key).status == 200 and (live.path / "registry.db").exists())
        for _ in range(3):
            time.sleep(POLL_INTERVAL_S)
            assert (call(client, key).status, client.chat().status) == (200, 401)

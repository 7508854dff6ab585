"""People are told once of what is new, and of what is over; nothing is lost while a place cannot be sent."""

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.config.settings import find_settings
from promptops.monitoring.alerts.notify import notify
from promptops.registry import ApiKey, KeyLimits, RegistryDatabase, add_api_key
from support.front_door import Cli, Finished, Repo
from support.greet_releases import QUICK, go_live, ok
from support.logged_runs import a_run, an_end
from support.provider import Provider, Received, as_json, status
from support.watched_logs import WatchedLog, today

WEBHOOK = "alerts: {to: [{webhook: {url_env: HOOK_URL, secret_env: HOOK_SECRET}}]}\n"
SPENT = {"spent_usd": 3.0, "cost_usd": 3.0}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Provider(as_json({})) as found:
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{found.port}/hook?key=hidden")
        monkeypatch.setenv("HOOK_SECRET", "s3cret-of-the-hook")
        yield found


def told(place: Provider) -> list[Any]:
    return [request.body for request in place.requests]


def tell(cli: Cli, *options: str) -> Any:
    done = cli("monitor", "notify", "--json", *options)
    assert done.code in (0, 5), done.err
    return json.loads(done.out)


def spend(repo: Repo, count: int = 1, at: float | None = None, **fields: Any) -> None:
    moment = today() if at is None else at
    with RegistryDatabase.open(repo.registry) as registry:
        fields = {"started_at": utc_text(moment), **fields}
        registry.record(
            [(a_run(**fields), an_end(finished_at=utc_text(moment + 1), **SPENT)) for _ in range(count)]
        )


def test_a_rollback_is_told_once_and_signed(cli: Cli, repo: Repo, hook: Provider, provider: Provider) -> None:
    repo.write("promptops.yaml", f"plans: {{quick: {{unit: session}}}}\n{WEBHOOK}")
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert tell(cli)["opened"] == 0
    assert cli("rollback", "greet", "--reason", "it shouts").code == 0
    assert tell(cli) == {"opened": 1, "resolved": 0, "sent": 1, "waiting": {}, "failed": {}}
    assert tell(cli)["sent"] == 0
    (request,) = hook.requests
    mac = hmac.digest(b"s3cret-of-the-hook", request.raw, hashlib.sha256).hex()
    assert request.headers["x-promptops-signature-256"] == f"sha256={mac}"
    (alert,) = told(hook)
    assert (alert["event"], alert["kind"], alert["prompt"]) == ("opened", "release", "greet")
    assert alert["title"] == "greet:production: canary aborted"
    assert "it shouts" in alert["text"]


def test_what_waits_for_a_person_or_nears_its_deadline_is_told_until_it_is_over(
    cli: Cli, repo: Repo, hook: Provider, provider: Provider
) -> None:
    steps = "[{approval: manual}, {weight: 50}]"
    plan = f"plans: {{quick: {{unit: session, deadline: 2h, steps: {steps}}}}}\n"
    repo.write("promptops.yaml", f"{plan}{WEBHOOK}")
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    cli("tick", "greet")  # which tells by itself
    titles = [alert["title"] for alert in told(hook)]
    assert "greet:production: the deadline of the canary v2 is near" in titles
    cli("release", "abort", "greet", "--reason", "enough")
    assert tell(cli)["resolved"] == len(titles)
    aborted, *others = sorted((alert["event"], alert["title"]) for alert in told(hook)[len(titles) :])
    assert aborted == ("opened", "greet:production: canary aborted")
    assert {event for event, _ in others} == {"resolved"}


def test_a_place_that_is_named_twice_is_told_once(cli: Cli, repo: Repo, hook: Provider) -> None:
    twice = "[{slack: {url_env: HOOK_URL}, on: [budget]}, {slack: {url_env: HOOK_URL}, on: [budget, drift]}]"
    repo.write("promptops.yaml", f"alerts: {{to: {twice}, budgets: [{{usd_per_day: 5}}]}}\n")
    spend(repo, 2)
    assert tell(cli)["sent"] == len(hook.requests) == 1


def test_commands_that_begin_alike_are_each_told(cli: Cli, repo: Repo) -> None:
    long = ["sh", "-c", f"cat > $1 # {'x' * 100}", "sh"]
    commands = json.dumps([{"command": [*long, name]} for name in ("one.json", "two.json")])
    repo.write("promptops.yaml", f"alerts: {{to: {commands}, budgets: [{{usd_per_day: 5}}]}}\n")
    spend(repo, 2)
    assert tell(cli)["sent"] == 2
    for name in ("one.json", "two.json"):
        assert json.loads((repo.path / name).read_bytes())["kind"] == "budget"


def test_nothing_is_lost_while_the_place_is_away(cli: Cli, repo: Repo, hook: Provider) -> None:
    repo.write("promptops.yaml", f"{WEBHOOK[:-2]}, budgets: [{{usd_per_day: 5, prompt: support/triage}}]}}\n")
    spend(repo, 2)
    settings = find_settings(repo.path, os.environ)
    env = {"HOOK_URL": f"http://127.0.0.1:{hook.port}/hook", "HOOK_SECRET": "s"}
    hook.script = status(503)
    with RegistryDatabase.open(repo.registry) as registry:
        first = notify(registry, settings, env, today() + 3600)
        assert (first.opened, first.sent, first.waiting) == (1, 0, {"webhook HOOK_URL": 1})
        assert "answers 503" in first.failed["webhook HOOK_URL"]
        soon = notify(registry, settings, env, today() + 3610)
        assert (soon.failed, len(hook.requests)) == ({}, 1)  # it rests for a while
        for hour in range(2, 24):
            notify(registry, settings, env, today() + hour * 3600)
        assert len(hook.requests) == 23
        next_day = notify(registry, settings, env, today() + 25 * 3600)
        assert (next_day.resolved, next_day.waiting) == (1, {"webhook HOOK_URL": 2})
        hook.script = as_json({})
        hook.requests.clear()
        assert notify(registry, settings, env, today() + 27 * 3600).sent == 2
        assert [alert["event"] for alert in told(hook)] == ["opened", "resolved"]
        assert notify(registry, settings, env, today() + 28 * 3600).sent == 0


def test_a_budget_of_a_month_is_forecast_and_one_of_a_tenant_is_its_own(
    cli: Cli, repo: Repo, hook: Provider
) -> None:
    budgets = "[{usd_per_month: 50}, {usd_per_day: 2, tenant: acme}, {usd_per_day: 2, tenant: other}]"
    repo.write("promptops.yaml", f"{WEBHOOK[:-2]}, budgets: {budgets}}}\n")
    tenth = 1_794_268_800.0  # 2026-11-10
    spend(repo, 7, tenth, tenant="acme")
    settings = find_settings(repo.path, os.environ)
    env = {"HOOK_URL": f"http://127.0.0.1:{hook.port}/", "HOOK_SECRET": "s"}
    with RegistryDatabase.open(repo.registry) as registry:
        notify(registry, settings, env, tenth + 86_000)
        alerts = {alert["title"] for alert in told(hook)}
        assert alerts == {
            "budget of all calls: heading for $63.03 of $50",
            "budget of tenant acme: $21.00 of $2 spent",
        }
        spend(repo, 10, tenth + 86_400)
        notify(registry, settings, env, tenth + 2 * 86_400 - 60)
    assert "budget of all calls: $51.00 of $50 spent" in {alert["title"] for alert in told(hook)}


def test_an_alarm_has_an_issue_that_is_edited_and_closed(
    cli: Cli, repo: Repo, hook: Provider, watched: WatchedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("promptops.yaml", "alerts: {to: [{github: {}, on: [drift]}]}\n")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/prompts")
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{hook.port}")
    hook.script = as_json({"number": 7})
    watched.add(range(4, 2, -1), 80, failing=0.4)
    cli("monitor", "check", "--all")
    watched.add(range(2, 0, -1), 80, failing=0.4)
    cli("monitor", "check", "--all")
    done = cli("monitor", "check", "--all", "--acknowledge")
    assert "alerts" not in done.err or "sent" in done.err
    asked = [(request.method, request.path) for request in hook.requests]
    assert asked == [
        ("GET", "/repos/ada/prompts/issues?state=open&sort=created&direction=desc&per_page=100"),
        ("POST", "/repos/ada/prompts/issues"),
        ("PATCH", "/repos/ada/prompts/issues/7"),
        ("PATCH", "/repos/ada/prompts/issues/7"),
        ("POST", "/repos/ada/prompts/issues/7/comments"),
    ]
    opened, edited, closed, _ = [request.body for request in hook.requests[1:]]
    assert opened["title"].startswith("support/triage:production: ")
    assert '"examples"' in edited["body"]
    assert closed == {"state": "closed"}
    assert hook.requests[0].headers["authorization"] == "Bearer ghp_x"


def test_an_issue_that_somebody_deleted_is_left_alone(
    cli: Cli, repo: Repo, hook: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("promptops.yaml", "alerts: {to: [{github: {}}], gateway: {url_env: GATEWAY}}\n")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_x")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/prompts")
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{hook.port}")
    with Provider(status(503)) as gateway:
        monkeypatch.setenv("GATEWAY", f"http://127.0.0.1:{gateway.port}/v1")
        hook.script = as_json({"no": "number"})
        assert "names no issue" in str(tell(cli)["failed"])
        hook.script = as_json({"number": 7})
        assert tell(cli, "--retry")["sent"] == 1
        hook.script = status(410)
        gateway.script = as_json({})
        assert tell(cli) == {"opened": 0, "resolved": 1, "sent": 1, "waiting": {}, "failed": {}}
        assert {request.path for request in gateway.requests} == {"/readyz"}


def test_slack_and_a_command_are_told_in_their_ways(
    cli: Cli, repo: Repo, hook: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = repo.write(
        "tell.sh", "#!/bin/sh\ncat > told.json; test ! -e broken || { echo no; exit 3; } >&2\n"
    )
    program.chmod(0o755)
    places = "[{slack: {url_env: HOOK_URL}}, {command: [./tell.sh]}, {command: [./gone.sh], on: [drift]}]"
    repo.write("promptops.yaml", f"alerts: {{to: {places}, gateway: {{url_env: GATEWAY}}}}\n")
    monkeypatch.setenv("GATEWAY", "http://127.0.0.1:9/<v1>")
    repo.write("broken", "")
    first = tell(cli)
    assert first["failed"] == {"command ./tell.sh": "command ./tell.sh ended with 3: no"}
    (said,) = told(hook)
    assert said["text"].startswith("[gateway] the gateway is not ready\n")
    (repo.path / "broken").unlink()
    assert tell(cli, "--retry")["sent"] == 1
    given = json.loads((repo.path / "told.json").read_text())
    assert (given["kind"], given["event"]) == ("gateway", "opened")
    done = cli("monitor", "notify")
    assert done.out == "0 new, 0 over, 0 sent\n"


def test_a_place_that_cannot_be_started_waits(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("promptops.yaml", "alerts: {to: [{command: [./gone.sh]}], gateway: {url_env: GATEWAY}}\n")
    monkeypatch.setenv("GATEWAY", "http://127.0.0.1:9")
    done = cli("monitor", "notify")
    assert done.code == 5
    assert "command ./gone.sh: 1 waits: " in done.err
    later: Finished = cli("monitor", "notify")
    assert "it is tried again later" in later.err


def test_what_is_not_set_is_said_and_no_address_is_shown(
    cli: Cli, repo: Repo, hook: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "has no `alerts: to`" in cli("monitor", "notify").err
    repo.write("promptops.yaml", WEBHOOK)
    monkeypatch.delenv("HOOK_SECRET")
    done = cli("monitor", "notify")
    assert (done.code, "HOOK_SECRET is not set" in done.err) == (4, True)
    checked = cli("monitor", "check", "--all")
    assert checked.code == 0
    assert "alerts are not sent: alerts: HOOK_SECRET is not set" in checked.err
    monkeypatch.setenv("HOOK_SECRET", "s")
    monkeypatch.setenv("HOOK_URL", "ftp://secret-place/hook")
    repo.write("promptops.yaml", f"{WEBHOOK[:-2]}, gateway: {{url_env: HOOK_URL}}}}\n")
    refused = cli("monitor", "notify")
    assert refused.code == 5
    assert "secret-place" not in refused.err + refused.out


def test_two_who_tell_at_once_tell_once(repo: Repo, hook: Provider) -> None:
    repo.write("promptops.yaml", f"{WEBHOOK[:-2]}, budgets: [{{usd_per_day: 1}}]}}\n")
    spend(repo)
    settings = find_settings(repo.path, os.environ)
    env = {"HOOK_URL": f"http://127.0.0.1:{hook.port}/", "HOOK_SECRET": "s"}

    def at_once(request: Received) -> Any:
        with RegistryDatabase.open(repo.registry) as other:
            assert notify(other, settings, env, today() + 60).sent == 0
        return as_json({})

    hook.script = at_once
    with RegistryDatabase.open(repo.registry) as registry:
        assert notify(registry, settings, env, today() + 60).sent == 1
    assert len(hook.requests) == 1


def test_a_tenant_with_keys_pays_for_the_judges_of_its_calls(repo: Repo, hook: Provider) -> None:
    repo.write("promptops.yaml", f"{WEBHOOK[:-2]}, budgets: [{{usd_per_day: 7, tenant: acme}}]}}\n")
    key, _ = ApiKey.create("acme", KeyLimits())
    with RegistryDatabase.open(repo.registry) as registry:
        add_api_key(registry, key)
    spend(repo, 2, tenant="acme", api_key=key.key_id)
    spend(repo, kind="judge", api_key=key.key_id)
    spend(repo, 5, tenant="other")
    env = {"HOOK_URL": f"http://127.0.0.1:{hook.port}/", "HOOK_SECRET": "s"}
    with RegistryDatabase.open(repo.registry) as registry:
        notify(registry, find_settings(repo.path, os.environ), env, today() + 60)
    assert [alert["title"] for alert in told(hook)] == ["budget of tenant acme: $9.00 of $7 spent"]

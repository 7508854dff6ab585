"""Alerts where clocks, places, processes and texts are not as they should be."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import Settings, find_settings
from promptops.monitoring.alerts import destinations
from promptops.monitoring.alerts.notice import Notice
from promptops.monitoring.alerts.notify import NotifyReport, notify
from promptops.registry import RegistryDatabase, lease_delivery, open_alert
from support.front_door import Cli, Repo
from support.provider import Answer, Provider, Received, as_json, body, reset, slow, status

NOW = 1_795_910_400.0  # 2026-11-29
AT = "2026-11-29T00:00:00.000Z"


@pytest.fixture
def hook() -> Any:
    with Provider(as_json({})) as found:
        yield found


class Watch:
    """A gateway whose health is scripted, and one place that hears of it."""

    def __init__(self, repo: Repo, hook: Provider, place: str = "webhook: {url_env: HOOK}") -> None:
        repo.write("promptops.yaml", f"alerts: {{to: [{{{place}}}], gateway: {{url_env: GATEWAY}}}}\n")
        self.settings: Settings = find_settings(repo.path, os.environ)
        self.env = {"HOOK": f"http://127.0.0.1:{hook.port}/hook", "GATEWAY": "http://127.0.0.1:9"}
        self.up = f"http://127.0.0.1:{hook.port}"
        self.registry = repo.path / "registry.db"

    def look(self, now: float, *, retry: bool = False, up: bool = False) -> NotifyReport:
        env = {**self.env, "GATEWAY": self.up} if up else self.env
        with RegistryDatabase.open(self.registry) as registry:
            return notify(registry, self.settings, env, now, retry_now=retry)

    def open(self, count: int, **more: Any) -> None:
        with RegistryDatabase.open(self.registry) as registry:
            for number in range(count):
                notice = Notice.of(f"k{number}", "drift", f"title {number}", "text", happened=True, **more)
                open_alert(registry, notice.key, "drift", notice.to_json(), AT, ["webhook HOOK"])


def posts(hook: Provider) -> list[Any]:
    return [request.body for request in hook.requests if request.method != "GET"]


def test_a_clock_that_is_set_back_stops_no_alert(repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook)
    hook.script = status(500)
    watch.look(NOW + 30 * 86_400)
    hook.script = as_json({})
    assert watch.look(NOW).sent == 1


def test_a_process_that_was_killed_holds_an_alert_for_two_minutes(repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook)
    watch.open(1)
    with RegistryDatabase.open(watch.registry) as registry:
        assert lease_delivery(registry, "webhook HOOK", NOW, 120.0, 3600.0)
    assert watch.look(NOW + 60, retry=True).waiting == {"webhook HOOK": 2}
    assert watch.look(NOW + 121).sent == 2


def test_two_who_retry_at_once_send_once(repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook)

    def at_once(request: Received) -> Answer:
        assert watch.look(NOW, retry=True).sent == 0
        return as_json({})

    hook.script = at_once
    assert watch.look(NOW, retry=True).sent == 1
    assert len(hook.requests) == 1


def test_what_flaps_is_told_three_times_an_hour_and_ends_when_it_rests(repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook)
    for number in range(12):
        watch.look(NOW + number * 300, up=number % 2 == 1)
    told = [each["event"] for each in posts(hook)]
    assert told == ["opened", "resolved", "opened", "resolved", "opened"]
    assert watch.look(NOW + 3_900, up=True).resolved == 0
    assert watch.look(NOW + 10 * 300 + 3_601, up=True).resolved == 1


def test_ten_thousand_alerts_are_looked_at_within_a_second(repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook, "webhook: {url_env: HOOK}, on: [budget]")
    content = json.dumps(Notice.of("", "drift", "title", "text").to_json())
    rows = [(f"k{number}", "drift", content, AT, AT) for number in range(10_000)]
    with RegistryDatabase.open(watch.registry) as registry, registry.write() as connection:
        connection.executemany(
            "INSERT INTO alerts (key, kind, content, opened_at, met_at) VALUES (?, ?, ?, ?, ?)", rows
        )
    began = time.process_time()
    assert watch.look(NOW).resolved == 10_000
    assert time.process_time() - began < 1.0


def test_a_slow_place_does_not_keep_a_command_for_hours(
    repo: Repo, hook: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptops.monitoring.alerts.notify._MOST_S", 0.1)
    watch = Watch(repo, hook)
    watch.open(5)
    hook.script = slow(0.06, as_json({}))
    report = watch.look(NOW)
    assert 0 < report.sent < 6
    assert report.waiting == {"webhook HOOK": 6 - report.sent}


@pytest.mark.parametrize(
    "answer",
    [
        as_json({}, 302, Location="http://127.0.0.1:9/?key=hidden"),
        Answer(pieces=(b"x" * 1_000_000,) * 80),
        reset(),
    ],
    ids=["redirect", "huge", "reset"],
)
def test_what_is_no_good_answer_waits(answer: Answer, repo: Repo, hook: Provider) -> None:
    watch = Watch(repo, hook)
    hook.script = answer
    report = watch.look(NOW)
    assert (report.sent, report.waiting) == (0, {"webhook HOOK": 1})
    assert "hidden" not in str(report.failed)


def test_an_issue_that_was_made_before_is_not_made_again(repo: Repo, hook: Provider, tmp_path: Path) -> None:
    watch = Watch(repo, hook, "github: {}")
    watch.env |= {"GITHUB_TOKEN": "ghp_x", "GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": watch.up}
    issues: list[Any] = [{"number": 3, "body": None}]

    def github(request: Received) -> Answer:
        if request.method == "GET":
            return as_json(issues)
        issues.append({"number": 4, "body": request.body["body"]})
        return reset()  # it is made, and nobody hears of it

    hook.script = github
    assert watch.look(NOW).sent == 0
    assert watch.look(NOW + 200).sent == 1
    assert len(posts(hook)) == 1
    watch.registry.unlink()  # as a cache of CI may
    assert watch.look(NOW + 400).sent == 1
    assert len(posts(hook)) == 1


@pytest.mark.parametrize("number", ["1e999", "[]", "-3", '"../../x"', "true", "9" * 5000])
def test_an_issue_without_a_number_waits(repo: Repo, hook: Provider, number: str) -> None:
    watch = Watch(repo, hook, "github: {}")
    watch.env |= {"GITHUB_TOKEN": "ghp_x", "GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": watch.up}
    made = f'{{"number": {number}, "body": {{}}}}'

    def github(request: Received) -> Answer:
        if request.method == "GET":
            marked = made.replace("{}", json.dumps(posts(hook)[-1]["body"])) if posts(hook) else made
            return body(f"[{marked}, {made}]".encode())
        return body(made.encode(), 201)

    hook.script = github
    for at in (NOW, NOW + 200):  # the second time the issue is among those that there are
        report = watch.look(at)
        assert (report.sent, list(report.waiting.values())) == (0, [1])
        assert "names no issue" in str(report.failed)


HOSTILE = (
    "see [x](https://evil.example) @everyone <!channel>\n[over] `all` is well ```\n@ada www.evil.example"
)


def test_what_is_written_in_an_alert_mentions_nobody_and_links_nowhere(repo: Repo, hook: Provider) -> None:
    payload = {"event": "opened", **Notice.of("k", "release", HOSTILE, HOSTILE).to_json()}
    url = f"http://127.0.0.1:{hook.port}"
    destinations.Slack("slack", url).send(payload, None)
    said = posts(hook)[0]["text"]
    assert said.count("\n") == 1  # one line each
    for active in ("@everyone", "@ada", "<!", "](", "://", "www."):
        assert active not in said
    payload["details"] = {"reason": HOSTILE, "long": "x" * 100_000}
    payload["title"] = "é" * 1_000
    hook.script = as_json({"number": 1})
    destinations.GitHubIssue("github", url, "a/b", "t").send(payload, None)
    issue = posts(hook)[1]
    assert len(issue["title"]) <= 256
    assert len(issue["body"]) < 65_536
    marker, *lines = issue["body"].splitlines()
    assert marker.startswith("<!-- promptops alert ")
    assert [line for line in lines if line.startswith("```")] == ["```text", "```", "```json", "```"]


def test_keys_and_addresses_are_in_no_alert(
    cli: Cli, repo: Repo, hook: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(repo, hook)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnopqrstuvwxyz")
    watch.env |= {
        "OPENAI_API_KEY": "sk-abcdefghijklmnopqrstuvwxyz",
        "GATEWAY": "http://internal-host-of-acme.invalid:9",
    }
    watch.open(1, details={"reason": ["it was sk-abcdefghijklmnopqrstuvwxyz"]})
    watch.look(NOW)
    sent = json.dumps(posts(hook))
    assert "it was ***" in sent
    assert "abcdefgh" not in sent
    assert "internal-host" not in sent


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("sleep 30 & echo later >&2", ""),
        ("sleep 30", "has not ended within 0.5 s"),
        ("yes no | head -c 300000 >&2; exit 3", "ended with 3: "),
        ("exec <&-; exit 0", ""),
    ],
    ids=["background", "slow", "noisy", "deaf"],
)
def test_commands_end_in_time_whatever_they_do(
    script: str, problem: str, repo: Repo, hook: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "_COMMAND_S", 0.5)
    program = repo.write("tell.sh", f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    watch = Watch(repo, hook, "command: [./tell.sh]")
    began = time.monotonic()
    report = watch.look(NOW)
    assert time.monotonic() - began < 20  # the command itself takes 30 s
    assert problem in report.failed.get("command ./tell.sh", "")
    assert report.sent == (not problem)

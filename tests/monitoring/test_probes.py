"""Probes: asked within a budget, logged, and held against their own past."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.greet_releases import go_live
from support.logged_runs import a_run, an_end
from support.provider import Provider, Received, as_json, status
from support.watched_logs import day

TARGET = "greet:production"
SETTINGS = "plans: {quick: {unit: session}}\nprobes: {greet:production: {repeats: 2}}\n"
CASES = "".join(
    json.dumps({"id": name, "inputs": {"name": name}, "checks": [{"contains": name}]}) + "\n"
    for name in ("Ada", "Grace")
)
EPOCH = "f00d" * 16


@pytest.fixture
def live(repo: Repo, cli: Cli, provider: Provider) -> Repo:
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/greet.cases.jsonl", CASES)
    go_live(cli, repo, more="cases: greet.cases.jsonl\n")
    return repo


def rows(repo: Repo) -> list[Any]:
    with RegistryDatabase.open(repo.registry) as registry:
        return registry.read("SELECT * FROM runs WHERE kind = 'probe' ORDER BY seq")


def check(cli: Cli, *options: str) -> Any:
    done = cli("monitor", "check", TARGET, "--json", *options)
    return done, json.loads(done.out)[0]


def test_probes_are_asked_at_temperature_0_and_logged_as_such(
    live: Repo, cli: Cli, provider: Provider
) -> None:
    done, found = check(cli, "--probes", "--max-cost", "1")
    assert done.code == 0
    assert "greet:production: 4 probes answered" in done.err
    assert [json.loads(each.raw)["temperature"] for each in provider.requests] == [0] * 4
    logged = rows(live)
    assert sorted((row["case_id"], row["trial"], row["channel"]) for row in logged) == [
        (name, trial, "production") for name in ("Ada", "Grace") for trial in (0, 1)
    ]
    metrics = {each["name"]: each for each in found["metrics"]}
    assert {"probe_errors", "probe_failed_checks", "probe_chars", "probe_latency_ms"} <= metrics.keys()
    assert metrics["probe_errors"]["runs"] == 4
    assert "errors" not in metrics  # they are no traffic
    stats = json.loads(cli("runs", "stats", "greet", "--json").out)
    assert (stats["rows"], stats["apart"][0]["key"]) == ([], "probe")


def test_probes_that_fail_count_and_the_look_is_made(live: Repo, cli: Cli, provider: Provider) -> None:
    provider.script = status(400)
    done, found = check(cli, "--probes", "--exit-code")
    assert done.code == 5
    assert "4 probes of greet:production failed" in done.err
    assert {each["name"] for each in found["metrics"]} == {"probe_errors"}


def test_a_budget_stops_probes_before_it_is_passed(live: Repo, cli: Cli, provider: Provider) -> None:
    done, found = check(cli, "--probes", "--max-cost", "0.000001")
    assert done.code == 6
    assert provider.requests == []
    assert (found["prompt"], found["metrics"]) == ("greet", [])


def test_what_has_no_probes_says_how_to_name_some(live: Repo, cli: Cli) -> None:
    live.write("promptops.yaml", "plans: {quick: {unit: session}}\n")
    done = cli("monitor", "check", TARGET, "--probes")
    assert (done.code, "probes: {NAME:CHANNEL: {tag: probe}}" in done.err) == (4, True)
    live.write("promptops.yaml", SETTINGS.replace("repeats: 2", "tag: none"))
    done = cli("monitor", "check", TARGET, "--probes")
    assert (done.code, "has no cases to probe with" in done.err) == (4, True)


def test_the_prompt_file_names_probes_by_their_ids(repo: Repo, cli: Cli, provider: Provider) -> None:
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/greet.cases.jsonl", CASES)
    go_live(cli, repo, more="cases: greet.cases.jsonl\nprobes: [Grace]\n")
    check(cli, "--probes")
    assert [row["case_id"] for row in rows(repo)] == ["Grace", "Grace"]  # repeats: 2, of promptops.yaml
    repo.write("promptops.yaml", "plans: {quick: {unit: session}}\n")
    check(cli, "--probes")
    assert len(rows(repo)) == 2 + 3


def test_a_probe_without_a_case_is_found(repo: Repo, cli: Cli, provider: Provider) -> None:
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/greet.cases.jsonl", CASES)
    go_live(cli, repo, more="cases: greet.cases.jsonl\nprobes: [Ada, Nobody]\n")
    done = cli("monitor", "check", TARGET, "--probes")
    assert (done.code, "no case has the id `Nobody`" in done.err, provider.requests) == (4, True, [])
    assert "no case has the id `Nobody`" in cli("lint", "greet").out
    text = (repo.path / "prompts/greet.yaml").read_text()
    repo.write("prompts/greet.yaml", text.replace("cases: greet.cases.jsonl\n", ""))
    assert "no case has the id `Ada`" in cli("lint", "greet").out


def fingerprinted(name: str) -> Any:
    def answer(request: Received) -> Any:
        said = json.loads(request.raw)["messages"][-1]["content"]
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return as_json({"id": "x", "model": "m", "system_fingerprint": name, "choices": [choice]})

    return answer


def test_a_fingerprint_that_never_was_is_a_change_without_a_test(
    live: Repo, cli: Cli, provider: Provider
) -> None:
    live.write("promptops.yaml", SETTINGS.replace("repeats: 2", "repeats: 16"))
    provider.script = fingerprinted("fp_a")
    _, first = check(cli, "--probes")
    provider.script = fingerprinted("fp_b")
    _, second = check(cli, "--probes")
    assert [each["metric"] for each in first["alarms"] if each["metric"] != "retirement"] == []
    changed = next(each for each in second["alarms"] if each["metric"] == "fingerprint")
    assert changed["size"] == "fp_a -> fp_b"


def log_probes(path: Path, nights: range, answers: Any, *, cases: int = 12) -> None:
    """Logged probes of many nights, as ``--probes`` would have made them."""
    with RegistryDatabase.open(path) as registry:
        for ago in nights:
            registry.record([
                (
                    a_run(
                        prompt="greet",
                        kind="probe",
                        channel="production",
                        version="v1",
                        case_id=f"c{number}",
                        started_at=f"{day(ago)}T03:00:00.000Z",
                        inputs={"name": "Ada"},
                    ),
                    an_end(output=answers(number), latency_ms=300.0 + number),
                )
                for number in range(cases)
            ])  # fmt: skip


def test_other_answers_than_before_are_found(live: Repo, cli: Cli) -> None:
    log_probes(live.registry, range(14, 2, -1), lambda number: f"Hello {number}")
    _, steady = check(cli)
    log_probes(live.registry, range(2, 0, -1), lambda number: f"Good day {number}")
    _, changed = check(cli)
    assert [each["metric"] for each in steady["alarms"] if each["family"] == "probes"] == []
    alarm = next(each for each in changed["alarms"] if each["metric"] == "probe_changed")
    assert (alarm["before"], alarm["direction"]) == (0.0, "rise")
    assert alarm["since"] == day(2)

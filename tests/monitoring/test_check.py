"""``monitor check``: what leaves its band is found, and nothing else."""

import json
from typing import Any

from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.logged_runs import OTHER_DIGEST, a_failure, a_run, an_end, check
from support.watched_logs import WatchedLog, day

TARGET = "support/triage:production"
LAST = range(4, 0, -1)


def look(cli: Cli, *options: str) -> Any:
    done = cli("monitor", "check", TARGET, "--format", "json", *options)
    assert done.code in (0, 1, 3), done.err
    return json.loads(done.out)[0]


def alarms(cli: Cli, *options: str) -> dict[str, Any]:
    """By metric, without that of the model that retires."""
    return {each["metric"]: each for each in look(cli, *options)["alarms"] if each["metric"] != "retirement"}


def test_steady_nights_are_quiet(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 80)
    found = look(cli)
    metrics = {each["name"]: each for each in found["metrics"]}
    assert alarms(cli) == {}
    assert {name for name, each in metrics.items() if each["state"] == "quiet"} >= {
        "errors", "failed_checks", "latency_ms", "output_tokens", "cost_usd", "input_chars", "capitals",
    }  # fmt: skip
    assert metrics["failed_checks"]["nights"] == 21
    assert metrics["failed_checks"]["nights_needed"] >= 2
    assert metrics["novelty"]["state"] == "gathering"  # it had to learn for a week first


def test_a_drop_of_checks_is_told_with_size_day_and_examples(watched: WatchedLog, cli: Cli) -> None:
    ids = watched.add(LAST, 80, failing=0.3)
    alarm = alarms(cli)["failed_checks"]
    assert (alarm["direction"], alarm["prompt"], alarm["channel"]) == ("rise", "support/triage", "production")
    assert alarm["since"] in (day(6), day(5), day(4))
    assert alarm["before"] < 0.1
    assert alarm["now"] > 0.2
    assert len(alarm["examples"]) == 10
    assert set(alarm["examples"]) <= set(ids)
    rows = {row["run_id"]: row["checks_failed"] for row in watched.registry.read("SELECT * FROM runs")}
    assert all(rows[run_id] == 1 for run_id in alarm["examples"])
    assert list(alarms(cli)) == ["failed_checks"]  # said once more at the next look, and no other


def test_an_alarm_names_the_checks_and_errors_that_rose(watched: WatchedLog, cli: Cli) -> None:
    def failing(chance: Any) -> dict[str, Any]:
        failed = a_failure("rate_limit" if chance.random() < 0.8 else "server_error")
        if chance.random() < 0.3:
            return {
                name: getattr(failed, name) for name in ("state", "error_type", "error_message", "output")
            }
        missing = [check(passed=chance.random() >= 0.05), check("cites", passed=chance.random() >= 0.5)]
        return {"checks": missing if chance.random() < 0.9 else [*missing, check("polite", passed=False)]}

    watched.add(LAST, 80, change=failing)
    found = alarms(cli)
    assert [each["name"] for each in found["errors"]["kinds"]] == ["rate_limit", "server_error"]
    rate_limit = found["errors"]["kinds"][0]
    assert (rate_limit["before"], rate_limit["before_runs"], rate_limit["now_runs"]) == (0, 24 * 90, 320)
    assert 50 < rate_limit["now"] < 100
    kinds = {each["name"]: each for each in found["failed_checks"]["kinds"]}
    assert list(kinds)[:2] == ["cites", "polite"]
    assert kinds["cites"]["now"] > 2 * kinds["polite"]["now"] > 0
    text = cli("monitor", "check", TARGET)
    assert f"rose: rate_limit 0 of 2,160 -> {rate_limit['now']} of 320, server_error 0 of 2,160" in text.out


def test_a_look_costs_nothing(watched: WatchedLog, cli: Cli) -> None:
    """Looked at after every night or once: the evidence is the same."""
    for ago in LAST:
        watched.add(range(ago, ago - 1, -1), 60, failing=0.2)
        nightly = look(cli)
    once = look(cli, "--restart")
    assert nightly["metrics"] == once["metrics"]
    assert [each["key"] for each in nightly["alarms"]] == [each["key"] for each in once["alarms"]]


def test_slower_answers_and_shouting_users(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 80, slower=1.8, text=str.upper)
    found = alarms(cli)
    assert found.keys() >= {"latency_ms", "capitals"}
    assert found["latency_ms"]["size"].startswith("x1.")
    assert found["latency_ms"]["family"] == "quality"
    assert found["capitals"]["family"] == "inputs"


def test_a_new_name_of_the_model_needs_no_test(watched: WatchedLog, cli: Cli) -> None:
    watched.add(range(1, 0, -1), 3, change=lambda _: {"response_model": "gpt-4o-mini-2025-01-01"})
    alarm = alarms(cli)["response_model"]
    assert alarm["size"] == "gpt-4o-mini-2024-07-18 -> gpt-4o-mini-2025-01-01"
    assert alarms(cli).keys() == {"response_model"}  # until somebody acknowledges it
    assert alarms(cli, "--acknowledge") == {}
    assert alarms(cli) == {}


def test_exit_codes(watched: WatchedLog, cli: Cli) -> None:
    assert cli("monitor", "check", TARGET, "--exit-code").code == 1  # the model retires
    assert cli("monitor", "check", TARGET).code == 0
    assert cli("monitor", "check").code == 4
    assert cli("monitor", "check", "--all", TARGET).code == 4
    done = cli("monitor", "check", "support/none", "--exit-code")
    assert (done.code, "no channel serves support/none" in done.err) == (4, True)
    assert cli("monitor", "check", "support/triage@HEAD").code == 4


def test_without_enough_nights_it_cannot_say(repo: Repo, cli: Cli) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        WatchedLog(registry).add(range(5, 0, -1), 30, request_model="m")
    done = cli("monitor", "check", "--all", "--exit-code")
    assert done.code == 3
    assert "too little data" in done.out
    assert "gathering" in done.out


def test_an_acknowledged_alarm_is_the_new_normal(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 80, failing=0.3)
    assert "failed_checks" in alarms(cli)
    found = look(cli, "--acknowledge")
    assert [each["metric"] for each in found["ended"]] == ["failed_checks"]
    assert "failed_checks" not in {each["name"] for each in found["metrics"]}
    assert alarms(cli) == {}


def test_an_alarm_ends_when_all_is_well_again(watched: WatchedLog, cli: Cli) -> None:
    watched.add(range(4, 2, -1), 80, failing=0.4)
    assert "failed_checks" in alarms(cli)
    watched.add(range(2, 0, -1), 150)
    found = look(cli)
    assert [each["metric"] for each in found["ended"]] == ["failed_checks"]
    again = look(cli, "--since", "7d")
    assert [each["metric"] for each in again["ended"]] == ["failed_checks"]


def test_calls_of_a_canary_and_forced_ones_do_not_count(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 40)
    watched.add(LAST, 40, failing=0.9, arm="canary", digest=OTHER_DIGEST)
    watched.add(LAST, 40, failing=0.9, excluded="forced")
    assert alarms(cli) == {}


def test_forms_for_people_and_machines(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 80, failing=0.3)
    text = cli("monitor", "check", TARGET)
    assert "alarm: answers that fail a check: 5" in text.out
    assert "examples: 01" in text.out
    assert "failed_checks" in text.out
    markdown = cli("monitor", "check", TARGET, "--format", "markdown").out
    assert "### " in markdown
    assert "| METRIC | STATE |" in markdown
    github = cli("monitor", "check", TARGET, "--format", "github").out.splitlines()
    assert all(
        line.startswith("::warning title=promptops monitor%3A support/triage%3Aproduction::")
        for line in github
    )
    assert len(github) == 2


def test_failures_count_and_say_nothing_of_answers(watched: WatchedLog, cli: Cli) -> None:
    rows = []
    for number in range(120):
        run = a_run(channel="production", started_at=f"{day(1)}T10:00:00.000Z")
        rows.append((run, a_failure() if number % 3 else an_end()))
    watched.registry.record(rows)
    assert alarms(cli).keys() >= {"errors"}


def test_a_provider_that_names_each_answer_otherwise_raises_few_alarms(watched: WatchedLog, cli: Cli) -> None:
    watched.add(LAST, 20, change=lambda chance: {"response_model": f"m-{chance.getrandbits(40)}" + "x" * 300})
    found = look(cli)
    names = [each["size"] for each in found["alarms"] if each["metric"] == "response_model"]
    assert len(names) == 19
    assert max(map(len, names)) < 300


def test_channels_are_remembered(watched: WatchedLog, cli: Cli) -> None:
    other = WatchedLog(watched.registry, channel="beta")
    other.add(range(1, 0, -1), 3)
    targets = [each["channel"] for each in json.loads(cli("monitor", "check", "--all", "--json").out)]
    assert targets == ["beta", "production"]
    WatchedLog(watched.registry, channel="gamma").add(range(1, 0, -1), 3)
    done = cli("monitor", "check", "support/triage", "--json")
    assert [each["channel"] for each in json.loads(done.out)] == ["beta", "gamma", "production"]

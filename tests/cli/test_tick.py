"""``promptops tick`` through the front door: traffic, evidence, moves."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from support.front_door import Cli, Finished, Repo
from support.greet_releases import (
    CHECKED,
    QUICK,
    a_remote,
    channel,
    go_live,
    ok,
    runs,
    subjects,
    told,
    versions,
    with_cases,
)
from support.logged_rows import open_log
from support.provider import Answer, Provider, Received, status, text
from support.reviews import review_all


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    return repo


def lines(repo: Repo, name: str, count: int) -> str:
    units = ({"inputs": {"name": f"{name} {i}"}, "unit": f"{name}-{i}"} for i in range(count))
    return str(repo.write(f"{name}.jsonl", "\n".join(map(json.dumps, units)) + "\n"))


def traffic(cli: Cli, repo: Repo, name: str, count: int) -> Finished:
    """So many calls of ``greet:production``, each for a unit of its own."""
    out = str(repo.path / f"{name}.out.jsonl")
    return cli(
        "batch",
        "greet:production",
        lines(repo, name, count),
        "--unit",
        "unit",
        "--out",
        out,
        "--retries",
        "0",
        "-j",
        "1",
    )


def tick(cli: Cli, *more: str) -> dict[str, Any]:
    """What one tick of all says; the code is in it."""
    done = cli("tick", "--all", *more)
    found: dict[str, Any] = json.loads(done.out)
    assert found["code"] == done.code, done.err
    return found


def fails_to_salute(request: Received) -> Answer:
    said = request.body["messages"][-1]["content"]
    return status(400, "no salutes") if said.startswith("Salute") else text("Hello")


def test_a_canary_that_is_as_good_is_promoted(cli: Cli, live: Repo, provider: Provider) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    held = tick(cli)
    assert held["code"] == 0
    assert held["holds"][0] == "50 more canary calls in this step (50 are due)"
    ok(traffic(cli, live, "first", 300))
    assert {run["arm"] for run in runs(live)} == {"stable", "canary"}
    done = tick(cli)
    while done["move"] is None:
        ok(traffic(cli, live, f"more{done['calls']}", 150))
        done = tick(cli)
    assert (done["move"], done["stable"], done["canary"], done["code"]) == ("promote", "v2", None, 0)
    assert "every guard is not worse" in done["reason"]
    assert done["calls"] <= 900
    assert versions(cli) == ("v2", None)
    assert "no canary is active" in ok(cli("tick")).err
    verified = ok(cli("release", "verify"))
    assert verified.out.startswith("ok ")


def test_a_canary_that_fails_is_taken_back(cli: Cli, live: Repo, provider: Provider) -> None:
    provider.script = fails_to_salute
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(cli, live, "calls", 40)
    done = tick(cli)
    assert (done["move"], done["code"], done["stable"], done["canary"]) == ("rollback", 1, "v1", None)
    assert done["weight_bp"] == 0
    message = live.git("log", "-1", "--format=%B", "promptops-state")
    assert "Promptops-Transition: rollback" in message
    assert "Promptops-Verdict: worse" in message
    assert "Promptops-Evidence: evidence/r-" in message
    assert told(cli, "status", "greet")
    again = told(cli, "canary", "greet@HEAD", *QUICK)
    assert again["canary"] == "v2"
    assert tick(cli)["move"] == "rollback"  # the evidence is what it was: no retry until green


def test_two_ticks_at_once_make_one_move(
    cli: Cli, live: Repo, provider: Provider, process: Callable[..., CompletedProcess[str]]
) -> None:
    provider.script = fails_to_salute
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(cli, live, "calls", 40)
    before = len(subjects(live))
    codes: list[int] = []
    ticks = [
        threading.Thread(target=lambda: codes.append(process(["tick", "--all"], cwd=live.path).returncode))
        for _ in range(2)
    ]
    for each in ticks:
        each.start()
    for each in ticks:
        each.join()
    assert len(subjects(live)) == before + 1
    assert sorted(codes) in ([0, 1], [1, 1])


PLANS = """\
plans:
  steps:
    eval: null
    quality: optional
    unit: session
    steps: [{weight: 20, min_canary: 10}, {approval: manual}, {weight: 50, min_canary: 10}]
    metrics: [{name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.2}]
"""


def test_step_by_step_with_a_person_in_between(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("promptops.yaml", PLANS)
    go_live(cli, repo)
    started = told(cli, "canary", "greet@HEAD", "--plan", "steps", "--yes")
    assert started["weight_bp"] == 2000
    ok(traffic(cli, repo, "one", 120))
    assert "is not awaiting approval" in cli("release", "approve", "greet").err
    assert (moved := tick(cli))["move"] == "await"
    assert (moved["phase"], moved["weight_bp"]) == ("awaiting", 2000)
    held = tick(cli)
    assert held["holds"][0].endswith("promptops release approve greet:production")
    assert cli("release", "wait", "greet").code == 3
    assert told(cli, "release", "approve", "greet", "--reason", "read them")["weight_bp"] == 5000
    ok(traffic(cli, repo, "two", 40))
    assert cli("status", "greet", "--exit-code").code == 3
    while (done := tick(cli))["move"] is None:
        ok(traffic(cli, repo, f"more{done['calls']}", 100))
    assert done["move"] == "promote"
    assert cli("status", "greet", "--exit-code").code == 0
    hashes = [run["unit_hash"] for run in runs(repo)]
    assert len(set(hashes)) == len(hashes)


def test_a_log_with_holes_is_invalid_until_resumed(cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(traffic(cli, repo, "calls", 200))
    with open_log(repo.path) as database:
        database.execute("DELETE FROM outcomes")
        database.execute("DELETE FROM runs WHERE arm = 'stable' AND seq % 10 <> 0")
    done = tick(cli)
    assert (done["code"], done["phase"], done["weight_bp"]) == (4, "invalid", 5000)
    assert tick(cli)["code"] == 4
    assert cli("status", "greet", "--exit-code").code == 4
    refused = cli("release", "resume", "greet")
    assert (refused.code, "needs a reason" in refused.err) == (4, True)
    resumed = told(cli, "release", "resume", "greet", "--reason", "the disk was full")
    assert (resumed["phase"], resumed["rollout"]) == ("progressing", f"{done['rollout']}.2")
    assert tick(cli)["code"] == 0


def test_a_paused_canary_keeps_its_weight(cli: Cli, live: Repo) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    paused = told(cli, "release", "pause", "greet", "--reason", "a holiday")
    assert (paused["phase"], paused["weight_bp"]) == ("paused", 5000)
    assert tick(cli)["holds"] == ["paused: a holiday"]
    assert told(cli, "release", "resume", "greet")["phase"] == "progressing"
    assert channel(cli)["rollout"]["weight_bp"] == 5000


def test_nothing_to_tick(cli: Cli, live: Repo) -> None:
    assert ok(cli("tick", "--all")).out == ""
    assert ok(cli("tick", "greet")).out == "greet:production: no canary is active\n"
    assert cli("tick", "--all", "greet").code == 4
    assert cli("tick", "nobody").code == 4


def test_a_registry_that_saw_nothing_holds(cli: Cli, live: Repo, provider: Provider, tmp_path: Path) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(traffic(cli, live, "calls", 60))
    ok(cli("release", "pause", "greet"))
    ok(cli("release", "resume", "greet"))
    tick(cli)
    other = cli("--registry", str(tmp_path / "other.db"), "tick", "greet")
    assert other.code == 0
    assert "stays at 50%" in other.out


def test_harm_is_taken_back_here_also_without_the_remote(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path
) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    provider.script = fails_to_salute
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(cli, live, "calls", 40)
    origin.rename(tmp_path / "away.git")
    done = cli("tick", "greet")
    assert done.code == 5
    assert "on this machine only; retry: promptops release sync" in done.err
    assert versions(cli) == ("v1", None)
    assert cli("tick", "greet").code == 5
    (tmp_path / "away.git").rename(origin)
    ok(cli("release", "sync"))
    ok(cli("tick", "greet"))


def test_an_eval_opens_the_gate(cli: Cli, repo: Repo, provider: Provider) -> None:
    with_cases(repo)
    go_live(cli, repo, cases=True, more=CHECKED)
    started = ok(cli("canary", "greet@HEAD", "--yes"))
    assert "next: promptops eval --plan greet:production, then promptops tick greet:production" in started.err
    held = tick(cli)
    assert held["phase"] == "eval"
    command = held["holds"][-1].removeprefix("run: promptops ")
    assert command == "eval --plan greet:production"
    beside = cli(*command.split(), "greet@HEAD")
    assert (beside.code, "--plan says what is compared, so REF cannot" in beside.err) == (4, True)
    made = cli(*command.split())
    assert (made.code, "next: promptops tick greet" in made.err) == (0, True)
    assert "limit 3" in made.out
    done = tick(cli)
    assert (done["move"], done["phase"], done["weight_bp"]) == ("phase", "progressing", 500)
    again = cli(*command.split())
    assert (again.code, "is progressing, not in the phase eval" in again.err) == (4, True)
    assert cli("eval").code == 2


def test_the_golden_set_of_the_gate_is_that_of_the_commit_that_was_released(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    with_cases(repo)
    go_live(cli, repo, cases=True, more=CHECKED)
    repo.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n{"inputs": {"name": "Bo"}}\n')
    repo.commit("a larger golden set, the same version")
    ok(cli("canary", "greet@HEAD", "--yes"))
    assert "2 cases;" in ok(cli("eval", "--plan", "greet:production")).out
    assert tick(cli)["phase"] == "progressing"


def test_a_unit_meets_one_version_for_as_long_as_the_canary_lasts(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("promptops.yaml", PLANS)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "steps", "--yes"))
    for unit in ("ada", "grace", "ada", "grace"):
        ok(cli("run", "greet:production", "-i", "name=Ada", "--unit", unit))
    arms = [(run["arm"], run["version"], run["weight_bp"]) for run in runs(repo)]
    assert arms[:2] == arms[2:]
    ok(cli("rollback", "greet"))
    ok(cli("run", "greet:production", "-i", "name=Ada", "--unit", "ada"))
    last = runs(repo)[-1]
    assert (last["arm"], last["version"], last["rollout"]) == (None, "v1", None)


def test_outputs_that_people_have_read_open_a_step(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("promptops.yaml", PLANS.replace("{approval: manual}", "{reviewed: 2}"))
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "steps", "--yes"))
    ok(traffic(cli, repo, "one", 120))
    assert tick(cli)["phase"] == "awaiting"
    waiting = "0 of 2 outputs of the canary are reviewed: promptops review start greet:production"
    assert tick(cli)["holds"] == [waiting]
    for run in [run for run in runs(repo) if run["arm"] == "canary"][:2]:
        ok(cli("feedback", run["run_id"], "up"))  # of whomever somebody chose
    assert tick(cli)["holds"] == [waiting]
    ok(cli("review", "start", "greet:production", "--sample", "4"))
    review_all(repo.path)
    done = tick(cli)
    assert (done["phase"], done["weight_bp"]) == ("progressing", 5000)

"""The verbs below ``promptops release``, and ``status``, through the front door."""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from promptops.config.clock import utc_text
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase
from promptops.release.actions.wait import parse_timeout
from support.channel_calls import log_calls
from support.front_door import Cli, Repo
from support.greet_releases import (
    CHECKED,
    QUICK,
    a_remote,
    channel,
    go_live,
    ok,
    told,
    two_versions,
    versions,
)
from support.logged_runs import a_failure, a_run, an_end, check


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    return repo


@pytest.fixture
def canary(cli: Cli, live: Repo) -> Repo:
    ok(cli("canary", "greet@HEAD", *QUICK))
    return live


def test_the_log_says_what_when_who_and_why(cli: Cli, canary: Repo) -> None:
    ok(cli("release", "abort", "greet", "--reason", "too blunt"))
    entries = told(cli, "release", "log")
    assert [(each["move"], each["generation"]) for each in entries] == [
        ("abort", 3),
        ("start", 2),
        ("release", 1),
    ]
    assert entries[0]["reason"] == "too blunt"
    assert entries[0]["actor"] == "Ada <ada@example.org>"
    table = ok(cli("release", "log", "greet:production")).out.splitlines()
    assert table[0].split() == ["AT", "(UTC)", "WHAT", "BY", "WHY"]
    assert "canary v2 50% → 0%, aborted" in table[1]
    assert told(cli, "release", "log", "greet:staging") == []
    assert len(told(cli, "release", "log", "-n", "1")) == 1


def test_show_says_what_was_live_at_a_moment(cli: Cli, canary: Repo) -> None:
    now = ok(cli("release", "show", "greet")).out
    assert "greet@v1 (sha256:" in now
    assert "canary greet@v2" in now
    assert "met 50% of units (progressing, r-" in now
    done = cli("release", "show", "greet", "--at", "2020-01-01")
    assert (done.code, "served nothing at 2020-01-01T00:00:00Z" in done.err) == (4, True)
    assert cli("release", "show", "greet", "--at", "yesterday").code == 4
    assert cli("release", "show", "greet@HEAD").code == 4


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html"])
def test_status_in_every_form(cli: Cli, canary: Repo, form: str) -> None:
    ok(cli("tick"))
    done = ok(cli("status", "--format", form))
    assert "v2" in done.out
    assert "greet" in done.out
    if form == "text":
        assert max(map(len, done.out.splitlines())) <= 80
    assert cli("status", "greet:production", "--format", form).out


def test_status_before_anything_is_released(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    assert "nothing is released yet" in ok(cli("status")).err
    assert told(cli, "status") == []
    assert cli("status", "--exit-code").code == 0


def test_status_before_the_first_tick_says_so(cli: Cli, canary: Repo) -> None:
    assert "no tick has looked at the evidence yet" in ok(cli("status")).out


def test_wait_ends_with_the_canary(
    cli: Cli, canary: Repo, process: Callable[..., CompletedProcess[str]]
) -> None:
    assert cli("release", "wait", "greet", "--timeout", "0s").code == 3
    assert cli("release", "wait", "greet", "--timeout", "soon").code == 4
    ok(cli("release", "pause", "greet"))
    paused = cli("release", "wait", "greet")
    assert (paused.code, "v2 is paused" in paused.out) == (3, True)
    ok(cli("release", "resume", "greet"))
    ending = threading.Timer(0.2, process, (["release", "abort", "greet"],), {"cwd": canary.path})
    ending.start()
    done = cli("release", "wait", "greet")
    assert (done.code, done.out) == (1, "v2 is rolled back\n")
    assert cli("release", "wait", "greet").code == 4


def test_spans() -> None:
    assert [parse_timeout(text) for text in ("90s", "15m", "2h", "1d")] == [90, 900, 7200, 86_400]
    with pytest.raises(Invalid, match="no span of time"):
        parse_timeout("2 hours")


def test_a_forecast_moves_nothing(cli: Cli, live: Repo) -> None:
    said = ok(cli("release", "forecast", "greet@HEAD", "--plan", "quick"))
    assert "calls" in said.out
    assert "error_rate" in told(cli, "release", "forecast", "greet@HEAD")["calls"]
    assert versions(cli) == ("v1", None)
    assert "needs no evidence" in ok(cli("release", "forecast", "greet@HEAD", "--to", "staging")).out


def test_a_forecast_says_which_plan_suits_the_traffic(cli: Cli, repo: Repo) -> None:
    """And what decides where no canary does: the command can be pasted."""
    go_live(cli, repo, more=CHECKED)
    digest, now = channel(cli)["stable"]["digest"].removeprefix("sha256:"), time.time()

    def log(number: int, inputs: str) -> None:
        """Calls spread over a week; of a hundred one fails, and five fail their check."""
        ends = [an_end(checks=(check("max_words", passed=number % 20 > 0),)) for number in range(99)]
        calls = [
            (
                a_run(
                    prompt="greet",
                    digest=digest,
                    channel="production",
                    started_at=utc_text(now - 7 * 86_400 * (1 - at / number)),
                    inputs_hash=inputs.format(at),
                ),
                [*ends, a_failure()][at % 100],
            )
            for at in range(number)
        ]
        with RegistryDatabase.open(repo.registry) as registry:
            registry.record(calls)

    def forecast(*plan: str) -> tuple[str | None, str]:
        found = told(cli, "release", "forecast", "greet@HEAD", *plan)
        return found["recommended"], found["advice"]

    assert forecast() == (None, "")  # without traffic there are no days to speak of
    log(50, "same")
    recommended, advice = forecast()
    assert recommended is None
    assert re.search("what can: promptops shadow run greet@[0-9a-f]+ --against greet:production --i", advice)
    log(1_400, "same")
    recommended, advice = forecast()
    assert recommended == "lean"
    assert re.search("^the plan lean takes . days: promptops canary greet@[0-9a-f]+ --plan lean$", advice)
    assert forecast("--plan", "quick") == (None, "")
    log(600, "h{}")
    assert forecast()[0] == "shadow-first"
    canary = ok(cli("canary", "greet@HEAD", "--yes"))
    assert "the plan shadow-first takes" in canary.err
    command = re.search("promptops (canary .* --plan shadow-first --supersede)", canary.err)
    assert command
    ok(cli(*command[1].split(), "--yes"))  # it has begun with the other plan meanwhile
    assert channel(cli)["rollout"]["phase"] == "eval"


def test_no_plan_is_advised_that_the_channel_refuses(cli: Cli, repo: Repo) -> None:
    repo.write("promptops.yaml", "plans: {default: {quality: optional, unit: call, deadline: 1000d}}\n")
    go_live(cli, repo)
    log_calls(repo, 600, lambda draw, _: {"latency_ms": draw.gauss(900, 90)}, apart=86_400 / 200)
    found = told(cli, "release", "forecast", "greet@HEAD")
    assert (found["recommended"], found["advice"]) == (None, "")
    assert found["sentence"].endswith("deadline 1,000 d")
    assert cli("canary", "greet@HEAD", "--plan", "lean", "--yes").code == 4


def test_verify_finds_what_the_observations_do_not_bear_out(cli: Cli, canary: Repo, tmp_path: Path) -> None:
    assert "no transition rests on evidence yet" in ok(cli("release", "verify")).err
    ok(cli("promote", "greet", "--force", "--reason", "hurry"))
    assert ok(cli("release", "verify", "greet")).out.startswith("ok ")
    assert told(cli, "release", "verify")[0]["mismatches"] == []
    other = cli("--registry", str(tmp_path / "other.db"), "release", "verify")
    assert (other.code, "verify it there" in other.err) == (3, True)


def test_init_makes_the_branch_once(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    ok(cli("release", "init", "--codeowners", "@acme/prompts"))
    assert repo.git("show", "promptops-state:CODEOWNERS") == "* @acme/prompts"
    assert "there already" in ok(cli("release", "init")).out
    ok(cli("promote", "greet@HEAD", "--yes"))
    assert versions(cli) == ("v1", None)


def test_a_damaged_state_is_named_and_recovered(cli: Cli, canary: Repo) -> None:
    assert "nothing is missing" in ok(cli("release", "recover")).out
    canary.git("worktree", "add", "-q", "../state", "promptops-state")
    state = canary.path.parent / "state"
    (state / "releases/greet.yaml").write_text("prompt: greet\nchannels: [\n")
    canary.git("-C", str(state), "commit", "-q", "-am", "by hand")
    done = cli("status", "greet")
    assert done.code == 4
    assert "releases/greet.yaml" in done.err
    assert "repaired: releases/greet.yaml" in ok(cli("release", "recover")).out
    assert versions(cli) == ("v1", "v2")


def test_another_clone_sees_the_release_after_a_sync(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    two_versions(repo)
    origin = a_remote(repo, tmp_path / "origin.git")
    clone = tmp_path / "clone"
    repo.git("clone", "-q", str(origin), str(clone))
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert ok(cli("-C", str(clone), "release", "sync")).out == "nothing to push; something new was fetched\n"
    assert versions(cli) == ("v1", "v2")
    ok(cli("rollback", "greet"))
    (repo.path / "README").write_text("dirty")
    ok(cli("-C", str(repo.path), "release", "sync"))
    assert versions(cli) == ("v1", None)


def test_tick_all_says_one_object_for_each_canary(cli: Cli, canary: Repo) -> None:
    canary.write("prompts/other.yaml", (canary.path / "prompts/greet.yaml").read_text())
    canary.commit("Add another")
    ok(cli("promote", "other@HEAD", "--yes"))
    canary.write("prompts/other.yaml", (canary.path / "prompts/greet.yaml").read_text().replace("64", "65"))
    canary.commit("Change it")
    ok(cli("canary", "other@HEAD", *QUICK))
    lines = [json.loads(line) for line in ok(cli("tick", "--all")).out.splitlines()]
    assert [line["prompt"] for line in lines] == ["greet", "other"]
    assert cli("tick", "--all", "--exit-code").code == 3
    assert [
        line["prompt"] for line in map(json.loads, ok(cli("tick", "other", "--json")).out.splitlines())
    ] == ["other"]


def test_a_prompt_that_is_deleted_in_the_tree_goes_on_being_served_and_ticked(cli: Cli, canary: Repo) -> None:
    (canary.path / "prompts/greet.yaml").unlink()
    canary.commit("Delete it")
    assert ok(cli("tick", "greet")).out.startswith("greet:production: v2 stays at 50%")
    ok(cli("status", "greet"))
    ok(cli("rollback", "greet"))
    assert channel(cli)["rollout"] is None
    assert ok(cli("show", "greet:production")).out


def test_where_nothing_is_live_the_next_step_is_a_first_release(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    for verb in (("promote",), ("rollback",), ("release", "abort"), ("status",)):
        done = cli(*verb, "greet")
        assert (done.code, "promptops promote greet@REV --to production releases" in done.err) == (4, True), (
            verb
        )


def test_what_is_not_there(cli: Cli, live: Repo) -> None:
    for verb in ("approve", "pause", "resume", "abort", "wait"):
        done = cli("release", verb, "greet")
        assert (done.code, "has no active canary" in done.err) == (4, True), verb
    assert "no channel `prodution`" in cli("release", "pause", "greet:prodution").err


def test_doctor_says_what_is_released_and_what_the_remote_lacks(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    two_versions(repo)
    assert "releases: nothing is released yet" in cli("doctor").out
    a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes", "--local"))
    ok(cli("canary", "greet@HEAD", *QUICK, "--local"))
    said = cli("doctor").out
    assert "releases: 1 prompt, 1 active canary" in said
    assert "2 transitions are on this machine only" in said
    ok(cli("release", "sync"))
    assert "on this machine only" not in cli("doctor").out


def test_wait_sees_what_another_clone_decides(
    cli: Cli, repo: Repo, tmp_path: Path, process: Callable[..., CompletedProcess[str]]
) -> None:
    two_versions(repo)
    origin = a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    clone = tmp_path / "clone"
    repo.git("clone", "-q", str(origin), str(clone))
    decided = process(["promote", "greet", "--force", "--reason", "hurry"], cwd=clone)
    assert decided.returncode == 0, decided.stderr
    assert versions(cli) == ("v1", "v2")
    done = ok(cli("release", "wait", "greet"))
    assert done.out == "v2 is promoted\n"

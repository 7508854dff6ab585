"""``promptops promote`` and ``rollback`` through the front door."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from subprocess import CompletedProcess

import pytest

from promptops.registry import EvalRecord, RegistryDatabase, save_evals
from support.front_door import Cli, Repo
from support.greet_releases import (
    QUICK,
    SALUTE,
    a_remote,
    channel,
    go_live,
    ok,
    subjects,
    told,
    two_versions,
    versions,
    with_cases,
)
from support.started_processes import STARTED

_READ_BY = ("cat-file", "config", "show-ref")


def test_the_first_release_says_so_and_asks(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    done = cli("promote", "greet@HEAD")
    assert done.code == 2
    assert "greet:production serves nothing yet" in done.err
    assert done.err.endswith("This is not a terminal, so nobody can be asked\n  use --yes to confirm\n")
    ok(cli("promote", "greet@HEAD", "--yes"))
    assert versions(cli) == ("v1", None)
    assert ok(cli("show", "greet:production")).out
    again = cli("promote", "greet@HEAD")  # asks nothing, as there is nothing to agree to
    assert (again.code, "this skips" in again.err) == (4, False)
    assert "greet@HEAD is what greet:production serves already (v1)" in again.err


def test_a_version_goes_live_by_the_plan_direct(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = ok(cli("promote", "greet@HEAD", "--yes"))
    assert done.out == "release(greet): production v1 → v2\n"
    state = channel(cli)
    assert (state["stable"]["version"], state["previous"]["version"]) == ("v2", "v1")
    assert "no cases" in repo.git("log", "-1", "--format=%B", "promptops-state")


def test_git_is_asked_once_for_what_it_knows(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    before = len(STARTED)
    ok(cli("promote", "greet@HEAD", "--yes"))
    commands = [word for started in STARTED[before:] for word in started if word in {*_READ_BY, "ls-tree"}]
    assert sorted(commands) == sorted(_READ_BY)


def test_a_plan_with_steps_is_started_on_the_channel_that_was_named(cli: Cli, repo: Repo) -> None:
    repo.write("promptops.yaml", "channels: {beta: {plan: quick}}\n")
    go_live(cli, repo)
    ok(cli("promote", "greet@HEAD~1", "--to", "beta", "--yes"))
    refused = cli("promote", "greet@HEAD", "--to", "beta", "--plan", "quick")
    assert (refused.code, "has steps: it starts a canary" in refused.err) == (4, True), refused.err
    command = refused.err.splitlines()[-1].split()
    ok(cli(*command[1:], "--yes"))
    assert [each["channel"] for each in told(cli, "status") if each["rollout"]] == ["beta"]
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))
    open_ = cli("promote", "greet", "--to", "beta")
    assert open_.code == 3
    command = open_.err.splitlines()[-1].replace('"…" overrides', "hurry").split()
    ok(cli(*command[1:]))
    assert [each["channel"] for each in told(cli, "status") if each["rollout"]] == ["production"]


def test_promote_without_a_canary(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = cli("promote", "greet")
    assert done.code == 4
    assert "has no active canary; v1 serves all calls" in done.err


def test_a_canary_is_finished_by_evidence_or_by_force(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    done = cli("promote", "greet")
    assert done.code == 3
    assert "greet:production is not promoted" in done.err
    assert "error_rate" in done.err
    assert "--force needs a reason" in cli("promote", "greet", "--force").err
    ok(cli("promote", "greet", "--force", "--reason", "we must"))
    assert versions(cli) == ("v2", None)
    message = repo.git("log", "-1", "--format=%B", "promptops-state")
    assert "we must; overrides: error_rate" in message
    assert "Promptops-Forced: yes" in message


def test_the_active_canary_may_be_named_by_its_revision(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert cli("promote", "greet@HEAD", "--yes").code == 3
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute {{", "Hail {{"))
    repo.commit("Hail people")
    done = cli("promote", "greet@HEAD", "--yes")
    assert done.code == 4
    assert "has an active canary: v2" in done.err


def an_eval(cli: Cli, repo: Repo, **verdicts: object) -> None:
    """An eval of HEAD against HEAD~1 that came to its end."""
    digests = [
        told(cli, "show", f"greet@{rev}")["digest"].removeprefix("sha256:") for rev in ("HEAD", "HEAD~1")
    ]
    record = EvalRecord(
        eval_id="e-1",
        prompt="greet",
        digest=digests[0],
        against=digests[1],
        cases_hash="c",
        trials=1,
        counts={"rate": 0.5, "passed": 50, "cases": 100},
        verdicts=verdicts,
        started_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:01:00.000Z",
    )
    with RegistryDatabase.open(repo.registry) as registry:
        save_evals(registry, [record])


def test_a_missing_eval_is_waited_for(cli: Cli, repo: Repo) -> None:
    with_cases(repo)
    go_live(cli, repo, cases=True)
    done = ok(cli("promote", "greet@HEAD", "--yes"))
    assert "run: promptops eval --plan greet:production" in done.err
    assert channel(cli)["rollout"]["phase"] == "eval"
    assert cli("tick", "greet", "--exit-code").code == 3
    ok(cli("tick", "greet"))
    assert versions(cli) == ("v1", "v2")


def test_an_eval_that_says_worse_keeps_a_version_out(cli: Cli, repo: Repo) -> None:
    with_cases(repo)
    go_live(cli, repo, cases=True)
    an_eval(cli, repo, verdict="worse", sentence="v2 passes 20 points fewer")
    done = cli("promote", "greet@HEAD", "--yes")
    assert done.code == 1
    assert "v2 passes 20 points fewer" in done.err
    assert versions(cli) == ("v1", None)
    ok(cli("promote", "greet@HEAD", "--yes", "--force", "--reason", "it is a fix"))
    assert versions(cli) == ("v2", None)


def test_rollback_ends_a_canary_or_goes_back(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    done = ok(cli("rollback", "greet"))
    assert "canary v2 50% → 0%" in done.out
    assert "v1 serves all calls of greet:production" in done.out
    ok(cli("promote", "greet@HEAD", "--yes"))
    assert versions(cli) == ("v2", None)
    assert told(cli, "rollback", "greet:production", "--reason", "rude")["taken"] == "v2"
    assert versions(cli) == ("v1", None)
    assert "Promptops-Reason: rude" in repo.git("log", "-1", "--format=%B", "promptops-state")
    done = cli("rollback", "greet")
    assert (done.code, "no version to go back to" in done.err) == (4, True)


def test_rollback_to_a_version(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("promote", "greet@HEAD", "--yes"))
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute {{", "Hail {{"))
    repo.commit("Hail people")
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("rollback", "greet", "--to", "v1"))
    assert versions(cli) == ("v1", None)
    ok(cli("rollback", "greet", "--to", "HEAD~1"))
    assert versions(cli) == ("v2", None)
    assert "no version v9" in cli("rollback", "greet", "--to", "v9").err


def test_rollback_of_what_is_not_released(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    done = cli("rollback", "greet")
    assert (done.code, "greet has no release on production" in done.err) == (4, True)


def test_rollback_takes_less_than_a_second(
    cli: Cli, repo: Repo, process: Callable[..., CompletedProcess[str]]
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    before = getrusage(RUSAGE_CHILDREN)
    done = process(["rollback", "greet"])
    after = getrusage(RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1  # whatever runs beside it


@pytest.fixture
def remote(repo: Repo, tmp_path: Path) -> Path:
    two_versions(repo)
    return a_remote(repo, tmp_path / "origin.git")


def test_without_the_remote_rollback_works_and_promotion_refuses(
    cli: Cli, repo: Repo, remote: Path, tmp_path: Path
) -> None:
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    gone = tmp_path / "away.git"
    shutil.move(remote, gone)
    done = cli("promote", "greet", "--force", "--reason", "hurry")
    assert done.code == 5
    assert "cannot be reached" in done.err
    assert versions(cli) == ("v1", "v2")
    done = cli("rollback", "greet")
    assert done.code == 5
    assert (
        "rolled back on this machine only; others still serve v2; retry: promptops release sync" in done.err
    )
    assert versions(cli) == ("v1", None)
    assert "not pushed" in cli("status", "greet", "--json").out
    shutil.move(gone, remote)
    ok(cli("release", "sync"))
    there = repo.git("ls-remote", "origin", "promptops-state").split()[0]
    assert there == repo.git("rev-parse", "promptops-state")
    assert cli("rollback", "greet").code == 4


def test_local_goes_on_without_the_remote(cli: Cli, repo: Repo, remote: Path) -> None:
    done = ok(cli("promote", "greet@HEAD~1", "--yes", "--local"))
    assert "this machine only" in done.err
    assert repo.git("ls-remote", "origin", "promptops-state") == ""
    ok(cli("release", "sync"))
    assert subjects(repo) == ["release(greet): production v1"]
    assert json.loads(cli("release", "sync", "--json").out)["replayed"] == []

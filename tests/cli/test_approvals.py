"""Steps of a plan, and the people that they wait for: nobody goes past them unseen."""

import json
import os
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.greet_releases import channel, go_live, ok, told, versions

PLANS = """\
channels: {production: {plan: strict}}
plans:
  quick: {unit: session}
  strict:
    eval: null
    quality: optional
    unit: session
    steps: [{weight: 5}, {approval: manual}, {weight: 50}]
"""


def guarded(cli: Cli, repo: Repo, approval: str = "") -> None:
    """``greet@HEAD~1`` serves production, by a plan with a step for a person."""
    repo.write("promptops.yaml", PLANS + (f"    approval: {approval}\n" if approval else ""))
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--yes"))


def last(cli: Cli) -> Any:
    return told(cli, "release", "log", "greet")[0]


def as_somebody(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", name.title())
        monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{name}@example.org")


def in_ci(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In a job of a service that names who started it, and no address."""
    for part in ("NAME", "EMAIL"):
        monkeypatch.delenv(f"GIT_AUTHOR_{part}")
    monkeypatch.setenv("CIRCLECI", "true")
    monkeypatch.setenv("CIRCLE_USERNAME", name)


@pytest.fixture
def awaiting(cli: Cli, repo: Repo) -> Repo:
    guarded(cli, repo)
    ok(cli("tick", "greet"))
    assert channel(cli)["rollout"]["phase"] == "awaiting"
    return repo


@pytest.mark.parametrize("ticks", [0, 1])
@pytest.mark.parametrize("reference", ["greet", "greet@HEAD", "greet@v2"])
def test_a_canary_before_its_last_step_is_not_promoted(
    cli: Cli, repo: Repo, ticks: int, reference: str
) -> None:
    guarded(cli, repo)
    for _ in range(ticks):
        ok(cli("tick", "greet"))
    done = cli("promote", reference, "--yes")
    assert done.code == 4
    assert "would skip step 2 (approval), step 3 (50%)" in done.err
    assert versions(cli) == ("v1", "v2")


def test_by_force_it_is_promoted_and_the_steps_stand_in_the_log(cli: Cli, awaiting: Repo) -> None:
    assert cli("promote", "greet", "--force").code != 0
    ok(cli("promote", "greet", "--force", "--reason", "a fix"))
    done = last(cli)
    assert (done["move"], done["forced"]) == ("promote", True)
    assert done["skipped"] == ["step 2 (approval)", "step 3 (50%)"]
    assert done["authors"] == ["Ada <ada@example.org>"]
    message = awaiting.git("log", "-1", "--format=%B", "promptops-state")
    assert "Promptops-Skipped: step 2 (approval), step 3 (50%)" in message
    ok(cli("release", "verify"))


def test_a_paused_canary_that_waited_for_a_person_still_does(cli: Cli, awaiting: Repo) -> None:
    ok(cli("release", "approve", "greet"))
    assert channel(cli)["rollout"]["step"] == 2
    ok(cli("release", "pause", "greet"))
    assert "would skip" not in cli("promote", "greet").err


@pytest.mark.parametrize("more", [(), ("--plan", "direct")])
def test_a_version_goes_past_the_plan_only_when_somebody_says_so(
    cli: Cli, repo: Repo, more: tuple[str, ...]
) -> None:
    guarded(cli, repo)
    ok(cli("rollback", "greet", "--reason", "rude answers"))
    done = cli("promote", "greet@HEAD", *more)
    assert done.code == 2
    assert "skips step 1 (5%), step 2 (approval), step 3 (50%)" in done.err
    assert "rolled back" in done.err
    assert "Ada <ada@example.org>: rude answers" in done.err
    assert versions(cli) == ("v1", None)
    ok(cli("promote", "greet@HEAD", *more, "--yes"))
    done = last(cli)
    assert (done["move"], done["forced"], len(done["skipped"])) == ("release", True, 3)
    ok(cli("release", "verify"))


def test_a_canary_by_another_plan_goes_past_an_approval_only_when_somebody_says_so(
    cli: Cli, repo: Repo
) -> None:
    guarded(cli, repo)
    ok(cli("rollback", "greet"))
    done = cli("canary", "greet@HEAD", "--plan", "quick")
    assert (done.code, "step 2 (approval)" in done.err) == (2, True)
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))
    assert (last(cli)["forced"], last(cli)["skipped"]) == (True, ["step 2 (approval)"])


def test_on_a_terminal_somebody_is_asked(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded(cli, repo)
    ok(cli("rollback", "greet"))
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        for answer, stable in ((b"no\n", "v1"), (b"y\n", "v2")):
            os.write(keyboard, answer)
            done = cli("promote", "greet@HEAD")
            assert "serve greet@HEAD to everybody on greet:production?" in done.err
            assert versions(cli) == (stable, None)
    os.close(keyboard)


@pytest.mark.parametrize("to", ["v2", "HEAD", "greet@HEAD"])
@pytest.mark.parametrize("ended", [False, True])
def test_a_rollback_leads_only_to_what_has_served_everybody(
    cli: Cli, awaiting: Repo, to: str, ended: bool
) -> None:
    if ended:
        ok(cli("rollback", "greet"))
    done = cli("rollback", "greet", "--to", to)
    assert (done.code, "has never served everybody on production" in done.err) == (4, True)
    assert versions(cli)[0] == "v1"


@pytest.mark.parametrize("approvers", ["[bob@example.org]", "['@EXAMPLE.com', Bob@example.org]"])
def test_only_those_approve_whom_the_plan_names(
    cli: Cli, repo: Repo, approvers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded(cli, repo, f"{{approvers: {approvers}}}")
    ok(cli("tick", "greet"))
    done = cli("release", "approve", "greet")
    assert (done.code, "Ada <ada@example.org> may not approve" in done.err) == (4, True)
    in_ci(monkeypatch, "bob@example.org")
    assert "bob@example.org may not approve" in cli("release", "approve", "greet").err
    as_somebody(monkeypatch, "bob")
    ok(cli("release", "approve", "greet"))
    assert (last(cli)["actor"], last(cli)["authors"]) == (
        "Bob <bob@example.org>",
        ["Ada <ada@example.org>"],
    )


def test_nobody_approves_a_change_of_their_own(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded(cli, repo, "{own_change: refuse}")
    ok(cli("tick", "greet"))
    assert "a change of their own" in cli("release", "approve", "greet").err
    in_ci(monkeypatch, "bob@example.org")
    assert "the address of bob@example.org is not known" in cli("release", "approve", "greet").err
    as_somebody(monkeypatch, "bob")
    ok(cli("release", "approve", "greet"))


def test_a_co_author_is_an_author(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("promptops.yaml", PLANS + "    approval: {own_change: refuse}\n")
    go_live(cli, repo)
    repo.git("commit", "-q", "--amend", "-m", "Salute\n\nCo-authored-by: Bob <BOB@example.org>")
    ok(cli("canary", "greet@HEAD", "--yes"))
    ok(cli("tick", "greet"))
    as_somebody(monkeypatch, "bob")
    assert cli("release", "approve", "greet").code == 4
    as_somebody(monkeypatch, "eve")
    ok(cli("release", "approve", "greet"))
    assert json.loads(cli("release", "log", "greet", "--json").out)[0]["authors"] == [
        "Ada <ada@example.org>",
        "Bob <BOB@example.org>",
    ]

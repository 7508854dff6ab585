"""Moves by hand: one commit each, and what was known of the canary is kept with it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from promptops.config.settings import current_settings
from promptops.registry import RegistryDatabase
from promptops.release.actions.wait import WaitOutcome, wait
from promptops.release.context import open_release_context, parse_target
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, SALUTE, a_remote, go_live, ok, subjects, told, versions
from support.provider import Provider


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    return repo


@pytest.fixture
def looked_at(cli: Cli, live: Repo, provider: Provider) -> Repo:
    """A canary that has met a few calls, which a tick has scored."""
    ok(cli("canary", "greet@HEAD", *QUICK))
    lines = "".join(json.dumps({"inputs": {"name": f"Ada {i}"}}) + "\n" for i in range(12))
    words = (str(live.write("calls.jsonl", lines)), "--out", str(live.path / "out.jsonl"))
    ok(cli("batch", "greet:production", *words))
    ok(cli("tick"))
    return live


def a_third_version(repo: Repo) -> None:
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute {{", "Hail {{"))
    repo.commit("Hail people")


def trailer(repo: Repo, key: str) -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key=Promptops-{key},valueonly)", "promptops-state")


@pytest.mark.parametrize(
    "words",
    [
        ("rollback", "greet"),
        ("rollback", "greet", "--to", "v1"),
        ("release", "abort", "greet"),
        ("release", "pause", "greet"),
        ("promote", "greet", "--force", "--reason", "hurry"),
        ("canary", "greet@HEAD", "--supersede", *QUICK),
    ],
)
def test_what_was_known_is_committed_and_verifies(cli: Cli, looked_at: Repo, words: tuple[str, ...]) -> None:
    rollout = told(cli, "release", "show", "greet")["rollout"]["id"]
    a_third_version(looked_at)
    before = len(subjects(looked_at))
    ok(cli(*words))
    assert len(subjects(looked_at)) == before + 1
    assert trailer(looked_at, "Evidence").startswith(f"evidence/{rollout}/")
    verified = told(cli, "release", "verify")
    assert [each["mismatches"] for each in verified] == [[]]
    with RegistryDatabase.open(looked_at.registry) as registry, registry.write() as connection:
        connection.execute("UPDATE observations SET loss = 1.0 WHERE metric = 'error_rate'")
    assert cli("release", "verify").code == 1


def test_nothing_is_kept_of_what_nobody_has_looked_at(cli: Cli, live: Repo) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("rollback", "greet"))
    assert trailer(live, "Evidence") == ""
    assert told(cli, "release", "verify") == []


def test_what_cannot_be_read_keeps_no_rollback_from_its_work(cli: Cli, looked_at: Repo) -> None:
    with RegistryDatabase.open(looked_at.registry) as registry, registry.write() as connection:
        connection.execute("UPDATE eprocesses SET state = '[' WHERE name = 'summary'")
    ok(cli("rollback", "greet"))
    assert versions(cli) == ("v1", None)


def test_going_back_to_a_version_ends_the_canary_in_the_same_commit(cli: Cli, live: Repo) -> None:
    ok(cli("promote", "greet@HEAD", "--yes"))
    a_third_version(live)
    ok(cli("canary", "greet@HEAD", *QUICK))
    before = len(subjects(live))
    assert told(cli, "rollback", "greet", "--to", "v1")["taken"] == "v2"
    assert versions(cli) == ("v1", None)
    assert subjects(live)[: len(subjects(live)) - before] == [
        "release(greet): production v2 → v1, canary v3 50% → 0%, rolled back"
    ]


def test_going_back_to_what_is_stable_ends_the_canary(cli: Cli, live: Repo) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert told(cli, "rollback", "greet", "--to", "v1")["taken"] == "v2"
    assert versions(cli) == ("v1", None)


@pytest.mark.parametrize("meanwhile", ["promote", "abort", "nothing"])
def test_going_back_offline_holds_whatever_others_did(
    cli: Cli, live: Repo, tmp_path: Path, process: Callable[..., CompletedProcess[str]], meanwhile: str
) -> None:
    ok(cli("promote", "greet@HEAD", "--yes"))
    a_third_version(live)
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("canary", "greet@HEAD", *QUICK))
    clone = tmp_path / "clone"
    live.git("clone", "-q", str(origin), str(clone))
    origin.rename(tmp_path / "away.git")
    assert cli("rollback", "greet", "--to", "v1").code == 5
    (tmp_path / "away.git").rename(origin)
    words = {
        "promote": ["promote", "greet", "--force", "--reason", "hurry"],
        "abort": ["release", "abort", "greet"],
        "nothing": ["status"],
    }[meanwhile]
    assert process(words, cwd=clone).returncode == 0
    ok(cli("release", "sync"))
    assert versions(cli) == ("v1", None)
    assert live.git("rev-parse", "promptops-state") == live.git("rev-parse", "origin/promptops-state")


def test_superseding_is_proposed_as_one_commit_and_fails_whole(cli: Cli, live: Repo, tmp_path: Path) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("canary", "greet@HEAD", *QUICK))
    a_third_version(live)
    live.git("push", "-q", "origin", "main")
    again = ("canary", "greet@HEAD", *QUICK, "--supersede")
    ok(cli(*again, "--propose", "try"))
    assert versions(cli) == ("v1", "v2")
    origin.rename(tmp_path / "away.git")
    assert cli(*again).code == 5
    assert versions(cli) == ("v1", "v2")
    (tmp_path / "away.git").rename(origin)
    ok(cli(*again))
    assert versions(cli) == ("v1", "v3")


def test_waiting_looks_here_often_and_at_the_remote_seldom(
    cli: Cli, live: Repo, tmp_path: Path, process: Callable[..., CompletedProcess[str]]
) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("canary", "greet@HEAD", *QUICK))
    clone = tmp_path / "clone"
    live.git("clone", "-q", str(origin), str(clone))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if not slept:
            assert process(["release", "abort", "greet"], cwd=clone).returncode == 0
        slept.append(seconds)

    settings = current_settings()
    with open_release_context(settings, now=0.0) as context:
        target = parse_target("greet", settings)
        ended, _ = wait(context, target, 60.0, clock=lambda: sum(slept), sleep=sleep)
    assert ended is WaitOutcome.ENDED
    assert slept == [2.0] * 8


@pytest.fixture
def two_canaries(cli: Cli, looked_at: Repo) -> Repo:
    looked_at.write("prompts/part.yaml", SALUTE)
    looked_at.commit("Part")
    looked_at.write("prompts/part.yaml", SALUTE.replace("Salute", "Leave"))
    looked_at.commit("Leave")
    ok(cli("promote", "part@HEAD~1", "--yes"))
    ok(cli("canary", "part@HEAD", *QUICK))
    return looked_at


def test_a_reader_that_has_gone_leaves_every_canary_looked_at(two_canaries: Repo) -> None:
    path = two_canaries.registry
    with RegistryDatabase.open(path) as registry, registry.write() as connection:
        connection.execute("DELETE FROM eprocesses")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "tick", "--all"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
    with RegistryDatabase.open(path) as registry:
        assert registry.read_one("SELECT count(*) FROM eprocesses WHERE name = 'summary'") == 2


@pytest.mark.sqlite  # elsewhere no column of texts takes bytes
def test_a_bug_that_one_canary_meets_leaves_the_others_looked_at(cli: Cli, two_canaries: Repo) -> None:
    looked_at = two_canaries
    with RegistryDatabase.open(looked_at.registry) as registry, registry.write() as connection:
        connection.execute("UPDATE runs SET started_at = X'00' WHERE rollout IS NOT NULL")
    done = cli("tick", "--all")
    said = [json.loads(line) for line in done.out.splitlines()]
    assert {each["prompt"]: each["code"] for each in said} == {"greet": 70, "part": 0}
    assert done.code == 70
    assert "Traceback" in done.err


def test_what_was_superseded_elsewhere_is_not_moved_on(
    cli: Cli, live: Repo, tmp_path: Path, process: Callable[..., CompletedProcess[str]]
) -> None:
    origin = a_remote(live, tmp_path / "origin.git")
    ok(cli("canary", "greet@HEAD", *QUICK))
    a_third_version(live)
    live.git("push", "-q", "origin", "main")
    clone = tmp_path / "clone"
    live.git("clone", "-q", str(origin), str(clone))
    ok(cli("release", "pause", "greet", "--local"))
    done = process(["canary", "greet@HEAD", *QUICK, "--supersede"], cwd=clone)
    assert done.returncode == 0, done.stderr
    assert "that rollout was rolled back meanwhile" in ok(cli("release", "sync")).out
    assert versions(cli) == ("v1", "v3")

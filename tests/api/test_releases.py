"""A workspace and what is live: canaries, moved refs, no process per call."""

import time
from pathlib import Path

import pytest

from promptops import Workspace
from promptops.errors import Invalid, NotFound
from promptops.providers.types import ModelError
from support.front_door import GREET, Repo
from support.git_repositories import GitFolder
from support.provider import Answer, Provider, Received, echo, status
from support.release_states import STATE, released, write_state
from support.started_processes import STARTED
from support.workspace_clients import until, works


@pytest.fixture
def live(greeting: Repo) -> Repo:
    """``greet`` with v1 live on production and v2 tried on half of the sessions."""
    greeting.write("prompts/greet.yaml", GREET.replace("Greet {{", "Welcome {{"))
    greeting.commit("Welcome people")
    folder = GitFolder(greeting.path)
    stable, canary = released(folder, "greet", "HEAD~1", "v1"), released(folder, "greet", "HEAD", "v2")
    write_state(folder, "greet", stable, canary)
    return greeting


def test_a_unit_stays_with_one_version(live: Repo, provider: Provider) -> None:
    with Workspace.open(live.path) as workspace:
        units = [f"user {number}" for number in range(40)]
        first = {unit: workspace.run("greet:production", {"name": "Ada"}, unit=unit) for unit in units}
        again = {unit: workspace.prepare("greet:production", {"name": "Ada"}, unit=unit) for unit in units}
    arms = {unit: run.started.arm for unit, run in first.items()}
    assert set(arms.values()) == {"stable", "canary"}
    assert arms == {unit: call.arm for unit, call in again.items()}
    assert {(run.started.arm, run.answer) for run in first.values()} == {
        ("stable", "Greet Ada."),
        ("canary", "Welcome Ada."),
    }
    assert {call.version for call in again.values()} == {"v1", "v2"}


def test_calls_start_no_process(live: Repo, provider: Provider) -> None:
    def call_all(workspace: Workspace, units: range) -> None:
        for reference in ("greet:production", "greet", "greet@HEAD", "greet@v2", "greet@INDEX"):
            for unit in units:
                workspace.run(reference, {"name": "Ada"}, unit=str(unit))

    with Workspace.open(live.path) as workspace:
        call_all(workspace, range(1))
        before = len(STARTED)
        call_all(workspace, range(10))
        time.sleep(1.2)  # the next look at the refs
        call_all(workspace, range(1))
        assert STARTED[before:] == []


def test_a_release_that_has_arrived_is_served_within_five_seconds(live: Repo, provider: Provider) -> None:
    with Workspace.open(live.path) as workspace:
        assert workspace.run("greet:production", {"name": "Ada"}, unit="b").started.rollout == "r-1"
        folder = GitFolder(live.path)
        write_state(folder, "greet", released(folder, "greet", "HEAD", "v2"))
        began = time.monotonic()
        until(lambda: workspace.run("greet:production", {"name": "Ada"}).answer == "Welcome Ada.")
        assert time.monotonic() - began < 5


def test_a_release_state_that_cannot_be_read_changes_nothing(
    live: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with Workspace.open(live.path) as workspace:
        before = workspace.run("greet:production", {"name": "Ada"}, unit="b")
        broken = {"releases/greet.yaml": "prompt: another\n"}
        GitFolder(live.path).branch_from_files(STATE, broken)
        until(lambda: "does not continue" in caplog.text)
        after = workspace.run("greet:production", {"name": "Ada"}, unit="b")
    assert after.started.digest == before.started.digest


def test_a_canary_that_cannot_be_sent_is_stables_to_answer_and_still_its_failure(
    greeting: Repo, provider: Provider
) -> None:
    greeting.write("prompts/greet.yaml", GREET.replace("  name: string", "  name: string\n  mood: string"))
    greeting.commit("Ask for a mood")
    folder = GitFolder(greeting.path)
    stable, canary = released(folder, "greet", "HEAD~1", "v1"), released(folder, "greet", "HEAD", "v2")
    write_state(folder, "greet", stable, canary, unit="call", weight_bp=9999)
    with Workspace.open(greeting.path) as workspace:
        call = workspace.prepare("greet:production", {"name": "Ada"})
        assert (call.arm, call.version, call.messages[-1]["content"]) == ("canary", "v1", "Greet Ada.")
        run = workspace.run("greet:production", {"name": "Ada"})
        assert (run.answer, run.started.arm, run.started.fallback) == (
            "Greet Ada.",
            "canary",
            "inputs refused",
        )
        with pytest.raises(Invalid, match="missing"):
            workspace.run("greet:production")


def test_a_canary_that_fails_call_after_call_is_taken_out_of_service(
    live: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_welcomes(request: Received) -> Answer:
        return status(400) if b"Welcome" in request.raw else echo(request)

    provider.script = fail_welcomes
    with Workspace.open(live.path) as workspace:
        failures = 0
        for number in range(60):
            try:
                workspace.run("greet:production", {"name": "Ada"}, unit=f"user {number}")
            except ModelError:
                failures += 1
    assert 5 <= failures <= 9  # a look at the breaker holds for a fifth of a second
    assert "out of service here" in caplog.text


def test_what_others_release_arrives_by_itself(
    greeting: Repo, provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    greeting.git("clone", "-q", "--bare", ".", str(tmp_path / "shared.git"))
    greeting.git("remote", "add", "origin", str(tmp_path / "shared.git"))
    host = GitFolder(greeting.path).clone(tmp_path / "host")
    host.git("remote", "set-url", "origin", str(tmp_path / "shared.git"))
    with Workspace.open(host.path, sync_every=0.5) as workspace:
        with pytest.raises(NotFound, match="released"):
            workspace.run("greet:production", {"name": "Ada"})
        folder = GitFolder(greeting.path)
        write_state(folder, "greet", released(folder, "greet", "HEAD", "v1"))
        greeting.git("push", "-q", "origin", STATE)
        until(lambda: works(workspace, "greet:production"))
        (tmp_path / "shared.git").rename(tmp_path / "away.git")
        until(lambda: "shared.git" in caplog.text)
        caplog.clear()
        time.sleep(1.2)
        assert caplog.text == ""  # once
        assert works(workspace, "greet:production")


def test_a_file_that_was_edited_and_a_branch_that_moved_are_followed(
    greeting: Repo, provider: Provider
) -> None:
    with Workspace.open(greeting.path) as workspace:
        assert workspace.run("greet", {"name": "Ada"}).started.dirty is False
        greeting.write("prompts/greet.yaml", GREET.replace("Greet {{", "Welcome {{"))
        run = workspace.run("greet", {"name": "Ada"})
        assert (run.answer, run.started.dirty) == ("Welcome Ada.", True)
        assert workspace.run("greet@main", {"name": "Ada"}).answer == "Greet Ada."
        greeting.commit("Welcome people")
        until(lambda: workspace.run("greet@main", {"name": "Ada"}).answer == "Welcome Ada.")
        until(lambda: not workspace.run("greet", {"name": "Ada"}).started.dirty)

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from promptops.api import Workspace
from support.front_door import Cli, Repo
from support.provider import Provider


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/promptops/last-runs"


def run_id(cli: Cli, *arguments: str) -> str:
    done = cli("run", "greet", "-i", "name=Ada", "--json", *arguments)
    found: str = json.loads(done.out)["run_id"]
    return found


def run_in_a_terminal(repo: Repo) -> None:
    """In a session of its own, as a terminal's shell is."""
    command = [sys.executable, "-m", "promptops", "run", "greet", "-i", "name=Terminal"]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(repo.path)
        os.execv(sys.executable, command)  # noqa: S606 - a shell would only be in the way
    try:
        while os.read(terminal, 1000):
            pass
    except OSError:  # the terminal closes with its program
        pass
    assert os.waitpid(child, 0)[1] == 0


def test_last_is_the_run_that_one_has_just_made(
    cli: Cli, greeting: Repo, provider: Provider, state: Path
) -> None:
    first, last = run_id(cli), run_id(cli)
    shown = cli("runs", "show", "last", "--json")
    assert json.loads(shown.out)["run_id"] == last != first
    assert shown.err == f"last is run {last}\n"
    assert cli("feedback", "last", "up").out == "1 outcome logged\n"
    assert json.loads(cli("runs", "show", last, "--json").out)["outcomes"][0]["name"] == "thumbs"
    assert cli("cases", "add", "greet", "--run", "last").code == 0
    assert cli("runs", "replay", "last").code == 0
    assert cli("runs", "show", "last").err == f"last is run {last}\n"  # a replay is not a run of one's own


def test_a_run_that_is_finished_by_hand_is_ones_own_too(
    cli: Cli, greeting: Repo, provider: Provider, state: Path, tmp_path: Path
) -> None:
    run_id(cli)
    prepared = json.loads(cli("run", "greet", "-i", "name=Ada", "--prepare").out)["run_id"]
    (tmp_path / "end.json").write_text('{"output": "Hello."}')
    done = cli("runs", "finish", "last", "--from", str(tmp_path / "end.json"))
    assert (done.code, done.err) == (0, f"last is run {prepared}\n")


def test_what_somebody_else_has_caught_is_one_short_line_without_keys(
    cli: Cli, greeting: Repo, provider: Provider, tmp_path: Path
) -> None:
    prepared = json.loads(cli("run", "greet", "-i", "name=Ada", "--prepare").out)["run_id"]
    message = "401\nAuthorization: Bearer sk-swordfish-1 " + "x" * 1_000_000
    end = {"error": {"type": "x" * 1_000_000, "message": message}}
    (tmp_path / "end.json").write_text(json.dumps(end))
    assert cli("runs", "finish", prepared, "--from", str(tmp_path / "end.json")).code == 0
    shown = json.loads(cli("runs", "show", prepared, "--json").out)
    assert shown["error"]["message"].startswith("401 Authorization: Bearer *** x")
    assert shown["error"]["type"] == "call_failed"
    assert len(json.dumps(shown["error"])) < 1_000


def test_what_an_application_a_batch_or_nobody_logged_is_not_ones_own(
    cli: Cli, greeting: Repo, provider: Provider, state: Path
) -> None:
    own = run_id(cli)
    with Workspace.open(greeting.path) as workspace:
        workspace.run("greet", {"name": "Bo"})
    greeting.write("in.jsonl", '{"inputs": {"name": "Cy"}}\n')
    assert cli("batch", "greet", "in.jsonl").code == 0
    assert cli("run", "greet", "-i", "name=Di", "--no-log").code == 0
    assert json.loads(cli("runs", "show", "last", "--json").out)["run_id"] == own


def test_another_registry_has_a_last_run_of_its_own(
    cli: Cli, greeting: Repo, provider: Provider, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id(cli)
    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(greeting.path / "other.db"))
    done = cli("feedback", "last", "up")
    assert (done.code, done.out) == (4, "")
    assert "there is no last run" in done.err


def test_a_run_of_another_session_counts_only_between_terminals(
    cli: Cli, greeting: Repo, provider: Provider, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = run_id(cli)
    run_in_a_terminal(greeting)
    assert json.loads(cli("runs", "show", "last", "--json").out)["run_id"] == own
    monkeypatch.setattr("os.isatty", lambda _: True)  # as if this were a terminal
    in_terminal = json.loads(cli("runs", "show", "last", "--json").out)
    assert in_terminal["inputs"] == {"name": "Terminal"}


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"run_id": 1}', "null"])
def test_a_damaged_note_is_none(
    damage: str, cli: Cli, greeting: Repo, provider: Provider, state: Path
) -> None:
    run_id(cli)
    (note,) = state.iterdir()
    note.write_text(damage)
    assert cli("runs", "show", "last").code == 4
    last = run_id(cli)
    assert cli("runs", "show", "last").err == f"last is run {last}\n"


def test_a_state_folder_that_cannot_be_written_costs_no_run(
    cli: Cli, greeting: Repo, provider: Provider, state: Path
) -> None:
    state.parent.parent.write_text("in the way")
    assert cli("run", "greet", "-i", "name=Ada").out == "Greet Ada.\n"
    assert cli("runs", "show", "last").code == 4


def test_notes_are_bounded(cli: Cli, greeting: Repo, provider: Provider, state: Path) -> None:
    for _ in range(22):
        run_id(cli)
    (note,) = state.iterdir()
    notes: list[Any] = json.loads(note.read_text())
    assert len(notes) == 20

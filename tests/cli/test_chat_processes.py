"""Chats as processes: one that is killed, and two at once."""

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.logged_rows import open_log
from support.provider import Answer, Provider, Received, slow, text

CHAT = [sys.executable, "-m", "promptops", "chat", "greet"]


def logged(repo: Repo) -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM runs JOIN run_texts USING (seq) ORDER BY seq").fetchall()
    return [{**row, "metadata": json.loads(row["metadata"])} for row in rows]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_chat_that_is_killed_loses_no_answered_turn(
    greeting: Repo, provider: Provider, process: Any, cli: Cli
) -> None:
    def script(request: Received) -> Answer:
        said = request.body["messages"][-1]["content"]
        return slow(2, text("late")) if said == "slow" else text("answered")

    provider.script = script
    with ForkedPopen(CHAT, cwd=greeting.path, stdin=-1, stdout=-1, stderr=-1) as chat:
        chat.stdin.write(b"Ada\nslow\n")  # type: ignore[union-attr]
        chat.stdin.flush()  # type: ignore[union-attr]
        while len(provider.requests) < 2:
            time.sleep(0.02)
        chat.kill()
    runs = logged(greeting)
    assert [(run["state"], run["output"]) for run in runs] == [("finished", "answered"), ("started", None)]
    done = process(["chat", "greet", "--run", runs[1]["run_id"]], cwd=greeting.path, input="again\n")
    assert (done.returncode, "has not been answered" in done.stderr) == (4, True)
    assert cli("last").code == 1
    done = process(["chat", "greet", "-c"], cwd=greeting.path, input="again\n")
    assert done.stdout == "answered\n", done.stderr
    assert f"run {runs[1]['run_id']} was not answered; going on from run {runs[0]['run_id']}" in done.stderr


def test_two_chats_at_once_stay_apart(greeting: Repo, provider: Provider) -> None:
    said = {name: f"{name}\n{name} two\n{name} three\n" for name in ("Ada", "Bob")}
    chats = {
        name: ForkedPopen(CHAT, cwd=greeting.path, stdin=-1, stdout=-1, stderr=-1, text=True) for name in said
    }
    for name, chat in chats.items():
        chat.stdin.write(said[name])
        chat.stdin.close()
        chat.stdin = None
    for name, chat in chats.items():
        out, err = chat.communicate(timeout=60)
        assert out == f"Greet {name}.\n{name} two\n{name} three\n", err
    runs = logged(greeting)
    assert len(runs) == 6
    assert len({run["metadata"]["session"] for run in runs}) == 2
    for run in runs:
        assert [each in run["inputs"] for each in said].count(True) == 1

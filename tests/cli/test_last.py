"""``promptops last``: one's own last answers, and the line below an answer on a terminal."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptops.cli.run_summary import fitting
from support.front_door import Cli, Repo
from support.greet_releases import ok
from support.logged_rows import open_log
from support.provider import Provider, status, text


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_last_prints_ones_own_last_answer(cli: Cli, greeting: Repo, provider: Provider) -> None:
    assert (cli("last").code, "there is no last run" in cli("last", "--id").err) == (4, True)
    ids = [
        json.loads(ok(cli("run", "greet", "-i", f"name={name}", "--json")).out)["run_id"]
        for name in ("Ada", "Bob")
    ]
    done = cli("last")
    assert (done.code, done.out, done.err) == (0, "Greet Bob.\n", "")
    assert cli("last", "--id").out == f"{ids[1]}\n"
    assert cli("last", "--id", "-n", "5").out == "".join(f"{each}\n" for each in ids)
    both = cli("last", "-n", "2")
    assert both.out == "Greet Ada.\nGreet Bob.\n"
    assert [line.split()[0] for line in both.err.splitlines()] == ids
    shown = json.loads(cli("runs", "show", "last", "--json").out)
    assert json.loads(cli("last", "--json").out) == {
        key: value for key, value in shown.items() if not key.startswith("messages") or key == "messages_hash"
    }
    assert [each["run_id"] for each in json.loads(cli("last", "--json", "-n", "9").out)] == ids
    assert cli("feedback", cli("last", "--id").out.strip(), "up").code == 0


def test_last_says_why_there_is_no_answer(cli: Cli, greeting: Repo, provider: Provider) -> None:
    ok(cli("run", "greet", "-i", "name=Ada"))

    def last(sql: str) -> str:
        with open_log(greeting.path) as connection:
            connection.execute(sql)
        done = cli("last")
        assert (done.code, done.out) == (1, "")
        return done.err

    assert "is held: waiting" in last("INSERT INTO held_runs (run_seq) VALUES (1)")
    assert "is held: rejected" in last("UPDATE held_runs SET decision = 'rejected'")
    with open_log(greeting.path) as connection:
        connection.execute("DELETE FROM held_runs")
    assert "has no answer in the log" in last("UPDATE run_texts SET output = NULL")
    assert "has not ended" in last("UPDATE runs SET state = 'started'")
    provider.script = status(400, "no such thing")
    cli("run", "greet", "-i", "name=Ada")
    assert "failed: " in last("SELECT 1")


@contextmanager
def terminal_as_stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        yield keyboard
        monkeypatch.undo()
    os.close(keyboard)


def test_below_an_answer_stands_which_run_it_was(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = {"prompt_tokens": 1012, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1000}}
    provider.script = text("Hello Ada", usage=usage)
    run = ("run", "greet", "-i", "name=Ada")
    assert cli(*run).err == ""

    def said(*arguments: str) -> str:
        with pytest.MonkeyPatch.context() as patch, terminal_as_stderr(patch) as keyboard:
            done = cli(*run, *arguments)
            assert done.out.startswith(("Hello Ada\n", "{"))
            os.set_blocking(keyboard, False)
            try:
                return os.read(keyboard, 4000).decode()
            except BlockingIOError:
                return ""

    line = re.compile(r"[0-9A-Z]{26}, \d+ ms, 0\.00008 USD, 1,012 \+ 3 tokens, 1,000 cached")
    monkeypatch.setenv("TERM", "xterm")
    plain = said()
    assert plain.startswith("\x1b[2m")
    assert plain.endswith("\x1b[0m\r\n")
    assert line.fullmatch(plain.strip()[4:-4])
    assert said("--quiet") == said("--json") == ""
    monkeypatch.setenv("NO_COLOR", "1")
    assert line.fullmatch(said().strip())
    assert said("--no-log").startswith("not logged, ")
    monkeypatch.setenv("TERM", "dumb")
    assert said() == ""


def test_the_line_fits_the_terminal() -> None:
    parts = ["x" * 26, "1,234 ms", "0.00008 USD", "1,234,567 + 8,901 tokens", "1,200,000 cached"]
    assert fitting(parts, 80) == ", ".join(parts[:4])
    assert fitting(parts, 40) == ", ".join(parts[:2])
    assert fitting(parts, 20) == ""

"""Bad surroundings, each with a clear line, the right exit code and nothing lost."""

import json
import os
import pty
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from promptops.display_width import display_width
from support.forked_commands import ForkedPopen, run_forked
from support.front_door import GREET, Cli, Repo
from support.git_repositories import GitFolder
from support.logged_rows import open_log
from support.provider import Provider, make_certificate, text

COMMAND = [sys.executable, "-m", "promptops"]
KILLS = 8


def states(repo: Repo) -> dict[str, int]:
    with open_log(repo.path) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM runs GROUP BY state"))


def test_kills_at_random_moments_lose_no_finished_run(greeting: Repo, provider: Provider) -> None:
    """A loop of runs is killed again and again; what had been answered is in the registry."""
    answered = greeting.path / "answered"
    loop = (
        "import asyncio, os, sys\n"
        "from promptops.runner.session import Session\n"
        "from promptops.config.settings import current_settings\n"
        "from promptops.versions.resolve import resolve_version\n"
        "async def main():\n"
        "    settings = current_settings()\n"
        "    version = resolve_version('greet', settings)\n"
        "    async with Session(settings) as session:\n"
        "        while True:\n"
        "            run = await session.run(version, {'name': 'x'})\n"
        "            with open('answered', 'a') as file:\n"
        "                file.write(run.started.run_id + '\\n')\n"
        "asyncio.run(main())\n"
    )
    rng = random.Random(7)
    for _ in range(KILLS):
        before = answered.stat().st_size if answered.exists() else 0
        child = ForkedPopen([sys.executable, "-c", loop], cwd=greeting.path)
        while not answered.exists() or answered.stat().st_size == before:
            assert child.poll() is None
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        child.kill()
        child.wait()
    with open_log(greeting.path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        logged = dict(connection.execute("SELECT run_id, state FROM runs"))
    finished = answered.read_text(encoding="utf-8").split()
    assert len(finished) >= KILLS
    assert [logged[run_id] for run_id in finished] == ["finished"] * len(finished)
    assert set(logged.values()) <= {"finished", "started"}


def test_two_runs_at_once_are_both_logged(greeting: Repo, provider: Provider) -> None:
    command = [*COMMAND, "run", "greet", "-i", "name=x"]
    children = [ForkedPopen(command, cwd=greeting.path, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [child.wait() for child in children] == [0, 0, 0, 0]
    assert states(greeting) == {"finished": 4}


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_a_certificate_that_nobody_vouches_for(
    cli: Cli, greeting: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Provider(text("hi"), tls=make_certificate(tmp_path)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        done = cli("run", "greet", "-i", "name=x", "--retries", "0")
    assert done.code == 5
    assert "SSL_CERT_FILE" in done.err


def test_a_refused_connection(cli: Cli, greeting: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    done = cli("run", "greet", "-i", "name=x", "--retries", "0")
    assert done.code == 5
    assert len(done.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("damage", "message", "hint"),
    [
        (b"not a database, by no means" * 500, "is not a promptops registry", "registry recover"),
        (None, "newer", "upgrade promptops"),
    ],
)
def test_a_registry_that_cannot_be_used_is_named_with_the_next_step(
    damage: bytes | None, message: str, hint: str, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    file = greeting.path / "registry.db"
    if damage is None:
        cli("run", "greet", "-i", "name=x")
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 99")
        message = "has schema 99"
    else:
        file.write_bytes(damage)
    done = cli("runs", "list")
    assert done.code == 4
    assert message in done.err
    assert hint in done.err


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs a small file system of its own")
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False).returncode:
        pytest.skip("may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)  # busy or not, it goes


def test_a_full_disk_keeps_the_answer_and_says_what_was_not_logged(
    greeting: Repo, provider: Provider, process: Any, tmp_path: Path
) -> None:
    with _small_disk(tmp_path / "small") as small:
        environment = {**os.environ, "PROMPTOPS_REGISTRY": str(small / "registry.db")}
        first = process(["run", "greet", "-i", "name=1"], cwd=greeting.path, env=environment)
        assert first.returncode == 0, first.stderr
        (small / "filler").write_bytes(b"x" * (_free(small) - 160_000))
        provider.script = text("long " * 40_000)
        full = process(["run", "greet", "-i", "name=2"], cwd=greeting.path, env=environment)
        assert (full.returncode, len(full.stdout)) == (0, 200_001), full.stderr
        assert "no space left" in full.stderr
        assert "NOT been logged" in full.stderr
        (small / "filler").unlink()
        listed = process(["runs", "list", "--json"], cwd=greeting.path, env=environment)
        assert json.loads(listed.stdout)[-1]["state"] == "finished"


def test_a_full_disk_is_called_one_whatever_is_written(
    repo: Repo, cli: Cli, provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo.path.mkdir(exist_ok=True)
    with _small_disk(tmp_path / "small") as small:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", str(small / "registry.db"))
        GitFolder(small).git("init", "-q", "-b", "main")
        monkeypatch.chdir(small)
        there = Repo(small)
        there.write("prompts/greet.yaml", GREET)
        there.commit("Greet people")
        assert cli("run", "greet", "-i", "name=1").code == 0
        (small / "filler").write_bytes(b"x" * _free(small))
        for verb in (
            ("registry", "recover"),
            ("registry", "recover", "--swap"),
            ("promote", "greet@HEAD", "--yes"),
            ("release", "init"),
            ("new", "other"),
            ("hooks", "install"),
            ("runs", "list"),
            ("runs", "export", "--out", "runs.jsonl"),
        ):
            done = cli(*verb)
            assert (done.code, "no space left" in done.err, "free some space" in done.err) == (
                5,
                True,
                True,
            ), done
        (small / "filler").unlink()
        assert json.loads(cli("runs", "list", "--json").out)[0]["state"] == "finished"
        monkeypatch.chdir(repo.path)


def test_output_that_goes_to_a_full_disk(greeting: Repo, process: Any) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = run_forked(
            [*COMMAND, "list"], stdout=full, stderr=subprocess.PIPE, encoding="utf-8", check=False
        )
    assert (done.returncode, "no space left" in done.stderr, "Traceback" in done.stderr) == (5, True, False)


def _free(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def test_no_repository_no_commit_and_no_prompt(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("run", "greet").code == 4
    repo.write("prompts/greet.yaml", GREET)
    assert cli("render", "greet", "-i", "name=x").code == 0
    done = cli("render", "greet@HEAD", "-i", "name=x")
    assert done.code == 4
    assert "commit" in done.err
    monkeypatch.chdir(tmp_path)
    assert cli("run", "greet").code == 4


class Terminal:
    """A run in a pseudo-terminal of a given width."""

    def __init__(self, arguments: list[str], folder: Path, columns: int) -> None:
        self.text = ""
        master, slave = pty.openpty()
        environment = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm"}
        self._child = ForkedPopen(
            [*COMMAND, *arguments], cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        reader = threading.Thread(target=self._read, args=(master,))
        reader.start()
        self.code = self._child.wait(30)
        reader.join(5)

    def _read(self, master: int) -> None:
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says so when the other side has closed
                break
            if not data:
                break
            self.text += data.decode()
        os.close(master)


class TestTerminal:
    def test_colours_are_colours(self, greeting: Repo) -> None:
        shown = Terminal(["show", "greet"], greeting.path, 80)
        assert "\x1b[1m── greet.yaml\x1b[0m" in shown.text
        assert "\\x1b" not in shown.text

    def test_text_is_streamed_and_cannot_move_the_cursor(self, greeting: Repo, provider: Provider) -> None:
        provider.script = text("one \x1b]0;owned\x07 two")
        shown = Terminal(["run", "greet", "-q", "-i", "name=x"], greeting.path, 80)
        assert (shown.code, shown.text) == (0, "one \\x1b]0;owned\\x07 two\r\n")
        assert provider.requests[0].streams

    @pytest.mark.parametrize("columns", [40, 80])
    def test_tables_fit_80_columns_and_do_their_best_in_40(
        self, columns: int, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        cli("run", "greet", "-i", "name=x")
        for verb in (["list"], ["history", "greet"], ["runs", "list"], ["runs", "stats"]):
            shown = Terminal(verb, greeting.path, columns)
            widths = [len(line) for line in shown.text.replace("\x1b", "").splitlines()]
            assert shown.code == 0
            assert max(widths) <= 80

    @pytest.mark.slow  # eleven verbs, each in a terminal
    def test_no_table_is_broken_by_long_names_or_wide_characters(
        self, cli: Cli, repo: Repo, provider: Provider
    ) -> None:
        name = f"support/{'long_' * 13}name"
        words = "日本語の長い文 🎉 " * 6
        repo.write("notes", "x")
        repo.commit("Notes")
        greeting = f"{GREET}cases: c.jsonl\n".replace("Greet somebody.", words).replace("door", words)
        for prompt in ("greet", name):
            repo.write(f"prompts/{prompt}.yaml", greeting)
        case = json.dumps(
            {"id": "案件" * 15, "inputs": {"name": words}, "expected": words, "tags": ["札" * 30]}
        )
        repo.write("prompts/c.jsonl", f"{case}\n")
        repo.commit(words)
        provider.script = text(words)
        for prompt in ("greet", name):
            assert cli("run", prompt, "-i", f"name={words}").code == 0
            assert cli("promote", f"{prompt}@HEAD", "--yes", "--reason", words).code == 0
        for verb in (
            "list", "history greet", f"history {name}", "runs list", "runs search 日本語", "runs stats",
            "release log", f"release log {name}", "cases list greet", "hooks status", "diff HEAD~1 --stat",
        ):  # fmt: skip
            shown = Terminal(verb.split(), repo.path, 80)
            lines = [line for line in shown.text.replace(f"{name}@v1 [production]", "").splitlines() if line]
            assert (shown.code, len(lines) > 1) == (0, True), shown.text
            assert max(map(display_width, lines)) <= 80, shown.text

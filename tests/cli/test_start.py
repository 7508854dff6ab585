"""The start of the program: streams that the caller has closed, and Ctrl-C before a verb runs."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.front_door import Cli, Repo

START = [sys.executable, "-m", "promptops"]
INTERRUPTED_IMPORT = """
import os, signal, sys
from promptops.__main__ import start

class Finder:
    def find_spec(name, path=None, target=None):
        if name == "promptops.cli.verbs":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
start()
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_is_as_one_that_nobody_reads(greeting: Repo, closed: str) -> None:
    for words, code in ((["list"], 0), (["show", "nobody"], 4)):
        line = f"{shlex.join([*START, *words])} {closed}"
        done = subprocess.run(
            ["sh", "-c", line], cwd=greeting.path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (code, False), done
        assert ("greet" in done.stdout) == (">&-" not in closed.split() and words == ["list"])


def test_an_interrupt_before_the_verb_ends_without_a_traceback(greeting: Repo) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, "list"]
    done = subprocess.run(command, cwd=greeting.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_folder_whose_name_is_not_utf_8(
    repo: Repo, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/Pr\xf6mpts"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    repo.write("prompts/greet.yaml", "model: local/m\nmessages:\n  - {role: user, content: Hello}\n")
    repo.commit("Greet")
    repo.git("clone", "-q", ".", str(folder / "clone"))
    monkeypatch.chdir(folder / "clone")
    for command in (
        ("history", "greet"),
        ("list",),
        ("promote", "greet@HEAD", "--yes", "--local"),
        ("status",),
    ):
        done = cli(*command)
        assert (done.code, "greet" in done.out) == (0, True), done.err

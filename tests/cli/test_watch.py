"""``run --watch`` and ``render --watch``: the same again after each save."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptops.cli import watching
from support.front_door import GREET, Cli, Finished, Repo
from support.provider import Provider, text

Step = Callable[[], object]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(watching, "_POLL_S", 0.01)
    monkeypatch.setattr(watching, "_SETTLED_S", 0.02)


@pytest.fixture
def watched(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """What a command prints while files are saved, one whenever it waits for that; then Ctrl-C."""
    wait = watching.WatchedFiles.wait

    def run(steps: list[Step], *arguments: str) -> Finished:
        left = iter(steps)

        def play(files: watching.WatchedFiles) -> str:
            step = next(left, None)
            if step is None:
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            else:
                step()
            return wait(files)

        monkeypatch.setattr(watching.WatchedFiles, "wait", play)
        return cli(*arguments)

    return run


RUN = ("run", "greet", "--watch", "-i", "name=@who.txt")


def test_it_runs_again_after_each_save_that_changes_what_is_sent(
    watched: Callable[..., Finished], greeting: Repo, provider: Provider
) -> None:
    greeting.write("who.txt", "Ada")
    greeting.write("prompts/part.md", "friends")

    def save(path: str, text: str) -> Step:
        return lambda: greeting.write(path, text)

    included = GREET.replace("Greet {{ name }}.", "{% include 'part.md' %} {{ name }}")
    done = watched(
        [
            save("prompts/greet.yaml", GREET.replace("Greet {{", "Salute {{")),
            save("who.txt", "Bob"),
            save("prompts/greet.yaml", GREET.replace("Greet {{", "Salute {{") + "# a comment\n"),
            save("prompts/greet.yaml", "model: [\n"),
            save("prompts/greet.yaml", included),
            save("prompts/part.md", "family"),
        ],
        *RUN,
    )
    assert done.code == 0
    assert done.out.splitlines() == ["Greet Ada.", "Salute Ada.", "Salute Bob.", "friends Bob", "family Bob"]
    assert "watching 2 files; Ctrl-C ends\n" in done.err
    assert "nothing that is sent has changed: not run again\n" in done.err
    assert "prompts/greet.yaml:" in done.err
    assert done.err.count(" saved, ") == 6
    assert len(provider.requests) == 5


def test_a_file_that_is_missing_is_waited_for(
    watched: Callable[..., Finished], greeting: Repo, provider: Provider
) -> None:
    greeting.write("prompts/greet.yaml", GREET.replace("Greet {{ name }}.", "{% include 'late.md' %}"))
    done = watched(
        [lambda: greeting.write("prompts/late.md", "late"), lambda: greeting.write("who.txt", "Ada")], *RUN
    )
    assert (done.code, done.out) == (0, "late\n")
    assert "no partial `late.md`" in done.err
    assert "cannot read who.txt" in done.err


def test_a_budget_is_for_all_of_its_runs(
    watched: Callable[..., Finished], greeting: Repo, provider: Provider
) -> None:
    greeting.write("who.txt", "Ada")
    provider.script = text("hello", usage={"prompt_tokens": 10, "completion_tokens": 64})
    done = watched([lambda: greeting.write("who.txt", "Bob")], *RUN, "--max-cost", "0.00005", "--json")
    assert (done.code, len(provider.requests)) == (6, 1)
    assert json.loads(done.out)["output"] == "hello"


def test_render_prints_again(watched: Callable[..., Finished], greeting: Repo, cli: Cli) -> None:
    greeting.write("who.txt", "Ada")
    done = watched([lambda: greeting.write("who.txt", "Bob")], "render", *RUN[1:], "--json")
    assert [each for each in ("Ada", "Bob") if each in done.out] == ["Ada", "Bob"]
    assert done.code == 0
    greeting.write("in.json", '{"name": "Eve"}')
    assert "Eve" in watched([], "render", "greet", "--watch", "--inputs", "in.json").out


def test_a_save_in_several_steps_is_one(
    watched: Callable[..., Finished], greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_SETTLED_S", 0.1)
    greeting.write("who.txt", "Ada")

    def write() -> None:
        for name in ("B", "Bo", "Bob"):
            greeting.write("new.txt", name)
            (greeting.path / "new.txt").replace(greeting.path / "who.txt")
            time.sleep(0.03)

    done = watched([threading.Thread(target=write).start], *RUN)
    assert done.out == "Greet Ada.\nGreet Bob.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("greet@HEAD",), 2, "no file that is saved changes greet@HEAD"),
        (("greet:production",), 2, "no file that is saved changes"),
        (("greet", "-i", "name=@-"), 2, "stdin can be read once only"),
        (("greet", "--inputs", "-"), 2, "stdin can be read once only"),
        (("greet", "--prepare"), 4, "--watch several"),
    ],
)
def test_what_cannot_be_watched(
    cli: Cli, greeting: Repo, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = cli("run", "--watch", *arguments)
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_large_folder_is_looked_through_to_a_bound(
    greeting: Repo, monkeypatch: pytest.MonkeyPatch, watched: Callable[..., Finished], provider: Provider
) -> None:
    monkeypatch.setattr(watching, "_MAX_FILES", 1)
    for name in ("a", "b"):
        greeting.write(f"prompts/{name}/x.md", "x")
    greeting.write("prompts/greet.yaml", "model: [\n")
    done = watched(
        [lambda: greeting.write("prompts/greet.yaml", GREET)], "run", "greet", "--watch", "-i", "name=Ada"
    )
    assert done.out == "Greet Ada.\n"

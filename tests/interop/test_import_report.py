"""What an import says to a person, on a terminal of 80 columns too, and what it leaves where it fails."""

import io
import json
import os
import signal
import sys
import time
from subprocess import DEVNULL

import pytest

from promptops.cli.main import main
from tests.support.forked_commands import ForkedPopen
from tests.support.front_door import Cli, Repo

PROMPT = "model: openai/gpt-4o-mini\nmodelParameters: {}\nmessages: [{role: user, content: 'Hi {{name}}.'}]\n"
PINNED = PROMPT.replace("gpt-4o-mini", "gpt-5.4-mini-2026-03-17")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, *arguments: str) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", terminal := Terminal())
        assert main(arguments) == 0
    return terminal.getvalue().splitlines()


def test_findings_are_readable_on_a_narrow_terminal(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("support/reply.prompt.yml", PROMPT)
    lines = on_terminal(monkeypatch, 80, "import", "support", "--dry-run")
    start = lines.index("reply.prompt.yml:1 model")
    assert lines[start + 1 : start + 4] == [
        "  with a note: GitHub Models was retired on 2026-07-30; it is asked at openai",
        "  now; `openai/gpt-4o-mini` moves; to pin it, write a dated name such as",
        "  openai/gpt-4o-mini-2024-07-18",
    ]
    wide = on_terminal(monkeypatch, 250, "import", "support", "--dry-run")
    assert [line.split() for line in wide if line.startswith("KEY")] == [["KEY", "RESULT", "WHY"]]


def test_what_holds_for_several_files_is_said_once(cli: Cli, repo: Repo) -> None:
    for name in ("one", "two", "three"):
        repo.write(f"old/{name}.prompt.yml", PROMPT)
    done = cli("import", "old")
    assert [
        line.count("(and so in 2 more places)") for line in done.out.splitlines() if "[floating" in line
    ] == [1]
    assert "3 prompts: 3 errors" in done.err
    assert done.err.count("next: the same command with --model MODEL --force pins one model for all") == 1
    again = cli("import", "old", "--model", "openai/gpt-5.4-mini-2026-03-17", "--dry-run")
    assert again.out.count("in the way prompts/") == 3
    assert "next: --force overwrites what is in the way" in again.err
    assert (
        "3 prompts: 0 errors"
        in cli("import", "old", "--model", "openai/gpt-5.4-mini-2026-03-17", "--force").err
    )


def test_a_hint_for_several_files_is_given_once(cli: Cli, repo: Repo) -> None:
    for name in ("one", "two"):
        repo.write(f"old/{name}.yaml", "env: {}\n")
    done = cli("import", "llm", "old")
    assert (done.code, done.out.count("not a template of"), done.err.count("one has the keys")) == (4, 2, 1)


def test_an_empty_mapping_is_no_loss(cli: Cli, repo: Repo) -> None:
    repo.write("hi.prompt.yml", PINNED)
    assert "0 not importable" in cli("import", "hi.prompt.yml", "--strict").out


def test_a_file_of_another_tool_is_no_template_of_llm(cli: Cli, repo: Repo) -> None:
    repo.write("hi.prompt.yml", PINNED)
    assert "not a template of llm" in cli("import", "llm", "hi.prompt.yml").out
    repo.write("hi.yaml", "model: gpt-5.4-mini-2026-03-17\n")
    assert cli("import", "llm", "hi.yaml").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("promtfoo", "hi.prompt.yml"), 4, "did you mean promptfoo?"),
        (("hi.prompt.yml", "--to", "/etc"), 4, "--to /etc lies elsewhere"),
        (("hi.prompt.yml", "--model", " "), 2, "--model names no model"),
        (("hi.prompt.yaml",), 4, "check the path"),
        (("else.yaml",), 2, "is not recognised as a file of another tool"),
    ],
)
def test_a_wrong_word_is_named_with_the_next_step(
    arguments: tuple[str, ...], code: int, said: str, cli: Cli, repo: Repo
) -> None:
    repo.write("hi.prompt.yml", PINNED)
    repo.write("else.yaml", "env: {}\n")
    done = cli("import", *arguments)
    assert done.code == code
    assert said in done.err
    assert not (repo.path / "prompts").exists()


def test_nothing_stays_where_the_last_file_cannot_be_written(cli: Cli, repo: Repo) -> None:
    repo.write("hi.prompt.yml", PINNED)
    (repo.path / ".gitignore").mkdir()
    assert cli("import", "hi.prompt.yml").code == 4
    assert not (repo.path / "prompts/hi.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_import_that_is_stopped_leaves_all_or_nothing(repo: Repo, number: signal.Signals) -> None:
    names = [f"p{place:03}" for place in range(100)]
    for name in names:
        repo.write(
            f"theirs/{name}.prompt.yml", "model: openai/gpt-4o\nmessages: [{role: user, content: Hi}]\n"
        )
    command = [sys.executable, "-m", "promptops", "import", "theirs"]
    prompts = repo.path / "prompts"
    with ForkedPopen(command, cwd=repo.path, stdout=DEVNULL, stderr=DEVNULL) as process:
        while process.poll() is None and not any(prompts.glob("p*.yaml")):
            time.sleep(0.001)
        process.send_signal(number)
        code = process.wait(30)
    written = {path.stem for path in prompts.rglob("*.yaml")}
    assert (code, written) in ((0, set(names)), (-number, set()), (128 + number, set()))
    assert not [*prompts.rglob(".promptops-*")]


def test_a_source_among_the_prompts_is_to_be_moved_away(cli: Cli, repo: Repo) -> None:
    for name in ("one", "two"):
        repo.write(f"prompts/{name}.prompt.yml", PINNED)
    done = cli("import", "prompts", "--to", "shop")
    assert "next: move prompts/one.prompt.yml and 1 more out of prompts/: each YAML file there" in done.err


def test_a_prompt_of_ours_is_not_imported(cli: Cli, greeting: Repo) -> None:
    greeting.write(
        "prompts/bare.yaml", "model: local/smollm2-135m-instruct\nmessages: [{role: user, content: x}]\n"
    )
    done = cli("import", "prompts/bare.yaml", "--force")
    assert (done.code, "it is already the prompt `bare`" in done.out) == (4, True)


def test_an_export_as_json_holds_what_is_written_nowhere(cli: Cli, greeting: Repo) -> None:
    shown = json.loads(cli("export", "greet", "--format", "prompty", "--json").out)
    assert "Greet {{ name }}." in shown["texts"]["greet.prompty"]
    shown = json.loads(cli("export", "greet", "--format", "prompty", "--out", "g.prompty", "--json").out)
    assert (shown["files"], shown["texts"]) == (["g.prompty"], {})
    assert "did you mean prompty?" in cli("export", "greet", "--format", "promty").err


def test_a_request_below_the_prompts_is_imported(cli: Cli, repo: Repo) -> None:
    repo.write("prompts/request.yaml", "model: gpt-5.4-mini-2026-03-17\ninput: Say hello.\n")
    done = cli("import", "prompts/request.yaml", "--to", "shop")
    assert (done.code, "wrote prompts/shop/request.yaml" in done.out) == (0, True), done.out + done.err


def test_a_folder_that_cannot_be_looked_into_is_no_empty_one(cli: Cli, repo: Repo) -> None:
    repo.write("old/hi.prompt.yml", PINNED)
    folder = os.open("old", os.O_RDONLY)
    for _ in range(20):  # more than a path can name
        os.mkdir("d" * 250, dir_fd=folder)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    done = cli("import", "old")
    assert done.code == 4
    assert "cannot look into the folder old/ddd" in done.err
    assert "name the files themselves" in done.err

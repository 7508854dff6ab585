"""Tab: what is offered, and how bash, zsh and fish put it into the line."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import GREET, Cli, Repo
from support.logged_runs import a_run, an_end
from support.readable import readable

RUN = "01KQZZZZZZ0000000000000000"


@pytest.fixture
def project(greeting: Repo) -> Repo:
    """A prompt with an input of fixed values, a plan, a declared model, a run, and files."""
    greeting.write(
        "prompts/greet.yaml", GREET.replace("name: string", "name: string\n  mood: {enum: [glad, sad]}")
    )
    greeting.write("prompts/support/triage.yaml", GREET)
    greeting.write("promptops.yaml", "plans: {slow: {}}\nmodels: {mine/big: {max_input_tokens: 9}}\n")
    greeting.write("mails/first mail.txt", "x")
    with RegistryDatabase.open(greeting.registry) as registry:
        registry.record([(a_run(run_id=RUN), an_end())])
    return greeting


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("hist", "history"),
        ("runs se", "search"),
        ("vers", "version"),
        ("version x", ""),
        ("nonsense x", ""),
        ("help hist", "history"),
        ("help runs se", "search"),
        ("help runs search x", ""),
        ("help --a", "--all"),
        ("registry rec", "recover"),
        ("--ver", "--version"),
        ("runs -", "-h --help"),
        ("run gr", "greet"),
        ("-C . run gr", "greet"),
        ("-C pro", "prompts/"),
        ("--registry reg", "registry.db"),
        ("-C prompts --registry ../reg", "../registry.db"),
        ("run greet@HE", "greet@HEAD"),
        ("run greet@ma", "greet@main"),
        ("run greet:prod", "greet:production"),
        ("run prompts/gr", "prompts/greet.yaml"),
        ("eval greet gr", "greet"),
        ("run greet gr", ""),
        ("eval greet --against gr", "greet"),
        ("bisect greet --good ma", "main"),
        ("status s", "support/triage"),
        ("render greet --inp", "--input --inputs"),
        ("run greet -i ", "name= mood="),
        ("run --json greet -i m", "mood="),
        ("run greet --input mood=", "mood=glad mood=sad"),
        ("run greet -i name=@ma", "name=@mails/"),
        ("run greet -i name=@mails/f", "name=@mails/first mail.txt"),
        ("run nowhere -i ", ""),
        ("batch greet mai", "mails/"),
        ("eval greet --out pro", "promptops.yaml prompts/"),
        ("run greet --model=mine/", "--model=mine/big"),
        ("run greet --model openai/gpt-4o-mini", "openai/gpt-4o-mini-2024-07-18"),
        ("run greet --model groq", "groq/"),
        (
            "shadow migrate --model openai/gpt-4o-mini-2024-07-18=mine",
            "openai/gpt-4o-mini-2024-07-18=mine/big",
        ),
        ("run greet --set parameters.tempera", "parameters.temperature="),
        ("run greet --set model=mine", "model=mine/big"),
        ("shadow run greet --select str", "stratify="),
        ("shadow run greet -o see", "seed="),
        ("run greet --meta ", ""),
        ("canary greet@HEAD --plan sl", "slow"),
        ("canary greet@HEAD --plan qu", "quick"),
        ("canary greet@HEAD --to pro", "production"),
        ("runs list --kind e", "eval"),
        ("runs stats --by d", "day"),
        ("eval greet --format ju", "junit"),
        ("runs show ", f"last {RUN[:10]}"),
        ("runs show " + RUN[:12], RUN),
        ("cases add greet --run la", "last"),
        ("feedback last u", "up"),
        ("feedback last --metric ", ""),
        ("shadow show x", ""),
        ("lint pro", "promptops.yaml prompts/"),
        ("schema set", "settings"),
        ("completions z", "zsh"),
        ("hooks run pre-c", "pre-commit"),
    ],
)
def test_words(line: str, answers: str, cli: Cli, project: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PROMPTOPS_COMPLETE", "1")
    monkeypatch.setenv("PROMPTOPS_REGISTRY", "registry.db")
    done = cli(*line.split(" "))
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out.splitlines()) == ([answers] if "mail." in answers else sorted(answers.split()))


def test_outside_a_repository_it_is_silent(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PROMPTOPS_COMPLETE", "1")
    monkeypatch.chdir(tmp_path)
    for line in ("run g", "run x --model ", "runs show ", "canary x --plan ", "run x -i "):
        assert cli(*line.split(" ")).err == ""


LINES = {
    "promptops run greet@HE": "promptops run greet@HEAD ",
    "promptops run greet:pro": "promptops run greet:production ",
    "promptops run greet --model=mine/": "promptops run greet --model=mine/big ",
    "promptops run greet -i mo": "promptops run greet -i mood=",
    "promptops run greet -i name=@mails/f": "promptops run greet -i name=@mails/first\\ mail.txt ",
}
"""What Tab makes of a line; Ctrl-G writes the line to a file."""

INTERACTIVE = {
    "bash": r"""bind -x '"\C-g": printf "%s<\n" "$READLINE_LINE" >>typed'""",
    "zsh": "write() { print -r -- $BUFFER'<' >>typed }; zle -N write; bindkey ^G write",
}


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tab_completes_what_is_typed(shell: str, project: Repo) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    child, terminal = pty.fork()
    if not child:
        os.execvp(shell, [shell, "--norc" if shell == "bash" else "-f", "-i"])  # noqa: S606 - a shell it is
    typed = project.path / "typed"
    os.write(terminal, f"{INTERACTIVE[shell]}; source <(promptops completions {shell})\n".encode())
    try:
        wait_for(typed, terminal, 1, press=b"\a")  # now the shell edits lines
        typed.write_text("")
        for count, line in enumerate(LINES, 1):
            os.write(terminal, f"{line}\t\a\x15".encode())
            wait_for(typed, terminal, count)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    assert [line for line in typed.read_text().split("<\n") if line] == list(LINES.values())


def wait_for(file: Path, terminal: int, lines: int, press: bytes = b"") -> None:
    """Until the file has so many lines; the terminal is read meanwhile, else the shell stops."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        os.write(terminal, press)
        if readable(terminal, seconds=0.1):
            os.read(terminal, 65536)
        written = file.read_text().split("<\n")[:-1] if file.exists() else []
        if len(written if press else [*filter(None, written)]) >= lines:
            return


def test_fish_offers_what_is_typed(project: Repo) -> None:
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    asked = "; ".join(f"complete -C {shlex.quote(line)}" for line in LINES)
    script = f"promptops completions fish | source; {asked}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, encoding="utf-8", check=True
    )
    words = [shlex.split(completed)[-1] for completed in LINES.values()]
    assert done.stdout.splitlines() == words

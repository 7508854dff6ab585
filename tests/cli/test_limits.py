"""Verbs that read a stranger's branch run in a process that the operating system stops."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptops.cli.limits import is_limited
from support.forked_commands import ForkedPopen, run_forked
from support.front_door import Repo
from support.provider import Provider

LIMITED = "import sys; from promptops.cli.limits import run_limited; {}; sys.exit(run_limited(work))"


def run_code(work: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED.format(work)]
    return run_forked(command, capture_output=True, encoding="utf-8", check=False, env={**os.environ, **env})


def test_a_step_that_no_count_sees_is_stopped_by_the_system() -> None:
    started = time.perf_counter()
    done = run_code("work = lambda: (3 ** 10 ** 8) // 7", PROMPTOPS_CPU_SECONDS="1")
    assert done.returncode == 4
    assert "stopped by 1 s of computing" in done.stderr
    assert "PROMPTOPS_CPU_SECONDS" in done.stderr
    assert time.perf_counter() - started < 20


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no allocated memory")
def test_memory_is_limited_by_the_system() -> None:
    done = run_code("work = lambda: len(bytearray(5 * 1024 ** 3))")
    assert done.returncode == 70
    assert "MemoryError" in done.stderr


@pytest.mark.parametrize("code", [0, 1, 4, 141])
def test_the_exit_code_is_that_of_the_work(code: int) -> None:
    assert run_code(f"work = lambda: {code}").returncode == code


def test_output_comes_out_once() -> None:
    done = run_code("sys.stdout.write('before '); work = lambda: print('within') or 0")
    assert done.stdout == "before within\n"


def test_a_signal_reaches_the_work_and_ends_both() -> None:
    code = LIMITED.format("import time; work = lambda: print('up', flush=True) or time.sleep(60)")
    command = [sys.executable, "-c", code]
    with ForkedPopen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
        assert process.stdout.read() == ""  # the child has let go of the pipe


@pytest.mark.parametrize(
    ("line", "limited"),
    [
        ("lint", True),
        ("-C services lint --format github", True),
        ("diff main...branch", True),
        ("hooks run pre-commit", True),
        ("cases validate greet", True),
        ("diff main --run", False),
        ("eval greet", False),
        ("run lint", False),
        ("-C lint run", False),
        ("--help", False),
        ("", False),
    ],
)
def test_which_command_lines_are_limited(line: str, limited: bool) -> None:
    assert is_limited(line.split(), {}) is limited
    assert is_limited(line.split(), {"PROMPTOPS_CPU_SECONDS": "60"}) is (line not in ("", "--help"))


def test_an_eval_is_limited_where_a_limit_is_set(
    greeting: Repo, provider: Provider, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    prompt = greeting.path / "prompts/greet.yaml"
    prompt.write_text(f"{prompt.read_text()}cases: greet.cases.jsonl\n")
    greeting.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
    env = {**os.environ, "PROMPTOPS_CPU_SECONDS": "60"}
    done = process(["eval", "greet", "--json"], cwd=greeting.path, env=env)
    assert done.returncode == 0, done.stderr
    assert len(provider.requests) == 1
    stopped = process(["eval", "greet"], cwd=greeting.path, env=env | {"PROMPTOPS_CPU_SECONDS": "0"})
    assert stopped.returncode == 4
    assert "stopped by" in stopped.stderr


def test_lint_of_a_process_says_what_it_says_without_limits(
    repo: Repo, process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    repo.write("prompts/p.yaml", "model: openai/gpt-4o\nmessages: [{role: user, content: '{{ x }}'}]\n")
    done = process(["lint"], cwd=repo.path)
    assert done.returncode == 1
    assert "undeclared-variable" in done.stdout

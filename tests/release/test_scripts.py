"""What scripts and CI do with releases: promote.sh, and the workflow that ticks, run as they are written."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.forked_commands import write_program
from support.front_door import GREET, Cli, Repo
from support.provider import Provider, text

CHECKED = GREET + "checks: [{contains: Hello}]\n"
LINES = "".join(f'{{"inputs": {{"name": "n{number}"}}, "unit": "u{number}"}}\n' for number in range(200))
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(repo: Repo, tmp_path: Path) -> Shell:
    """Run sh with promptops on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    write_program(programs / "promptops", "-m", "promptops")

    def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **env}
        return subprocess.run(
            arguments,
            cwd=cwd or repo.path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    return run


@pytest.fixture
def released(repo: Repo, cli: Cli, provider: Provider) -> Repo:
    """Version 1 is live, HEAD is another one, and the provider answers both as ``answer`` says."""
    provider.script = lambda asked: text("Hello" if "coldly" not in str(asked.body) else "Go away")
    repo.write("prompts/greet.yaml", CHECKED)
    repo.write("calls.jsonl", LINES)
    repo.write("promptops.yaml", "plans: {quick: {unit: session}}\n")  # so that no test hangs on luck
    repo.commit("Greet people")
    assert cli("promote", "greet@HEAD", "--yes").code == 0
    return repo


def change(repo: Repo, how: str) -> None:
    repo.write("prompts/greet.yaml", CHECKED.replace("You greet", f"You {how} greet"))
    repo.commit(f"Greet people {how}")


class TestPromoteScript:
    def test_it_promotes_by_proof(self, released: Repo, cli: Cli, shell: Shell) -> None:
        assert "promote.sh" in cli("init", "--ci", "script").out
        change(released, "kindly")
        waiting = shell("sh", "promote.sh", "greet@HEAD", "production", "quick", EVERY="0", LIMIT="1")
        assert waiting.returncode == 3, waiting.stderr
        assert cli("batch", "greet:production", "calls.jsonl", "--out", "out.jsonl", "-j", "1").code == 0
        done = shell("sh", "promote.sh", "greet@HEAD", "production", "quick", EVERY="0", LIMIT="2")
        assert done.returncode == 0, done.stderr
        assert "going on with it" in done.stdout
        assert "v1 → v2" in cli("release", "log").out

    def test_it_says_when_the_canary_was_taken_back(self, released: Repo, cli: Cli, shell: Shell) -> None:
        cli("init", "--ci", "script")
        change(released, "coldly")
        assert shell("sh", "promote.sh", "greet@HEAD", "production", "quick", LIMIT="1").returncode == 3
        cli("batch", "greet:production", "calls.jsonl", "--out", "out.jsonl", "-j", "1")
        done = shell("sh", "promote.sh", "greet@HEAD", "production", "quick", EVERY="0")
        assert done.returncode == 1, done.stderr
        assert "rolled back" in done.stdout

    @pytest.mark.parametrize(("reference", "code"), [("nobody@HEAD", 4), ("greet", 4)])
    def test_it_stops_where_there_is_nothing_to_promote(
        self, released: Repo, cli: Cli, shell: Shell, reference: str, code: int
    ) -> None:
        cli("init", "--ci", "script")
        assert shell("sh", "promote.sh", reference).returncode == code

    def test_a_script_that_was_changed_stays(self, repo: Repo, cli: Cli) -> None:
        repo.write("promote.sh", "mine")
        cli("init", "--ci", "script")
        assert (repo.path / "promote.sh").read_text(encoding="utf-8") == "mine"


class TestWorkflow:
    def workflow(self, repo: Repo) -> dict[str, Any]:
        found = (repo.path / ".github/workflows/promptops-release.yml").read_text(encoding="utf-8")
        assert not re.search(r"@[A-Z]+@", found)
        return dict(yaml.load(found, yaml.BaseLoader))  # noqa: S506 - builds strings alone

    def step(self, repo: Repo, name: str) -> str:
        steps = self.workflow(repo)["jobs"]["tick"]["steps"]
        return str(next(step["run"] for step in steps if step.get("name") == name))

    def test_it_may_write_the_state_branch_and_takes_no_event_for_a_command(
        self, repo: Repo, cli: Cli
    ) -> None:
        cli("init", "--ci", "github")
        found = self.workflow(repo)
        assert found["permissions"] == {}
        assert found["jobs"]["tick"]["permissions"] == {"contents": "write", "issues": "write"}
        assert not any("${{" in step.get("run", "") for step in found["jobs"]["tick"]["steps"])

    def test_it_imports_what_hosts_export_ticks_and_reports(
        self, released: Repo, cli: Cli, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cli("init", "--ci", "github")
        bare = tmp_path / "origin.git"
        released.git("init", "-q", "--bare", "-b", "main", str(bare))
        released.git("remote", "add", "origin", str(bare))
        change(released, "coldly")
        released.git("push", "-q", "origin", "main", "promptops-state")
        assert cli("canary", "greet@HEAD", "--plan", "quick", "--yes").code == 0
        cli("batch", "greet:production", "calls.jsonl", "--out", "out.jsonl", "-j", "1")
        bring, tick = self.step(released, "Bring the exports"), self.step(released, "Tick")
        runner = tmp_path / "runner"
        subprocess.run(["git", "clone", "-q", f"file://{bare}", str(runner)], check=True)
        export = f"mkdir -p exports && cd {released.path} && promptops runs export --for-release"
        command = f"{export} --out {runner}/exports/host.jsonl"
        brought = shell("bash", "-e", "-c", bring, cwd=runner, COMMAND=command)
        assert brought.returncode == 0, brought.stderr
        summary = tmp_path / "summary.md"
        ticked = shell("bash", "-e", "-c", tick, cwd=runner, GITHUB_STEP_SUMMARY=str(summary))
        assert ticked.returncode == 1, ticked.stderr  # rolled back: the workflow is red
        assert "greet" in summary.read_text(encoding="utf-8")
        released.git("fetch", "-q", "origin")
        assert "rolled back" in released.git("log", "-1", "--format=%s", "origin/promptops-state")
        quiet = shell("bash", "-e", "-c", tick, cwd=runner, GITHUB_STEP_SUMMARY=str(summary))
        assert quiet.returncode == 0, quiet.stderr  # nothing under way: green

    def test_without_exports_it_goes_on(self, released: Repo, cli: Cli, shell: Shell) -> None:
        cli("init", "--ci", "github")
        bring = self.step(released, "Bring the exports")
        assert shell("bash", "-e", "-c", bring, COMMAND="").returncode == 0

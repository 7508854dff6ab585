"""What init writes for others to read: the workflow for pull requests, the attribute for git's own diff."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptops import __version__
from support.forked_commands import write_program
from support.front_door import GREET, Cli, Repo
from support.paths import ROOT
from support.provider import Provider, text

GH = """\
#!/bin/sh
echo "$@" >> "$ASKED"
case "$*" in *--paginate*) cat "$COMMENTS" ;; esac
"""


def workflow(repo: Repo, name: str = "promptops") -> dict[str, Any]:
    text = (repo.path / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
    known = (
        r"actions/[a-z/-]+@[0-9a-f]{40} # v\d|@\$RUNNER_TEMP|set -- exports/\*.jsonl|\"\$@\"|@users.noreply"
    )
    assert "@" not in re.sub(known, "", text)
    return dict(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - builds strings alone; `on` is not a boolean


HOSTILE_FOLDERS = [
    "a'; id; '",
    "$(id)",
    "`id`",
    'a" b',
    "@VERSION@",
    "- a: &b",
    "a # b",
    "日本 \U0001f600",
    "-C",
    "%s",
]


def steps_of(file: Path) -> list[list[str]]:
    """All commands of a workflow."""
    found = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506 - builds strings alone
    return [steps(job) for job in found["jobs"].values()]


def steps_with_path(found: dict[str, Any]) -> list[dict[str, Any]]:
    found_steps = [step for job in found["jobs"].values() for step in job["steps"]]
    return [step for step in found_steps if "path" in step.get("with", {})]


def steps(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


class TestWorkflow:
    def test_it_is_written_once(self, repo: Repo, cli: Cli) -> None:
        first = cli("init", "--ci", "github")
        assert "wrote .github/workflows/promptops.yml\n" in first.out
        assert "set the variable PROMPTOPS_EXPORTS" in first.err
        again = cli("init", "--ci", "script")
        assert again.err.endswith("next: git add promote.sh && git commit\n")
        repo.write(".github/workflows/promptops.yml", "mine")
        assert cli("init", "--ci", "github").out.startswith("nothing to do")
        assert (repo.path / ".github/workflows/promptops.yml").read_text(encoding="utf-8") == "mine"

    def test_what_may_write_never_checks_out_a_pull_request_and_nothing_needs_a_key(
        self, repo: Repo, cli: Cli
    ) -> None:
        cli("init", "--ci", "github")
        found = workflow(repo)
        assert found["on"].keys() == {"pull_request", "pull_request_target"}
        assert found["permissions"] == {}
        lint, diff = found["jobs"]["lint"], found["jobs"]["diff"]
        assert lint["if"] == "github.event_name == 'pull_request'"
        assert lint["permissions"] == {"contents": "read"}
        assert diff["if"] == "github.event_name == 'pull_request_target'"
        assert "ref" not in diff["steps"][0]["with"]
        for job in (lint, diff):
            assert f"pip install git-promptops=={__version__}" in steps(job)
            assert not any("${{" in each for each in steps(job))  # nothing of an event becomes a command
        assert "secrets." not in str(found)

    def test_of_a_project_below_the_top(self, repo: Repo, cli: Cli) -> None:
        repo.write("my services/a/promptops.yaml", "")
        cli("-C", "my services/a", "init", "--ci", "github")
        found = workflow(repo, "promptops-my-services-a")
        assert found["on"]["pull_request"]["paths"] == (
            ["my services/a/prompts/**", "my services/a/promptops.yaml"]
        )
        assert found["jobs"]["lint"]["steps"][-1]["env"] == {"FOLDER": "my services/a"}
        assert found["jobs"]["diff"]["env"]["FOLDER"] == "my services/a"
        assert steps(found["jobs"]["lint"])[1] == 'promptops -C "$FOLDER" lint --format github'

    @pytest.mark.parametrize(
        ("folder", "pattern", "registry"),
        [
            ("[x]", r"\[x\]", r"\[x\]"),
            ("!t", r"\!t", r"./\!t"),
            ("a*b?", r"a\*b\?", r"a\*b\?"),
            ("~", "~", "./~"),
            ("#c+", r"#c\+", r"./#c\+"),
        ],
    )
    def test_a_folder_whose_name_is_a_pattern_means_itself(
        self, repo: Repo, cli: Cli, folder: str, pattern: str, registry: str
    ) -> None:
        repo.write(f"{folder}/promptops.yaml", "")
        assert cli("-C", folder, "init", "--ci", "github").code == 0
        name = re.sub(r"\W+", "-", f"promptops {folder}")
        paths = workflow(repo, name)["on"]["pull_request"]["paths"]
        assert paths == [f"{pattern}/prompts/**", f"{pattern}/promptops.yaml"]
        kept = [step["with"]["path"] for step in steps_with_path(workflow(repo, f"{name}-release"))]
        assert kept == [f"{registry}/registry.db*"] * 2

    def test_folders_whose_names_differ_in_signs_alone_have_workflows_of_their_own(
        self, repo: Repo, cli: Cli
    ) -> None:
        for folder in ("a b", "a-b", "a/b", "a b"):
            repo.write(f"{folder}/promptops.yaml", "")
            assert cli("-C", folder, "init", "--ci", "github").code == 0
            os.chdir(repo.path)
        files = list((repo.path / ".github/workflows").glob("*.yml"))
        texts = "".join(file.read_text(encoding="utf-8") for file in files)
        assert len(files) == 9
        assert [texts.count(f'FOLDER: "{folder}"') for folder in ("a b", "a-b", "a/b")] == [3, 3, 3]

    @pytest.mark.parametrize("folder", HOSTILE_FOLDERS)
    def test_no_name_of_a_folder_reaches_a_command(self, repo: Repo, cli: Cli, folder: str) -> None:
        repo.write("plain/promptops.yaml", "")
        cli("-C", "plain", "init", "--ci", "github")
        os.chdir(repo.path)
        plain = {path: steps_of(path) for path in sorted((repo.path / ".github/workflows").iterdir())}
        for path in plain:
            path.unlink()
        repo.write(f"{folder}/promptops.yaml", "")
        assert cli("-C", folder, "init", "--ci", "github").code == 0
        hostile = [steps_of(path) for path in sorted((repo.path / ".github/workflows").iterdir())]
        assert sorted(hostile) == sorted(plain.values())

    def test_a_folder_that_github_would_compute_is_refused(self, repo: Repo, cli: Cli) -> None:
        repo.write("${{ github.token }}/promptops.yaml", "")
        refused = cli("-C", "${{ github.token }}", "init", "--ci", "github")
        assert refused.code == 4
        assert "GitHub computes" in refused.err
        assert not (repo.path / ".github").exists()

    @pytest.mark.parametrize("folder", [".", "my services/a"])
    def test_zizmor_finds_nothing_in_it_nor_in_our_own(self, repo: Repo, cli: Cli, folder: str) -> None:
        repo.write(f"{folder}/promptops.yaml", "")
        cli("-C", folder, "init", "--ci", "github")
        program = Path(sysconfig.get_path("scripts")) / "zizmor"
        command = [program, "--offline", "--no-config", "--persona", "pedantic", "--format", "plain"]
        command += [top / ".github/workflows" for top in (repo.path, ROOT)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout

    def test_in_a_bare_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
        subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare.git")], check=True)
        monkeypatch.chdir(tmp_path / "bare.git")
        assert cli("init", "--ci", "github").code == 4
        before = sorted(Path().iterdir())
        for command in (("init",), ("new", "greet")):
            done = cli(*command)
            assert (done.code, "do this in a clone" in done.err) == (4, True), done.err
        assert "has no working tree" in cli("list").err
        assert sorted(Path().iterdir()) == before

    @pytest.mark.parametrize("known", ["", "17\n"])
    def test_its_steps_compare_and_comment(
        self, repo: Repo, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str
    ) -> None:
        repo.write("prompts/greet.yaml", GREET)
        base = repo.commit()
        fork = tmp_path / "fork"
        repo.git("clone", "-q", ".", str(fork))
        theirs = Repo(fork)
        theirs.write("prompts/greet.yaml", GREET.replace("You greet", "You never greet"))
        head = theirs.commit()
        repo.git("fetch", "-q", str(fork), "HEAD:refs/pull/3/head")
        cli("init", "--ci", "github")
        diff = workflow(repo)["jobs"]["diff"]
        clone = tmp_path / "clone"
        subprocess.run(["git", "clone", "-q", f"file://{repo.path}", str(clone)], check=True)
        env = {
            **programs_of_workflows(tmp_path, known),
            "BASE": base,
            "HEAD": head,
            "NUMBER": "3",
            "FOLDER": diff["env"]["FOLDER"],
            "MARKER": diff["env"]["MARKER"],
        }
        for script in steps(diff)[1:]:
            subprocess.run(["bash", "-e", "-c", script], cwd=clone, env=env, check=True)
        comment = (tmp_path / "comment.md").read_text(encoding="utf-8")
        markers = (
            "<!-- promptops -->\n<!-- promptops diff -->\n"  # the first says which project of the repository
        )
        assert comment.startswith(f"{markers}**1 prompt changed**\n")
        assert "You {+never +}greet people." in comment
        assert (tmp_path / "summary.md").read_text(encoding="utf-8") == comment
        asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()[-1]
        target = "comments/17" if known else "3/comments"
        assert f"repos/ada/greetings/issues/{target} -F body=@{tmp_path}/comment.md" in asked
        assert ("PATCH" in asked) is bool(known)

    def test_evals_are_for_branches_alone_with_the_keys_that_pins_need(self, repo: Repo, cli: Cli) -> None:
        repo.write(
            "prompts/greet.yaml", GREET + "fallback: [groq/openai/gpt-oss-20b, anthropic/claude-haiku-4-5]\n"
        )
        repo.write("prompts/broken.yaml", "model: {")
        cli("init", "--ci", "github")
        (job,) = workflow(repo, "promptops-eval")["jobs"].values()
        assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
        assert f"pip install 'git-promptops[providers]=={__version__}'" in steps(job)
        (evaluates,) = [step for step in job["steps"] if step.get("name") == "Evaluate"]
        keys = ("ANTHROPIC_API_KEY", "GROQ_API_KEY", "OPENAI_API_KEY")
        assert {key: evaluates["env"].get(key) for key in keys} == {
            key: f"${{{{ secrets.{key} }}}}" for key in keys
        }
        assert not any("${{" in each for each in steps(job))

    def test_the_eval_of_a_branch_is_red_where_it_is_worse_and_comments_all_the_same(
        self, repo: Repo, cli: Cli, provider: Provider, tmp_path: Path
    ) -> None:
        cases = "".join(f'{{"inputs": {{"name": "n{number}"}}, "expected": "hi"}}\n' for number in range(8))
        repo.write("prompts/greet.cases.jsonl", cases)
        repo.write("prompts/greet.yaml", f"{GREET}cases: greet.cases.jsonl\n")
        base = repo.commit()
        cli("init", "--ci", "github")
        repo.write(
            "prompts/greet.yaml", f"{GREET.replace('You greet', 'You never greet')}cases: greet.cases.jsonl\n"
        )
        provider.script = lambda request: text("no" if b"never" in request.raw else "hi")
        (job,) = workflow(repo, "promptops-eval")["jobs"].values()
        _, evaluate, comment = steps(job)
        env = {
            **programs_of_workflows(tmp_path),
            "BASE": base,
            "HEAD": repo.commit(),
            "NUMBER": "3",
            "FOLDER": job["env"]["FOLDER"],
            "MARKER": job["env"]["MARKER"],
            "MOST_USD": "2",
            "MARGIN": "0.03",
        }
        done = subprocess.run(["bash", "-e", "-c", evaluate], cwd=repo.path, env=env, check=False)
        assert done.returncode == 1
        said = (tmp_path / "comment.md").read_text(encoding="utf-8")
        assert said.startswith("<!-- promptops eval -->\n")
        assert "worse" in said
        subprocess.run(["bash", "-e", "-c", comment], cwd=repo.path, env=env, check=True)
        assert "issues/3/comments" in (tmp_path / "asked").read_text(encoding="utf-8")


def programs_of_workflows(folder: Path, comments: str = "") -> dict[str, str]:
    """The environment of a workflow's steps: gh writes down what it is asked for, promptops is this one."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "gh").write_text(GH, encoding="utf-8")
    (programs / "gh").chmod(0o755)
    write_program(programs / "promptops", "-m", "promptops")
    (folder / "comments").write_text(comments, encoding="utf-8")
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_REPOSITORY": "ada/greetings",
        "COMMENTS": str(folder / "comments"),
        "ASKED": str(folder / "asked"),
    }


class TestDiffDriver:
    def test_it_is_offered_until_it_is_there(self, repo: Repo, cli: Cli) -> None:
        assert "promptops init --diff-driver" in cli("init").err
        done = cli("init", "--diff-driver")
        assert "wrote .gitattributes\n" in done.out
        assert "once in each clone: git config diff.promptops.textconv" in done.err
        assert "--diff-driver" not in cli("init").err
        assert cli("init", "--diff-driver").out.startswith("nothing to do")

    @pytest.mark.slow
    def test_what_it_says_works(self, greeting: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        command = cli("init", "--diff-driver").err.splitlines()[0].removeprefix("once in each clone: ")
        subprocess.run(["sh", "-c", command], cwd=greeting.path, check=True)
        greeting.write("prompts/greet.yaml", GREET.replace("model: openai", "'model': openai"))
        assert "model" not in greeting.git("diff", "prompts/greet.yaml")  # another spelling of the same
        greeting.write("prompts/greet.yaml", GREET.replace("You greet", "You never greet"))
        assert "You never greet people." in greeting.git("diff", "prompts/greet.yaml")

"""The hooks of .pre-commit-hooks.yaml, run by pre-commit itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.forked_commands import write_program
from support.front_door import Cli, Repo
from support.lint_files import SETTINGS, prompt
from support.paths import ROOT

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
GOOD, BETTER, BROKEN = prompt("Hello."), prompt("Good morning."), prompt("Hello.", more="modle: x\n")
OTHERS = {"PRE_COMMIT_ALLOW_NO_CONFIG": "", "SKIP": "", "PRE_COMMIT_FROM_REF": "", "PRE_COMMIT_TO_REF": ""}


def pre_commit(*arguments: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", *arguments],
        cwd=cwd,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode, done.stdout


def commit(repo: Repo, *arguments: str) -> tuple[bool, str]:
    done = subprocess.run(
        ["git", "commit", "-qm", "x", *arguments],
        cwd=repo.path,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode == 0, done.stdout


def publish(folder: Path) -> str:
    """Commit a folder, so that pre-commit can fetch hooks from it."""
    new = Repo(folder)
    new.git("init", "-q", "-b", "main")
    return new.commit("Hooks")


def use_hooks(repo: Repo, source: Path, revision: str, *hooks: str, more: str = "") -> None:
    ids = "".join(f"  - id: {hook}\n{more}" for hook in hooks)
    config = f"repos:\n- repo: {source}\n  rev: {revision}\n  hooks:\n{ids}"
    repo.write(".pre-commit-config.yaml", config)
    repo.commit("Use hooks")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    shutil.copy(MANIFEST, folder)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def project(repo: Repo, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(store))
    programs = tmp_path / "programs"
    programs.mkdir()
    write_program(programs / "promptops", "-m", "promptops")
    path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/plain.yaml", GOOD)
    repo.write("prompts/tone.md", "Be brief.\n")
    repo.write("prompts/made.yaml", prompt('{% include "tone.md" %}'))
    repo.commit()
    return repo


@pytest.fixture
def hooked(project: Repo, source: Path) -> Repo:
    """A repository in which pre-commit runs both hooks, by the promptops on PATH."""
    revision = Repo(source).git("rev-parse", "HEAD") if (source / ".git").exists() else publish(source)
    use_hooks(project, source, revision, "promptops-lint-system", "promptops-diff-system")
    assert pre_commit("install", cwd=project.path)[0] == 0
    return project


def test_the_manifest_is_valid_and_holds_each_hook_in_two_forms() -> None:
    assert pre_commit("validate-manifest", str(MANIFEST), cwd=ROOT) == (0, "")
    hooks = {hook["id"]: hook for hook in yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))}
    for name in ("promptops-lint", "promptops-diff"):
        isolated, system = hooks.pop(name), hooks.pop(f"{name}-system")
        assert (isolated["language"], system["language"]) == ("python", "system")
        same = {"files", "entry", "stages", "require_serial"}
        assert {key: isolated[key] for key in same} == {key: system[key] for key in same}
    assert not hooks


def test_a_sound_commit_shows_what_it_changes(hooked: Repo) -> None:
    hooked.write("prompts/plain.yaml", BETTER)
    done, said = commit(hooked, "-a")
    assert done
    assert "plain changed: messages\n  messages     messages[0] user: +2 -1 words\n" in said
    assert said.count("Passed") == 2


@pytest.mark.parametrize(("staged", "left", "passes"), [(BETTER, BROKEN, True), (BROKEN, BETTER, False)])
def test_a_partly_staged_file_is_judged_by_what_is_staged(
    hooked: Repo, staged: str, left: str, passes: bool
) -> None:
    hooked.write("prompts/plain.yaml", staged)
    hooked.git("add", "-A")
    unstaged = left.replace("\n", "\r\n").encode() + b"# \xff no newline"
    (hooked.path / "prompts/plain.yaml").write_bytes(unstaged)
    hooked.write("prompts/untracked.yaml", "{")
    done, said = commit(hooked)
    assert done is passes, said
    assert (hooked.path / "prompts/plain.yaml").read_bytes() == unstaged
    assert (hooked.path / "prompts/untracked.yaml").read_text(encoding="utf-8") == "{"
    assert hooked.git("status", "--porcelain").splitlines()[-1] == "?? prompts/untracked.yaml"
    assert ("unknown-key" in said) is not passes


def test_several_files_at_once_and_one_with_a_space(hooked: Repo) -> None:
    for number in range(40):
        hooked.write(f"prompts/p{number}.yaml", GOOD)
    hooked.write("prompts/über uns.md", "We.\n")
    hooked.git("add", "-A")
    done, said = commit(hooked)
    assert done
    assert said.count("added") == 40


def test_a_partial_that_changes_or_goes_is_looked_at_in_the_prompts_made_of_it(hooked: Repo) -> None:
    hooked.write("prompts/tone.md", "{% if %}")
    done, said = commit(hooked, "-a")
    assert not done
    assert "1 prompt: 1 error" in said
    hooked.git("rm", "-qf", "prompts/tone.md")
    done, said = commit(hooked)
    assert not done
    assert "no partial `tone.md`" in said


def test_commit_of_one_file(hooked: Repo) -> None:
    hooked.write("prompts/plain.yaml", BROKEN)
    hooked.write("prompts/tone.md", "Be very brief.\n")
    done, said = commit(hooked, "prompts/tone.md")
    assert done
    assert "made changed: partials" in said


def test_nothing_is_shown_of_commits_without_prompts(hooked: Repo) -> None:
    hooked.write("other.txt", "x")
    hooked.git("add", "-A")
    done, said = commit(hooked)
    assert done
    assert "Skipped" in said
    assert "prompt:" not in said


def test_all_files_as_a_build_does(hooked: Repo) -> None:
    assert pre_commit("run", "--all-files", cwd=hooked.path)[0] == 0
    hooked.write("prompts/plain.yaml", BROKEN)
    hooked.git("commit", "-qan", "-m", "Get past the hooks")
    code, said = pre_commit("run", "--all-files", cwd=hooked.path)
    assert code == 1
    assert "prompts/plain.yaml:6:1: error[unknown-key]" in said


def test_between_two_revisions_as_before_a_push(hooked: Repo) -> None:
    hooked.write("prompts/plain.yaml", BETTER)
    hooked.git("commit", "-qan", "-m", "x")
    hooked.write("other.txt", "x")
    hooked.commit()
    code, said = pre_commit("run", "--from-ref", "HEAD~2", "--to-ref", "HEAD", cwd=hooked.path)
    assert code == 0
    assert "plain changed: messages" in said


def test_strict_by_arguments(project: Repo, source: Path, hooked: Repo) -> None:
    revision = Repo(source).git("rev-parse", "HEAD")
    use_hooks(project, source, revision, "promptops-lint-system", more="    args: [--strict]\n")
    project.write("prompts/plain.yaml", prompt(model="test/undated"))
    assert not commit(project, "-a")[0]


def test_beside_plain_hooks_in_either_order(hooked: Repo, cli: Cli) -> None:
    assert cli("hooks", "install").code == 0
    hooked.write("prompts/plain.yaml", BETTER)
    done, said = commit(hooked, "-a")
    assert done
    assert said.count("plain changed: messages") == 2
    assert pre_commit("install", cwd=hooked.path)[0] == 0
    assert cli("hooks", "install").err.startswith("nothing to do")
    hooked.write("prompts/plain.yaml", GOOD)
    done, said = commit(hooked, "-a")
    assert done, said
    assert said.count("plain changed: messages") == 2
    assert (
        cli("hooks", "uninstall").out
        == "removed .git/hooks/pre-commit.legacy\nremoved .git/hooks/pre-merge-commit\n"
    )
    hooked.write("prompts/plain.yaml", BETTER)
    done, said = commit(hooked, "-a")
    assert done, said
    assert said.count("plain changed: messages") == 1


@pytest.mark.isolated
@pytest.mark.skipif(not os.environ.get("PROMPTOPS_ISOLATED"), reason="set PROMPTOPS_ISOLATED=1 (a minute)")
def test_installed_by_pre_commit_into_an_environment_of_its_own(
    project: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "promptops"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "promptops", folder / "promptops", ignore=left_out)
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    use_hooks(project, folder, publish(folder), "promptops-lint", "promptops-diff")
    assert pre_commit("install", "--install-hooks", cwd=project.path)[0] == 0
    installed = {
        path.name for path in Path(os.environ["PRE_COMMIT_HOME"]).glob("*/py_env-*/lib/*/site-packages/*")
    }
    assert "promptops" in installed
    assert "litellm" not in installed  # a hook takes the base alone
    python = str(Path(sys.executable).parent)
    monkeypatch.setenv(
        "PATH", os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if p != python)
    )
    project.write("prompts/plain.yaml", BROKEN)
    done, said = commit(project, "-a")
    assert not done
    assert "error[unknown-key]" in said
    project.write("prompts/plain.yaml", BETTER)
    done, said = commit(project, "-a")
    assert done
    assert "plain changed: messages" in said

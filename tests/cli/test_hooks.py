"""Hooks of plain git, through real commits."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.forked_commands import write_program
from support.front_door import Cli, Repo
from support.lint_files import SETTINGS, prompt

GOOD = prompt("Hello.")
BETTER = prompt("Good morning.")
BROKEN = prompt("Hello.", more="modle: x\n")
HEAVY = ("litellm", "git", "sqlite3", "aiohttp", "sqlite_utils", "rich", "openai")


@pytest.fixture
def project(repo: Repo) -> Repo:
    """Two prompts without findings, one of them made of a partial, a schema and cases."""
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/plain.yaml", GOOD)
    repo.write("prompts/tone.md", "Be brief.\n")
    repo.write("prompts/s.json", '{"type": "object", "additionalProperties": false, "properties": {}}')
    repo.write("prompts/c.jsonl", '{"inputs": {"x": "a"}}\n')
    more = "inputs: {x: string}\noutput: {schema: s.json}\ncases: c.jsonl\n"
    repo.write("prompts/made.yaml", prompt('{% include "tone.md" %} {{ x }}', more=more))
    repo.commit()
    return repo


@pytest.fixture
def quick_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hooks are installed with a python that need not start up."""
    write_program(tmp_path / "python")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


@pytest.fixture
def hooked(project: Repo, cli: Cli, quick_python: None) -> Repo:
    assert cli("hooks", "install").code == 0
    return project


@pytest.fixture
def telling(project: Repo, cli: Cli, quick_python: None) -> Repo:
    assert cli("hooks", "install", "--summary-trailers").code == 0
    return project


def try_git(repo: Repo, *arguments: str, cwd: Path | None = None) -> tuple[bool, str]:
    """Whether git did it, and all that was said."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd or repo.path,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode == 0, done.stdout


def put_hook(repo: Repo, name: str, text: str, mode: int = 0o755) -> Path:
    file = repo.write(f".git/hooks/{name}", text)
    file.chmod(mode)
    return file


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def hooks_in(repo: Repo) -> set[str]:
    return {file.name for file in (repo.path / ".git/hooks").iterdir() if file.suffix != ".sample"}


class TestInstall:
    def test_where_git_looks_also_when_the_folder_is_missing(self, project: Repo, cli: Cli) -> None:
        shutil.rmtree(project.path / ".git/hooks")
        done = cli("hooks", "install")
        assert done.out == "wrote .git/hooks/pre-commit\nwrote .git/hooks/pre-merge-commit\n"
        assert hooks_in(project) == {"pre-commit", "pre-merge-commit"}
        assert stat.S_IMODE((project.path / ".git/hooks/pre-commit").stat().st_mode) == 0o755

    def test_repeated_it_changes_nothing(self, hooked: Repo, cli: Cli) -> None:
        before = all_files(hooked.path / ".git/hooks")
        done = cli("hooks", "install")
        assert (done.code, done.out, done.err) == (0, "", "nothing to do: the hooks are installed\n")
        assert all_files(hooked.path / ".git/hooks") == before

    def test_repeated_it_mends_what_was_changed(self, telling: Repo, cli: Cli) -> None:
        file = telling.path / ".git/hooks/commit-msg"
        wanted = file.read_bytes()
        file.write_bytes(wanted.replace(sys.executable.encode(), b"/gone/python"))
        (telling.path / ".git/hooks/pre-commit").chmod(0o644)
        assert cli("hooks", "install").out.splitlines() == [
            "brought up to date .git/hooks/pre-commit",
            "brought up to date .git/hooks/commit-msg",
        ]
        assert file.read_bytes() == wanted
        assert os.access(telling.path / ".git/hooks/pre-commit", os.X_OK)

    def test_a_hook_that_is_there_runs_first_and_comes_back(self, project: Repo, cli: Cli) -> None:
        text = '#!/bin/sh\necho first "$@"\n[ ! -e refuse ]\n'
        put_hook(project, "pre-commit", text)
        assert "runs first, as .git/hooks/pre-commit.local" in cli("hooks", "install").out
        assert (project.path / ".git/hooks/pre-commit.local").read_text(encoding="utf-8") == text
        project.write("prompts/plain.yaml", BETTER)
        project.git("add", "prompts")
        project.write("refuse", "")
        done, said = try_git(project, "commit", "-qm", "x")
        assert not done
        assert "first" in said
        assert "plain" not in said
        (project.path / "refuse").unlink()
        done, said = try_git(project, "commit", "-qm", "x")
        assert done
        assert "plain changed: messages" in said
        assert cli("hooks", "uninstall").out.startswith("put back .git/hooks/pre-commit\n")
        assert hooks_in(project) == {"pre-commit"}
        assert (project.path / ".git/hooks/pre-commit").read_text(encoding="utf-8") == text

    def test_a_hook_that_git_would_not_run_is_kept_and_still_not_run(self, project: Repo, cli: Cli) -> None:
        put_hook(project, "pre-commit", "#!/bin/sh\nexit 1\n", 0o644)
        cli("hooks", "install")
        assert try_git(project, "commit", "-qm", "x", "--allow-empty")[0]
        cli("hooks", "uninstall")
        assert stat.S_IMODE((project.path / ".git/hooks/pre-commit").stat().st_mode) == 0o644

    def test_two_hooks_to_keep_are_refused_and_nothing_changes(self, project: Repo, cli: Cli) -> None:
        put_hook(project, "pre-merge-commit", "#!/bin/sh\n")
        put_hook(project, "pre-merge-commit.local", "#!/bin/sh\n")
        before = all_files(project.path / ".git/hooks")
        done = cli("hooks", "install")
        assert done.code == 4
        assert "join them into one" in done.err
        assert all_files(project.path / ".git/hooks") == before

    @pytest.mark.parametrize("text", ['#!/bin/sh\nrun "$(basename "$0")"\n', "#!/bin/bash\nrun ${0##*/}\n"])
    def test_a_hook_that_looks_at_its_name_is_left_alone(self, project: Repo, cli: Cli, text: str) -> None:
        put_hook(project, "pre-commit", text)
        done = cli("hooks", "install")
        assert done.code == 4
        assert 'add to it: promptops hooks run pre-commit "$@"' in done.err
        assert hooks_in(project) == {"pre-commit"}

    def test_a_link_to_a_manager_is_left_alone_and_one_to_a_hook_is_kept(
        self, project: Repo, cli: Cli
    ) -> None:
        manager = project.write("tools/manager", "#!/bin/sh\n")
        link = project.path / ".git/hooks/pre-commit"
        link.symlink_to(manager)
        assert "looks at its own name" in cli("hooks", "install").err
        link.unlink()
        link.symlink_to("../../tools/pre-commit.sh")  # dangling
        assert cli("hooks", "install").code == 0
        assert str((link.parent / "pre-commit.local").readlink()) == "../../tools/pre-commit.sh"
        cli("hooks", "uninstall")
        assert str(link.readlink()) == "../../tools/pre-commit.sh"

    def test_a_folder_in_place_of_a_hook(self, project: Repo, cli: Cli) -> None:
        (project.path / ".git/hooks/pre-commit").mkdir()
        assert "is a folder" in cli("hooks", "install").err

    def test_a_hook_that_cannot_be_read_is_kept(self, project: Repo, cli: Cli) -> None:
        put_hook(project, "pre-commit", "#!/bin/sh\nexit 0\n", 0o111)
        assert cli("hooks", "install").code == 0
        assert "pre-commit.local" in hooks_in(project)

    def test_pre_commit_installed_afterwards_keeps_ours_and_gives_it_back(
        self, hooked: Repo, cli: Cli
    ) -> None:
        hooks = hooked.path / ".git/hooks"
        (hooks / "pre-commit").rename(hooks / "pre-commit.legacy")  # as pre-commit does
        put_hook(hooked, "pre-commit", '#!/bin/sh\nexec "$(dirname $0)/pre-commit.legacy" "$@"\n')
        assert cli("hooks", "install").err.startswith("nothing to do")
        hooked.write("prompts/plain.yaml", BROKEN)
        assert not try_git(hooked, "commit", "-qam", "x")[0]
        cli("hooks", "uninstall")
        assert hooks_in(hooked) == {"pre-commit"}

    def test_nothing_to_take_out(self, project: Repo, cli: Cli) -> None:
        put_hook(project, "pre-commit", "#!/bin/sh\n")
        assert cli("hooks", "uninstall").err == "nothing to do: no hook of promptops is installed\n"
        assert hooks_in(project) == {"pre-commit"}

    def test_status(self, project: Repo, cli: Cli) -> None:
        put_hook(project, "commit-msg", "#!/bin/sh\n")
        assert cli("hooks", "status").err == "next: promptops hooks install\n"
        put_hook(project, "pre-commit", "#!/bin/sh\n")
        cli("hooks", "install")
        done = cli("hooks", "status")
        assert done.out.splitlines()[1].split() == [
            "pre-commit",
            "installed",
            ".git/hooks/pre-commit",
            ".git/hooks/pre-commit.local",
        ]
        states = {each["hook"]: each["state"] for each in json.loads(cli("hooks", "status", "--json").out)}
        assert states == {
            "pre-commit": "installed",
            "pre-merge-commit": "installed",
            "commit-msg": "another hook",
        }

    def test_a_broken_settings_file_is_no_reason_not_to(self, project: Repo, cli: Cli) -> None:
        project.write("promptops.yaml", "models: [\n")
        assert cli("hooks", "install").code == 0

    def test_outside_of_a_repository_and_in_a_bare_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert cli("hooks", "install").code == 4
        subprocess.run(["git", "init", "-q", "--bare", "bare.git"], check=True)
        monkeypatch.chdir(tmp_path / "bare.git")
        assert "bare repository" in cli("hooks", "install").err
        assert "bare repository" in cli("hooks", "run", "pre-commit").err


class TestHooksPath:
    @pytest.mark.parametrize("absolute", [False, True])
    def test_of_this_repository(self, project: Repo, cli: Cli, absolute: bool, tmp_path: Path) -> None:
        chosen = tmp_path / "elsewhere" if absolute else project.path / "tools/git hooks"
        project.git("config", "core.hooksPath", str(chosen) if absolute else "tools/git hooks")
        below = project.path / "prompts"
        assert cli("-C", str(below), "hooks", "install").code == 0
        assert (chosen / "pre-commit").exists()
        assert hooks_in(project) == set()
        project.write("prompts/plain.yaml", BROKEN)
        done, said = try_git(project, "commit", "-qam", "x", cwd=below)
        assert not done
        assert "unknown-key" in said

    def test_one_of_all_repositories_is_left_alone(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        shared = tmp_path / "hooks"
        shared.mkdir()
        project.git("config", "--global", "core.hooksPath", str(shared))
        done = cli("hooks", "install")
        assert done.code == 4
        assert "for all your repositories (global configuration)" in done.err
        assert not list(shared.iterdir())
        project.git("config", "--global", "core.hooksPath", ".githooks")  # in each repository its own
        assert cli("hooks", "install").code == 0

    def test_hooks_that_cannot_be_taken_out(self, project: Repo, cli: Cli) -> None:
        project.git("config", "core.hooksPath", "prompts/hooks")
        cli("hooks", "install")
        kept = project.path / "prompts/hooks/pre-commit.local/in the way"
        kept.mkdir(parents=True)
        done = cli("hooks", "uninstall")
        assert done.code == 4
        assert "cannot write" in done.err
        assert (project.path / "prompts/hooks/pre-commit").exists()

    def test_husky_is_told_how(self, project: Repo, cli: Cli) -> None:
        project.git("config", "core.hooksPath", ".husky/_")
        assert "add to .husky/pre-commit: promptops hooks run" in cli("hooks", "install").err

    def test_hooks_switched_off(self, project: Repo, cli: Cli) -> None:
        project.git("config", "core.hooksPath", "/dev/null")
        done = cli("hooks", "install")
        assert done.code == 4
        assert "cannot write /dev/null/pre-commit" in done.err


class TestFindingPromptops:
    def test_by_the_python_that_installed_the_hooks(
        self, hooked: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hooked.write("prompts/plain.yaml", BETTER)
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert (done, "plain changed: messages" in said) == (True, True), said

    @pytest.fixture
    def moved(self, hooked: Repo) -> Repo:
        """The python that installed the hooks is no more."""
        file = hooked.path / ".git/hooks/pre-commit"
        file.write_bytes(file.read_bytes().replace(sys.executable.encode(), b"/gone/bin/python"))
        hooked.write("prompts/plain.yaml", BETTER)
        hooked.git("add", "-A")
        return hooked

    def test_on_path(self, moved: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = tmp_path / "bin/promptops"
        program.parent.mkdir()
        write_program(program, "-m", "promptops")
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        assert "plain changed: messages" in try_git(moved, "commit", "-qm", "x")[1]

    def test_nowhere(self, moved: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        done, said = try_git(moved, "commit", "-qm", "x")
        assert not done
        assert "neither by /gone/bin/python nor on PATH" in said
        assert "promptops hooks install" in said
        assert try_git(moved, "commit", "-qm", "x", "--no-verify")[0]

    def test_modules_of_the_repository_are_not_taken_for_ours(self, hooked: Repo) -> None:
        for name in ("yaml.py", "json.py", "promptops/__init__.py"):
            hooked.write(name, "raise SystemExit('the wrong module')\n")
        hooked.write("prompts/plain.yaml", BETTER)
        hooked.git("add", "-A")
        assert try_git(hooked, "commit", "-qm", "x")[0]


class TestCommit:
    def test_a_sound_change_is_told_and_let_through(self, hooked: Repo) -> None:
        hooked.write("prompts/plain.yaml", BETTER)
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert done
        assert said.splitlines() == [
            "1 prompt: 0 errors, 0 warnings",
            "plain changed: messages",
            "  messages     messages[0] user: +2 -1 words",
        ]

    def test_a_broken_one_is_refused(self, hooked: Repo) -> None:
        hooked.write("prompts/plain.yaml", BROKEN)
        head = hooked.git("rev-parse", "HEAD")
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert not done
        assert said.startswith("prompts/plain.yaml:6:1: error[unknown-key] unknown key `modle`")
        assert "git commit --no-verify" in said.splitlines()[-1]
        assert hooked.git("rev-parse", "HEAD") == head

    @pytest.mark.parametrize(("hook", "most"), [("lint", 3), ("diff", 5), ("pre-commit", 5)])
    def test_few_processes_of_git(
        self, project: Repo, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, most: int
    ) -> None:
        project.write("prompts/plain.yaml", BETTER)
        project.git("add", "-A")
        trace = tmp_path / "trace"
        monkeypatch.setenv("GIT_TRACE", str(trace))

        assert cli("hooks", "run", hook).code == 0

        assert trace.read_text().count("built-in: git") <= most

    def test_nothing_is_said_of_other_files(self, hooked: Repo) -> None:
        hooked.write("prompts/plain.yaml", BROKEN)
        hooked.write("other.txt", "x")
        hooked.git("add", "other.txt")
        assert try_git(hooked, "commit", "-qm", "x") == (True, "")

    @pytest.mark.parametrize(
        ("path", "text", "rule"),
        [
            ("tone.md", "{% if %}", "template"),
            ("tone.md", None, "bad-include"),
            ("s.json", '{"type": 3}', "schema"),
            ("c.jsonl", '{"inputs": {"y": 1}}\n', "case"),
        ],
    )
    def test_a_prompt_is_looked_at_when_a_part_of_it_changes(
        self, hooked: Repo, path: str, text: str | None, rule: str
    ) -> None:
        file = hooked.path / "prompts" / path
        file.unlink() if text is None else file.write_text(text, encoding="utf-8")
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert not done
        assert rule in said
        assert "plain" not in said

    @pytest.mark.parametrize(("staged", "left", "passes"), [(BETTER, BROKEN, True), (BROKEN, BETTER, False)])
    def test_a_partly_staged_file_is_judged_by_what_is_staged(
        self, hooked: Repo, staged: str, left: str, passes: bool
    ) -> None:
        hooked.write("prompts/plain.yaml", staged)
        hooked.git("add", "-A")
        hooked.write("prompts/plain.yaml", left.replace("\n", "\r\n"))
        hooked.write("prompts/untracked.yaml", "{")
        before = {path: data for path, data in all_files(hooked.path).items() if not path.startswith(".git")}
        done, _ = try_git(hooked, "commit", "-qm", "x")
        assert done is passes
        after = {path: data for path, data in all_files(hooked.path).items() if not path.startswith(".git")}
        assert after == before

    def test_commit_all_and_commit_of_one_file_use_an_index_of_their_own(self, hooked: Repo) -> None:
        hooked.write("prompts/plain.yaml", BROKEN)
        hooked.write("prompts/tone.md", "Be very brief.\n")
        assert not try_git(hooked, "commit", "-qm", "x", "-a")[0]
        done, said = try_git(hooked, "commit", "-qm", "x", "prompts/tone.md")
        assert done
        assert "made changed: partials" in said
        hooked.git("add", "prompts/plain.yaml")
        hooked.write("prompts/tone.md", "Be friendly.\n")
        assert try_git(hooked, "commit", "-qm", "x", "prompts/tone.md")[0]
        assert not try_git(hooked, "commit", "-qm", "x", cwd=hooked.path / "prompts")[0]

    def test_the_first_commit(self, repo: Repo, cli: Cli) -> None:
        cli("hooks", "install", "--summary-trailers")
        repo.write("promptops.yaml", SETTINGS)
        repo.write("prompts/plain.yaml", BROKEN)
        repo.git("add", "-A")
        assert not try_git(repo, "commit", "-qm", "x")[0]
        repo.write("prompts/plain.yaml", GOOD)
        repo.git("add", "-A")
        done, said = try_git(repo, "commit", "-qm", "x")
        assert done
        assert "plain added" in said
        assert "Prompt-change: plain added (sha256:" in repo.git("log", "-1", "--format=%B")

    def test_deleted_renamed_and_with_another_mode(self, hooked: Repo) -> None:
        hooked.git("mv", "prompts/plain.yaml", "prompts/simple.yaml")
        assert "simple renamed from plain" in try_git(hooked, "commit", "-qm", "x")[1]
        (hooked.path / "prompts/simple.yaml").chmod(0o755)
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert done
        assert "simple" not in said
        hooked.git("rm", "-q", "prompts/simple.yaml")
        done, said = try_git(hooked, "commit", "-qm", "x")
        assert done
        assert "simple deleted" in said

    def test_paths_with_spaces_and_beyond_ascii(self, hooked: Repo) -> None:
        hooked.write("prompts/töne und so.md", "Be brief.\n")
        hooked.write("prompts/plain.yaml", prompt('{% include "töne und so.md" %}'))
        assert try_git(hooked, "add", "-A")[0]
        assert try_git(hooked, "commit", "-qm", "x")[0]
        hooked.write("prompts/töne und so.md", "{% if %}")
        done, said = try_git(hooked, "commit", "-qam", "x")
        assert not done
        assert "prompts/töne und so.md:1:" in said

    def test_a_submodule_is_named_and_not_read(self, hooked: Repo, tmp_path: Path) -> None:
        inner = tmp_path / "inner"
        subprocess.run(["git", "init", "-q", str(inner)], check=True)
        subprocess.run(["git", "commit", "-qm", "x", "--allow-empty"], cwd=inner, check=True)
        hooked.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "prompts/sub")
        done, said = try_git(hooked, "commit", "-qm", "x")
        assert done
        assert "prompts/sub is a submodule" in said

    def test_inside_a_submodule(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        outer = tmp_path / "outer"
        subprocess.run(["git", "init", "-q", str(outer)], check=True)
        command = [
            "git",
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "add",
            "-q",
            str(project.path),
            "sub",
        ]
        subprocess.run(command, cwd=outer, check=True)
        inner = Repo(outer / "sub")
        assert cli("-C", str(inner.path), "hooks", "install").code == 0
        assert (outer / ".git/modules/sub/hooks/pre-commit").exists()
        inner.write("prompts/plain.yaml", BROKEN)
        assert not try_git(inner, "commit", "-qam", "x")[0]
        inner.write("prompts/plain.yaml", BETTER)
        assert "plain changed" in try_git(inner, "commit", "-qam", "x")[1]

    def test_linked_worktrees_share_the_hooks(self, project: Repo, cli: Cli, tmp_path: Path) -> None:
        project.git("worktree", "add", "-q", str(tmp_path / "linked"))
        linked = Repo(tmp_path / "linked")
        assert cli("-C", str(linked.path), "hooks", "install").code == 0
        assert hooks_in(project) == {"pre-commit", "pre-merge-commit"}
        linked.write("prompts/plain.yaml", BROKEN)
        assert not try_git(linked, "commit", "-qam", "x", cwd=linked.path / "prompts")[0]
        linked.write("prompts/plain.yaml", BETTER)
        assert "plain changed" in try_git(linked, "commit", "-qam", "x")[1]

    def test_two_projects_in_one_repository(self, repo: Repo, cli: Cli) -> None:
        for name in ("a", "b"):
            repo.write(f"services/{name}/promptops.yaml", SETTINGS)
            repo.write(f"services/{name}/prompts/p.yaml", GOOD)
        repo.write("docs/prompts/no.yaml", "{")  # not a project's
        repo.commit()
        cli("-C", "services/a", "hooks", "install", "--summary-trailers")
        repo.git("worktree", "add", "-q", "../linked")
        linked = Repo(repo.path.parent / "linked")
        for name in ("services/a", "services/b", "docs"):
            linked.write(f"{name}/prompts/p.yaml", BETTER)
        linked.write("docs/prompts/no.yaml", "[")
        done, said = try_git(linked, "commit", "-qam", "x")
        assert done
        assert said.count("p changed: messages") == 2
        linked.write("services/b/prompts/p.yaml", BROKEN)
        done, said = try_git(linked, "commit", "-qam", "x", cwd=linked.path / "services")
        assert not done
        assert "services/b/prompts/p.yaml:6:1" in said

    def test_what_changes_is_said_as_far_as_it_can_be(self, hooked: Repo) -> None:
        blob = hooked.git("rev-parse", "HEAD:prompts/plain.yaml")
        hooked.write("prompts/plain.yaml", BETTER)
        hooked.git("add", "-A")
        (hooked.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
        done, said = try_git(hooked, "commit", "-qm", "x")
        assert done
        assert "cannot say what changes: " in said

    def test_merges(self, hooked: Repo) -> None:
        hooked.git("checkout", "-qb", "side")
        hooked.write("prompts/new.yaml", prompt('{% include "tone.md" %}'))
        hooked.git("add", "-A")
        hooked.git("commit", "-qm", "side")
        hooked.git("checkout", "-q", "main")
        hooked.git("rm", "-q", "prompts/made.yaml", "prompts/tone.md")
        hooked.git("commit", "-qm", "main")
        done, said = try_git(hooked, "merge", "-q", "side")  # each side is sound, both together are not
        assert not done
        assert "prompts/new.yaml" in said
        assert "tone.md" in said


class TestTrailers:
    def change(self, repo: Repo, text: str = BETTER) -> None:
        repo.write("prompts/plain.yaml", text)
        repo.git("add", "-A")

    def trailers(self, repo: Repo) -> Sequence[str]:
        form = "--format=%(trailers:key=Prompt-change,valueonly)"
        return [line.partition(" (")[0] for line in repo.git("log", "-1", form).splitlines()]

    def test_each_changed_prompt_has_one(self, telling: Repo) -> None:
        self.change(telling)
        telling.write("prompts/tone.md", "Be very brief.\n")
        telling.git("commit", "-qam", "Greet in another way", "-m", "Body.", "--signoff")
        assert telling.git("log", "-1", "--format=%B").splitlines()[:5] == [
            "Greet in another way",
            "",
            "Body.",
            "",
            "Signed-off-by: Ada <ada@example.org>",
        ]
        assert self.trailers(telling) == ["made changed: partials", "plain changed: messages"]

    def test_none_where_no_prompt_changed(self, telling: Repo) -> None:
        telling.write("other", "x")
        telling.git("add", "-A")
        telling.git("commit", "-qm", "Other")
        assert telling.git("log", "-1", "--format=%B") == "Other"

    def test_amended_they_say_what_the_whole_commit_changes(self, telling: Repo) -> None:
        self.change(telling)
        telling.git("commit", "-qm", "x")
        first = telling.git("log", "-1", "--format=%B")
        telling.git("commit", "-q", "--amend", "--no-edit", "--allow-empty")
        assert telling.git("log", "-1", "--format=%B") == first
        telling.write("prompts/tone.md", "Be very brief.\n")
        telling.git("commit", "-qa", "--amend", "--no-edit")
        assert self.trailers(telling) == ["made changed: partials", "plain changed: messages"]
        self.change(telling, GOOD)
        telling.git("commit", "-q", "--amend", "--no-edit")
        assert self.trailers(telling) == ["made changed: partials"]
        telling.write("prompts/tone.md", "Be brief.\n")
        telling.git("commit", "-qa", "--amend", "--no-edit", "--allow-empty")
        assert telling.git("log", "-1", "--format=%B") == "x"

    def test_a_message_of_another_commit_is_brought_up_to_date(self, telling: Repo) -> None:
        self.change(telling)
        telling.git("commit", "-qm", "x")
        telling.write("prompts/tone.md", "Be very brief.\n")
        telling.git("commit", "-qam", "y")
        telling.write("prompts/new.yaml", GOOD)
        telling.git("add", "-A")
        telling.git("commit", "-q", "-C", "HEAD~1")
        assert self.trailers(telling) == ["new added"]

    def test_a_merge_says_what_it_brings(self, telling: Repo) -> None:
        telling.git("checkout", "-qb", "side")
        self.change(telling)
        telling.git("commit", "-qm", "side")
        telling.git("checkout", "-q", "main")
        telling.git("merge", "-q", "--no-ff", "--no-edit", "side")
        assert self.trailers(telling) == ["plain changed: messages"]

    @pytest.mark.parametrize("written", ["", "# a comment\n\n", "Signed-off-by: Ada <ada@example.org>\n"])
    def test_a_message_left_empty_stays_refused(
        self, telling: Repo, written: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.change(telling)
        telling.write("message", written)
        monkeypatch.setenv("GIT_EDITOR", "cp message")
        done, said = try_git(telling, "commit", "-q")
        assert not done
        assert "empty commit message" in said

    def test_a_template_that_nobody_filled_in_stays_refused(
        self, telling: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        template = telling.write(".git/template", "Why:\n")
        telling.git("config", "commit.template", str(template))
        self.change(telling)
        monkeypatch.setenv("GIT_EDITOR", "true")
        done, said = try_git(telling, "commit", "-q")
        assert not done
        assert "not edit the message" in said
        telling.write("editor", '#!/bin/sh\necho because >> "$1"\n').chmod(0o755)
        monkeypatch.setenv("GIT_EDITOR", "./editor")
        assert try_git(telling, "commit", "-q")[0]
        assert self.trailers(telling) == ["plain changed: messages"]

    def test_a_template_that_is_gone(self, telling: Repo) -> None:
        self.change(telling)
        telling.git("config", "commit.template", "gone")
        telling.git("commit", "-qm", "x")
        assert self.trailers(telling) == ["plain changed: messages"]

    def test_with_the_changes_shown_below_the_message(
        self, telling: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.change(telling)
        telling.write("editor", '#!/bin/sh\n{ echo Written; cat "$1"; } > m && mv m "$1"\n').chmod(0o755)
        monkeypatch.setenv("GIT_EDITOR", "./editor")
        assert try_git(telling, "commit", "-q", "--verbose")[0]
        body = telling.git("log", "-1", "--format=%B").splitlines()
        assert body[:2] == ["Written", ""]
        assert len(body) == 3

    def test_a_rule_in_the_message_does_not_end_it(self, telling: Repo) -> None:
        self.change(telling)
        telling.git("commit", "-qm", "x", "-m", "above\n---\nbelow")
        assert telling.git("log", "-1", "--format=%B").splitlines()[-1].startswith("Prompt-change: plain ")

    def test_what_cannot_be_told_does_not_refuse_the_commit(self, telling: Repo) -> None:
        blob = telling.git("rev-parse", "HEAD:prompts/plain.yaml")
        self.change(telling)
        (telling.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
        done, said = try_git(telling, "commit", "-qm", "x")
        assert done
        assert "no trailers of what changes in prompts" in said
        assert telling.git("log", "-1", "--format=%B") == "x"

    def test_called_without_the_message(self, project: Repo, cli: Cli) -> None:
        assert cli("hooks", "run", "commit-msg").code == 4


class TestRun:
    @pytest.mark.parametrize("hook", ["pre-commit", "lint", "diff"])
    def test_it_loads_nothing_heavy_and_writes_nothing(self, project: Repo, hook: str) -> None:
        project.write("prompts/plain.yaml", BETTER)
        project.git("add", "-A")
        before = all_files(project.path)
        code = (
            "import sys; from promptops.cli.main import main; code = main(sys.argv[1:]);"
            f"sys.exit(' '.join({{*sys.modules}} & {{*{HEAVY}}}) or code)"
        )
        command = [sys.executable, "-c", code, "hooks", "run", hook]
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", cwd=project.path)
        assert done.returncode == 0, done.stderr
        assert all_files(project.path) == before

    def test_a_broken_registry_is_not_looked_at(self, project: Repo, cli: Cli) -> None:
        project.write("registry.db", "no database")
        project.write("prompts/plain.yaml", BETTER)
        project.git("add", "prompts")
        assert cli("hooks", "run", "pre-commit").code == 0

    def test_lint_of_named_files_and_of_what_is_staged(self, project: Repo, cli: Cli) -> None:
        project.write("prompts/plain.yaml", prompt(model="test/undated"))
        project.commit()
        project.git("rm", "-q", "prompts/tone.md")
        done = cli("hooks", "run", "lint", "--strict", "prompts/plain.yaml", "prompts/s.json")
        assert done.code == 1
        assert "2 prompts: 1 error, 1 warning" in done.err
        project.git("checkout", "-q", "HEAD", "prompts/tone.md")
        assert cli("hooks", "run", "lint", "prompts/plain.yaml").code == 0
        assert cli("hooks", "run", "lint", "--strict", "prompts/plain.yaml").code == 1
        assert cli("hooks", "run", "lint", "other/file.txt").code == 0
        assert cli("hooks", "run", "lint", "prompts/gone.yaml").code == 4

    def test_settings_are_read_from_the_index(self, project: Repo, cli: Cli) -> None:
        project.write("promptops.yaml", SETTINGS + "lint: {rules: {floating-model: 3}}\n")
        project.git("add", "-A")
        project.write("promptops.yaml", SETTINGS)
        done = cli("hooks", "run", "pre-commit")
        assert done.code == 4
        assert "promptops.yaml:" in done.err

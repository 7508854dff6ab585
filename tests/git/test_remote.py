"""Fetching and pushing the state branch: what is reported, what ends it, what is left alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptops.errors import Unavailable
from promptops.git.remote import (
    PushRejected,
    RemoteUnreachable,
    TransferProgress,
    fetch_state_branch,
    push_commit,
)
from promptops.git.transfer import run_transfer
from support.forked_commands import ForkedPopen, run_forked
from support.git_repositories import GitFolder, new_repository

STATE = "refs/heads/promptops-state"


@pytest.fixture
def bare(tmp_path: Path) -> GitFolder:
    first = new_repository(tmp_path / "first")
    first.commit("First", {"a": "1\n"})
    folder = GitFolder(tmp_path / "bare.git")
    first.git("clone", "-q", "--bare", str(first.path), str(folder.path))
    return folder


@pytest.fixture
def clone(bare: GitFolder, tmp_path: Path) -> GitFolder:
    return bare.clone(tmp_path / "clone")


def commit_of(folder: GitFolder, text: str = "x") -> str:
    """A commit that no ref names."""
    return folder.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", text)


def on_push(bare: GitFolder, script: bytes) -> None:
    hook = bare.path / "hooks/pre-receive"
    hook.write_bytes(b"#!/bin/sh\n" + script)
    hook.chmod(0o755)


def slow_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let ssh be something that never answers. Returns where it writes its process id."""
    file = tmp_path / "ssh.pid"
    script = tmp_path / "ssh"
    script.write_text(f"#!/bin/sh\necho $$ >{file}.new; mv {file}.new {file}\nexec sleep 30\n")
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(script))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    return file


def has_ended(pid: int) -> bool:
    """Whether a process is gone within a few seconds, as a killed one takes a moment."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(500):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def sync_on_terminal(folder: GitFolder, **env: str) -> str:
    """What a terminal gets to see of ``release sync``."""
    script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"
    command = [sys.executable, "-c", script, sys.executable, "-m", "promptops", "release", "sync"]
    done = run_forked(
        command,
        cwd=folder.path,
        env={**os.environ, "TERM": "xterm", **env},
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.decode()


class TestProgress:
    def test_it_begins_before_the_remote_answers_and_has_an_end(self, clone: GitFolder) -> None:
        steps: list[TransferProgress | None] = []
        assert push_commit(clone.settings(), "origin", commit_of(clone), on_transfer=steps.append)
        assert steps[0] == TransferProgress("origin", "connecting")
        assert steps[-1] is None
        written = [step for step in steps if step and step.stage == "writing objects"]
        assert written[-1].done == written[-1].total
        assert written[-1].total

    def test_a_fetch_has_it_too(self, clone: GitFolder, bare: GitFolder) -> None:
        bare.git("update-ref", STATE, commit_of(bare))
        steps: list[TransferProgress | None] = []
        assert fetch_state_branch(clone.settings(), "origin", on_transfer=steps.append)
        assert {"connecting", "counting objects"} <= {step.stage for step in steps if step}

    def test_it_ends_where_the_transfer_fails(self, clone: GitFolder) -> None:
        clone.git("remote", "set-url", "origin", "file:///nowhere")
        steps: list[TransferProgress | None] = []
        with pytest.raises(RemoteUnreachable, match="origin cannot be reached"):
            fetch_state_branch(clone.settings(), "origin", on_transfer=steps.append)
        assert steps == [TransferProgress("origin", "connecting"), None]

    def test_a_terminal_shows_it_in_one_line_and_clears_it(self, clone: GitFolder, bare: GitFolder) -> None:
        blob = bare.git("hash-object", "-w", "--stdin", text="what is released")
        tree = bare.git("mktree", text=f"100644 blob {blob}\tREADME.md\n")
        init = bare.git("commit-tree", tree, "-m", "release: write README.md\n\nPromptops-Transition: init")
        bare.git("update-ref", STATE, init)
        shown = sync_on_terminal(clone)
        assert shown.startswith("\rorigin: connecting\x1b[K")
        assert "\rorigin: counting objects" in shown
        assert shown.partition("\r\x1b[K")[2] == "nothing to push; something new was fetched\r\n"
        assert "connecting" not in sync_on_terminal(clone, TERM="dumb")

    def test_elsewhere_it_is_not_shown(self, clone: GitFolder) -> None:
        command = [sys.executable, "-m", "promptops", "release", "sync"]
        done = run_forked(command, cwd=clone.path, capture_output=True, encoding="utf-8", check=True)
        assert (done.stdout, done.stderr) == ("nothing to push; nothing new\n", "")


class TestWhatTheServerSays:
    def test_a_line_that_looks_like_progress_is_said(self, clone: GitFolder, bare: GitFolder) -> None:
        on_push(bare, b"echo 'Limit: 100 MB' >&2; echo 'GH001: 2 files are too large' >&2; exit 1\n")
        with pytest.raises(PushRejected, match=r"Limit: 100 MB; GH001: 2 files are too large"):
            push_commit(clone.settings(), "origin", commit_of(clone))

    def test_bytes_that_are_no_utf8(self, clone: GitFolder, bare: GitFolder) -> None:
        on_push(bare, b"printf 'r\\351serv\\351\\n' >&2; exit 1\n")
        with pytest.raises(PushRejected, match="r\ufffdserv\ufffd"):
            push_commit(clone.settings(), "origin", commit_of(clone))

    def test_no_more_than_the_newest_lines_are_kept(self, clone: GitFolder, bare: GitFolder) -> None:
        on_push(bare, b"seq -f 'line %.0f' 5000 >&2; exit 1\n")
        with pytest.raises(PushRejected) as raised:
            push_commit(clone.settings(), "origin", commit_of(clone))
        assert "line 5000" in raised.value.message
        assert "line 3000;" not in raised.value.message

    def test_a_commit_that_no_ref_names_and_that_came_too_late(self, clone: GitFolder) -> None:
        """GitPython's own push has no answer for it."""
        assert push_commit(clone.settings(), "origin", commit_of(clone, "first"))
        assert push_commit(clone.settings(), "origin", commit_of(clone, "second")) is False


class TestTheEnd:
    def test_a_remote_that_does_not_answer_is_killed_with_all_it_started(
        self, clone: GitFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Also where there are no tools that list processes, as in small container images."""
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("git", "sh", "mv", "sleep"):
            (tools / name).symlink_to(shutil.which(name) or "")
        monkeypatch.setenv("PATH", str(tools))
        file = slow_ssh(monkeypatch, tmp_path)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"git fetch did not finish within 1 s") as raised:
            run_transfer(clone.settings(), "fetch", "ssh://localhost/none", timeout_s=1)
        assert time.monotonic() - begun < 10
        assert raised.value.hint == "try again"
        assert has_ended(int(file.read_text()))

    def test_an_interrupt_ends_it(
        self, clone: GitFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = slow_ssh(monkeypatch, tmp_path)
        clone.git("remote", "set-url", "origin", "ssh://localhost/none")
        command = [sys.executable, "-m", "promptops", "release", "sync"]
        with ForkedPopen(command, cwd=clone.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            while not file.exists():
                assert child.poll() is None
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
        assert has_ended(int(file.read_text()))


class TestWhatIsLeftAlone:
    def test_fetch_head_is_the_users(self, clone: GitFolder, bare: GitFolder) -> None:
        """GitPython's own fetch writes it, and fails where it is not there."""
        bare.git("update-ref", STATE, commit_of(bare))
        assert fetch_state_branch(clone.settings(), "origin")
        assert not (clone.path / ".git/FETCH_HEAD").exists()

    def test_a_url_that_names_a_command_runs_none(self, clone: GitFolder, tmp_path: Path) -> None:
        file = tmp_path / "ran"
        clone.git("remote", "set-url", "origin", f"ext::sh -c touch% {file}")
        with pytest.raises(RemoteUnreachable, match="transport 'ext' not allowed"):
            fetch_state_branch(clone.settings(), "origin")
        assert not file.exists()

    def test_a_remote_with_the_name_of_an_option(self, clone: GitFolder, tmp_path: Path) -> None:
        file = tmp_path / "ran"
        with pytest.raises(RemoteUnreachable):
            fetch_state_branch(clone.settings(), f"--upload-pack=touch {file};")
        assert not file.exists()

    def test_no_terminal_is_asked_for_a_password(self, clone: GitFolder, tmp_path: Path) -> None:
        script = tmp_path / "ssh"
        script.write_text("#!/bin/sh\n(exec </dev/tty) 2>/dev/null && echo 'fatal: asked' >&2\nexit 1\n")
        script.chmod(0o755)
        clone.git("remote", "set-url", "origin", "ssh://localhost/none")
        shown = sync_on_terminal(clone, GIT_SSH=str(script), GIT_SSH_VARIANT="ssh")
        assert "cannot be reached" in shown
        assert "asked" not in shown


def test_gitpython_without_git_is_no_crash(clone: GitFolder) -> None:
    command = [sys.executable, "-m", "promptops", "release", "sync"]
    env = {**os.environ, "GIT_PYTHON_GIT_EXECUTABLE": "/nowhere/git"}
    done = subprocess.run(
        command, cwd=clone.path, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 4
    assert "GitPython cannot be loaded: Failed to initialize: Bad git executable." in done.stderr
    assert "unset GIT_PYTHON_GIT_EXECUTABLE" in done.stderr


def test_what_only_reads_releases_loads_no_gitpython() -> None:
    script = "import sys, promptops.release.context, promptops.git.remote; sys.exit('git' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)

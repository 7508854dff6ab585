"""Real git repositories for tests: built by git itself, with fixed names and times."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promptops.config.settings import Settings, find_settings
from promptops.git.repo import STATE_BRANCH, VERIFIED_REF

PROMPT = """\
description: Greet somebody.
model: {model}
parameters: {{temperature: {temperature}}}
inputs: {{who: string}}
messages:
  - role: user
    content: "{text} {{{{ who }}}}"
"""
WHO = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Grace",
    "GIT_COMMITTER_EMAIL": "grace@example.org",
}


def prompt_text(
    text: str = "Hello", *, model: str = "openai/gpt-4o-mini", temperature: float = 0, more: str = ""
) -> str:
    return PROMPT.format(text=text, model=model, temperature=temperature) + more


@dataclass(frozen=True)
class GitFolder:
    """A folder under git, and the git that works on it."""

    path: Path

    def git(self, *args: str, text: bytes | str | None = None, check: bool = True, **env: str) -> str:
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *args],
            cwd=self.path,
            env={**os.environ, **WHO, "LC_ALL": "C", **env},
            input=text.encode() if isinstance(text, str) else text,
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None deletes one."""
        for path, content in files.items():
            file = self.path / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(
        self, message: str = "change", files: Mapping[str, str | bytes | None] | None = None, *, day: int = 1
    ) -> str:
        self.write(files or {})
        self.git("add", "-A")
        when = f"2026-03-{day:02d}T12:00:00+0100"
        self.git(
            "commit", "-q", "--allow-empty", "-m", message, GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when
        )
        return self.git("rev-parse", "HEAD")

    def branch_from_files(self, ref: str, files: Mapping[str, str], *, parent: str | None = None) -> str:
        """Commit files to a ref with plumbing alone, as a branch that shares nothing with the work tree."""
        index = str(self.path / ".git" / "plumbing-index")
        Path(index).unlink(missing_ok=True)
        for path, content in files.items():
            oid = self.git("hash-object", "-w", "--stdin", text=content)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}", GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index)
        commit = self.git("commit-tree", tree, "-m", "state", *(["-p", parent] if parent else []))
        self.git("update-ref", ref, commit)
        return commit

    def verified_state(self, files: Mapping[str, str]) -> str:
        """A state branch written by hand that this repository takes for verified."""
        commit = self.branch_from_files(f"refs/heads/{STATE_BRANCH}", files)
        self.git("update-ref", VERIFIED_REF, commit)
        return commit

    def clone(self, to: Path, *options: str) -> "GitFolder":
        self.git("clone", "-q", *options, f"file://{self.path}", str(to))
        return GitFolder(to)

    def settings(self, below: str = ".") -> Settings:
        return find_settings(self.path / below, os.environ)


def new_repository(path: Path, *options: str) -> GitFolder:
    path.mkdir(parents=True, exist_ok=True)
    folder = GitFolder(path)
    folder.git("init", "-q", "-b", "main", *options)
    return folder

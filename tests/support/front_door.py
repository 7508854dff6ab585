"""What tests work with as users do: a git repository, and what a command line printed."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptops.config.registry_location import RegistryLocation, is_postgres_url
from promptops.config.settings import find_settings

GREET = """\
description: Greet somebody.
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 64}
inputs:
  name: string
messages:
  - role: system
    content: You greet people.
  - role: user
    content: "Greet {{ name }}."
metadata: {owner: door}
"""


@dataclass(frozen=True)
class Repo:
    """A git repository in a temporary folder, and the current directory of the test."""

    path: Path

    @property
    def registry(self) -> RegistryLocation:
        """Where what is called in it is logged."""
        return find_settings(self.path, os.environ).registry

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, check=True, capture_output=True, encoding="utf-8"
        )
        return done.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def start_as(self, name: str, build: Callable[[], Any]) -> None:
        """What ``build`` makes of the new repository; from the second time on a copy, which starts no git.

        Where a server keeps the log it is built each time: what was logged is not in the repository.
        """
        made = _made_before() / name
        if made.exists() and not is_postgres_url(os.environ.get("PROMPTOPS_REGISTRY", "")):
            shutil.copytree(made, self.path, dirs_exist_ok=True)
        else:
            self.path.mkdir(exist_ok=True)
            build()
            shutil.copytree(self.path, made, dirs_exist_ok=True)


@functools.cache
def _made_before() -> Path:
    folder = tempfile.mkdtemp(prefix="promptops-repositories-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


Cli = Callable[..., Finished]

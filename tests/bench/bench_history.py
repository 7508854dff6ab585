"""History and reading of 1,000 versions in a repository of 100,000 commits, beside git itself.

The repository has no commit-graph, as none has that was just cloned.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pairs import PASS, PROMPTOPS, show

from promptops.config.settings import Settings, find_settings
from promptops.git.repo import GitRepo
from promptops.registry import RegistryDatabase
from promptops.versions.history import read_history

T = TypeVar("T")
COMMITS, VERSIONS = 100_000, 1_000
PATH = "prompts/support/triage.yaml"
FOLDERS, FILES = 20, 25
PROMPT = """\
description: Route a support ticket.
model: openai/gpt-4o-mini
parameters: {{temperature: 0, seed: {number}}}
inputs: {{ticket: string}}
messages:
  - role: system
    content: |
      {filler}
  - role: user
    content: "{{{{ ticket }}}}"
"""


def main(arguments: Sequence[str] = ()) -> int:
    commits = int(arguments[0]) if arguments else COMMITS
    folder = Path(tempfile.mkdtemp(prefix="bench-history-"))
    try:
        build(folder, commits)
        os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
        settings = find_settings(folder, os.environ)
        listing(settings)
        reading(settings)
    finally:
        shutil.rmtree(folder)
    return 0


def build(folder: Path, commits: int) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        for piece in stream(commits):
            child.stdin.write(piece)
    for step in ("repack -adq", "reset -q --hard"):
        subprocess.run(["git", "-C", str(folder), *step.split()], check=True, capture_output=True)


def stream(commits: int) -> Iterator[bytes]:
    """Commits for ``git fast-import``: each hundredth is a version of the prompt, the others change code."""
    every = max(1, commits // VERSIONS)
    filler = " ".join(f"word{n}" for n in range(120))
    for number in range(commits):
        if number % every == 0:
            path, text = PATH, PROMPT.format(number=number, filler=filler)
        else:
            path, text = f"src/d{number % FOLDERS}/f{number % FILES}.py", f"x = {number}\n"
        data = text.encode()
        message = f"change {number}".encode()
        yield b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\n" % (
            1_600_000_000 + number * 60
        )
        yield b"data %d\n%s\nM 100644 inline %s\ndata %d\n%s\n" % (
            len(message),
            message,
            path.encode(),
            len(data),
            data,
        )


def listing(settings: Settings) -> None:
    log = ["git", "-C", str(settings.root), "log", "--format=%H", "--", PATH]
    with RegistryDatabase.open(settings.registry) as registry:
        cold, found = clocked(lambda: read_history("support/triage", settings, registry))
        assert len(found.versions) == VERSIONS
        pairs = [
            (
                clocked(lambda: read_history("support/triage", settings, registry))[0],
                clocked(lambda: quiet(log))[0],
                clocked(lambda: quiet(PASS))[0],
            )
            for _ in range(7)
        ]
    ours, theirs, start = (statistics.median(column) for column in zip(*pairs, strict=True))
    show("git log -- path, seconds", f"{theirs:.3f}", "-")
    show("history of 1,000 versions, cold, x git log", f"{cold / theirs:.2f}", "-")
    show("history of 1,000 versions, warm, x git log", f"{ours / theirs:.4f}", "<= 0.02")
    quiet([*PROMPTOPS, "-C", str(settings.root), "history", "support/triage", "--json"])
    whole = [
        clocked(lambda: quiet([*PROMPTOPS, "-C", str(settings.root), "history", "support/triage", "--json"]))[
            0
        ]
        for _ in range(7)
    ]
    show("promptops history, whole process, x python -c pass", f"{statistics.median(whole) / start:.1f}", "-")


def reading(settings: Settings) -> None:
    command = ["git", "-C", str(settings.root)]
    log = subprocess.run(
        [*command, "log", "--format=%H", "--", PATH], check=True, capture_output=True, text=True
    )
    wanted = [(sha, PATH) for sha in log.stdout.split()]
    names = "".join(f"{sha}:{path}\n" for sha, path in wanted).encode()

    def ours() -> list[bytes]:
        with GitRepo(settings) as repo:
            return repo.read_many(wanted)

    def theirs() -> bytes:
        return subprocess.run(
            [*command, "cat-file", "--batch"], input=names, check=True, capture_output=True
        ).stdout

    assert sum(map(len, ours())) < len(theirs())
    pairs = [(clocked(ours)[0], clocked(theirs)[0]) for _ in range(21)]
    ratio = statistics.median(mine / git for mine, git in pairs)
    show("reading 1,000 versions, x git cat-file --batch", f"{ratio:.2f}", "<= 1.3")


def quiet(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def clocked(action: Callable[[], T]) -> tuple[float, T]:
    clock = time.perf_counter()
    value = action()
    return time.perf_counter() - clock, value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

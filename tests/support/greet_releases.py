"""Two committed versions of one prompt, for tests of releases through the front door."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from promptops.registry import RegistryDatabase
from support.front_door import GREET, Cli, Finished, Repo

SALUTE = GREET.replace("Greet {{", "Salute {{")
CHECKED = "checks: [{max_words: 30}]\n"  # a plan of production guards quality
QUICK = ("--plan", "quick", "--yes")


def two_versions(repo: Repo, more: str = "") -> None:
    """HEAD~1 greets and HEAD salutes. Units are placed by their names, so that no test hangs on luck."""

    def build() -> None:
        if not (repo.path / "promptops.yaml").exists():
            repo.write("promptops.yaml", "plans: {quick: {unit: session}}\n")
        repo.write("prompts/greet.yaml", GREET + more)
        repo.write(".gitignore", "registry.db*\n")
        repo.commit("Greet people")
        repo.write("prompts/greet.yaml", SALUTE + more)
        repo.commit("Salute people")

    _start_as(repo, f"two versions {more}", build)


def _start_as(repo: Repo, name: str, build: Callable[[], None]) -> None:
    """As ``Repo.start_as`` in a repository that has nothing yet; any other is built on."""
    written = {path.name for path in repo.path.iterdir()} - {".git"}
    if written or (repo.path / ".git" / "index").exists():
        build()
    else:
        repo.start_as(sha256(name.encode()).hexdigest(), build)


def with_cases(repo: Repo) -> None:
    repo.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}, "checks": [{"contains": "Ada"}]}\n')


def go_live(cli: Cli, repo: Repo, *, cases: bool = False, more: str = "") -> None:
    """``greet@HEAD~1`` serves production. ``more``: lines of both prompt files."""
    more = f"cases: greet.cases.jsonl\n{more}" if cases else more

    def build() -> None:
        two_versions(repo, more)
        ok(cli("promote", "greet@HEAD~1", "--yes"))

    _start_as(repo, f"live {more}", build)


def ok(done: Finished) -> Finished:
    assert done.code == 0, done.out + done.err
    return done


def told(cli: Cli, *arguments: str) -> Any:
    return json.loads(ok(cli(*arguments, "--json")).out)


def channel(cli: Cli, prompt: str = "greet", name: str = "production") -> Any:
    """What ``release show`` says of a channel now."""
    return told(cli, "release", "show", f"{prompt}:{name}")


def versions(cli: Cli) -> tuple[str | None, str | None]:
    """The stable version and the canary of ``greet:production``."""
    state = channel(cli)
    return state["stable"]["version"], state["rollout"] and state["rollout"]["canary"]["version"]


def subjects(repo: Repo) -> list[str]:
    """Of the commits on the state branch, newest first."""
    return repo.git("log", "--format=%s", "promptops-state").splitlines()


def runs(repo: Repo) -> list[dict[str, Any]]:
    """What is logged, oldest first."""
    with RegistryDatabase.open(repo.registry) as registry:
        return [dict(row) for row in registry.read("SELECT * FROM runs ORDER BY seq")]


def a_remote(repo: Repo, path: Path) -> Path:
    """A bare remote called origin that has main; pushing to it works."""
    repo.git("init", "-q", "--bare", "-b", "main", str(path))
    repo.git("remote", "add", "origin", str(path))
    repo.git("push", "-q", "-u", "origin", "main")
    repo.git("remote", "set-head", "origin", "main")
    return path

"""Every verb that writes, killed at random moments: nothing acknowledged is lost, nothing left blocks."""

import json
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptops.cli.verbs import leaf_verbs
from promptops.config.settings import find_settings
from promptops.registry import RegistryDatabase, ReviewLabel, claim_item
from promptops.review.labels import label_item
from support.front_door import GREET, Repo
from support.greet_releases import SALUTE, a_remote
from support.killed_commands import Ended, run_until_killed
from support.provider import Provider, reply

JUDGE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {name: string, output: string}
messages: [{role: user, content: "Judge {{ output }} for {{ name }}."}]
output:
  schema: {type: object, properties: {score: {type: integer, minimum: 1, maximum: 5}}, required: [score]}
"""
MIGRATED = "openai/gpt-4o-mini-2024-07-18=openai/gpt-4.1-nano-2025-04-14"
PLANS = """\
channels: {beta: {}, gamma: {}}
alerts: {to: [{command: ["true"]}], budgets: [{usd_per_day: 1.0e-9}]}
plans:
  quick: {unit: session}
  approved:
    eval: null
    quality: optional
    unit: session
    steps: [{weight: 5}, {approval: manual}, {weight: 50}]
  shadowed:
    shadow: {sample: 8, min_pairs: 4, require: undecided_ok, max_usd: 1}
    eval: null
    quality: optional
    unit: session
"""
SHADOWED = ("--inputs", "inputs.jsonl")
SAY = ("--reason", "kills")
IDLE: dict[str, tuple[str, ...]] = {
    "bisect": ("bisect", "greet", "--good", "HEAD~2", "--cases", "prompts/greet.cases.jsonl"),
    "batch": ("batch", "greet", "inputs.jsonl", "--out", "answers.jsonl"),
    "cache clear": ("cache", "clear"),
    "canary": ("canary", "greet@HEAD", "--plan", "quick", "--yes"),
    "cases add": ("cases", "add", "greet", "--run", "RUN", "--approve"),
    "cases add file": ("cases", "add", "greet", "--from", "inputs.jsonl"),
    "checks suggest": ("checks", "suggest", "greet", "--write"),
    "eval": ("eval", "greet"),
    "export": ("export", "greet", "--format", "promptfoo", "--out", "foo.yaml"),
    "feedback": ("feedback", "RUN", "up"),
    "history": ("history", "greet"),
    "hooks install": ("hooks", "install"),
    "hooks run": ("hooks", "run", "commit-msg", "message.txt"),
    "import": ("import", "elsewhere"),
    "init": ("init", "--ci", "github"),
    "judge calibrate": ("judge", "calibrate", "quality", "--labels", "labels.jsonl", "--votes", "1"),
    "judge score": ("judge", "score", "greet", "--judge", "quality", "--sample", "1"),
    "lint --fix": ("lint", "--fix"),
    "monitor check": ("monitor", "check", "--all"),
    "monitor notify": ("monitor", "notify"),
    "monitor inputs": ("monitor", "inputs", "greet", "--add"),
    "new": ("new", "other"),
    "keys new": ("keys", "new", "acme"),
    "keys revoke": ("keys", "revoke", "KEY"),
    "promote": ("promote", "greet@HEAD", "--yes", "--force", *SAY),
    "registry copy": ("registry", "copy", "registry.db", "../copy.db"),
    "registry erase": ("registry", "erase", "--unit", "u0", "--yes"),
    "registry prune": ("registry", "prune", "--older-than", "30d"),
    "registry recover": ("registry", "recover", "--swap"),
    "release bundle": ("release", "bundle", "--out", "prompts.bundle"),
    "release init": ("release", "init", "--codeowners", "@team"),
    "release recover": ("release", "recover"),
    "review cases": ("review", "cases", "greet", "--code", "rude"),
    "review check": ("review", "check", "greet", "--code", "rude", "--write"),
    "review codes": ("review", "codes", "greet", "--merge", "rude=curt"),
    "review start": ("review", "start", "greet", "--sample", "1"),
    "rollback": ("rollback", "greet"),
    "run": ("run", "greet", "-i", "name=Ada"),
    "run channel": ("run", "greet:production", "--unit", "u1", "-i", "name=Ada"),
    "runs export": ("runs", "export", "--for-release", "--out", "runs.jsonl"),
    "runs finish": ("runs", "finish", "PREPARED", "--from", "reply.json"),
    "runs replay": ("runs", "replay", "RUN"),
    "runs search": ("runs", "search", "Hello"),
    "runs import": ("runs", "import", "../exported.jsonl"),
    "shadow migrate": ("shadow", "migrate", "greet", "--model", MIGRATED, *SHADOWED),
    "shadow noise": ("shadow", "noise", "greet@HEAD", *SHADOWED),
    "shadow on": ("shadow", "on", "greet", "--version", "HEAD", "--sample", "1", "--max-usd", "1"),
    "shadow run": ("shadow", "run", "greet@HEAD", "--against", "greet@HEAD~1", *SHADOWED),
}
"""What is done while no canary is active, by name."""

ACTIVE: dict[str, tuple[str, ...]] = {
    "approve": ("release", "approve", "greet:staging"),
    "gate": ("release", "gate", "greet:gamma", *SHADOWED, "--yes"),
    "hooks uninstall": ("hooks", "uninstall"),
    "resume": ("release", "resume", "greet:beta"),
    "abort": ("release", "abort", "greet", *SAY),
    "pause": ("release", "pause", "greet", *SAY),
    "promote canary": ("promote", "greet", "--force", *SAY),
    "release sync": ("release", "sync"),
    "rollback canary": ("rollback", "greet"),
    "run canary": ("run", "greet:production", "--unit", "u2", "-i", "name=Ada"),
    "shadow drain": ("shadow", "drain", "--wait"),
    "shadow off": ("shadow", "off", "greet"),
    "tick": ("tick", "greet"),
}
"""What is done while one is, with a shadow beside it and commits that are not pushed yet."""

KILLED = IDLE | ACTIVE
READ_ONLY = {
    *("cache stats", "cases list", "cases stats", "cases validate", "completions", "diff", "doctor"),
    *("hooks status", "jobs list", "keys list", "last", "list", "release forecast", "release log"),
    *(
        "release show",
        "release verify",
        "release wait",
        "render",
        "review status",
        "runs list",
        "runs report",
    ),
    *("runs show", "runs stats", "schema", "shadow list", "shadow show", "shadow status", "show", "status"),
}
"""Verbs that change no file, branch or row, so that killing one changes nothing either."""

KILLED_ELSEWHERE = {
    *("chat", "serve", "ui"),  # tests/cli/test_chat_processes.py, gateway, web
    *("jobs cancel", "jobs collect"),  # tests/runner/batch/test_provider_batch_kills.py
}
LEFT_WAITING = {"monitor notify": (5,)}  # what it was sending is sent by nobody else for some minutes


@dataclass(frozen=True)
class Project:
    """A folder with a repository and the remote that it pushes to. ``words``: ids in command lines."""

    home: Path
    words: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.home / "repo"

    def copy(self, to: Path) -> "Project":
        shutil.copytree(self.home, to, symlinks=True)
        return Project(to, self.words)

    def line(self, verb: str) -> list[str]:
        return [self.words.get(word, word) for word in KILLED[verb]]

    def logged(self) -> dict[str, str]:
        """The state of every run that has ended; of a sound registry."""
        with closing(sqlite3.connect(self.folder / "registry.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return dict(connection.execute("SELECT run_id, state FROM runs WHERE state != 'started'"))

    def state(self) -> str:
        return Repo(self.folder).git("rev-parse", "promptops-state")


Run = Callable[..., Ended]


@pytest.fixture
def run(provider: Provider) -> Run:
    provider.script = lambda request: reply(
        {"role": "assistant", "content": '{"score": 4}' if "Judge" in str(request.body) else "Hello Ada"}
    )
    return run_until_killed


@pytest.fixture
def idle(run: Run, tmp_path: Path) -> Project:
    home = tmp_path / "idle"
    (home / "repo").mkdir(parents=True)
    repo = Repo(home / "repo")
    repo.git("init", "-q", "-b", "main")
    more = "cases: greet.cases.jsonl\n"
    repo.write("elsewhere/promptfooconfig.yaml", "prompts: ['Hi {{who}}']\nproviders: [openai:gpt-4o]\n")
    repo.write("labels.jsonl", '{"inputs": {"name": "Ada", "output": "Hello"}, "label": 4}\n' * 3)
    repo.write("message.txt", "Welcome Windows\n")
    repo.write("promptops.yaml", PLANS)
    repo.write("prompts/greet.yaml", GREET + more)
    repo.write("prompts/quality.yaml", JUDGE)
    repo.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}, "checks": [{"contains": "Ada"}]}\n')
    repo.write(".gitignore", "registry.db*\n*.jsonl\n")
    repo.write("inputs.jsonl", "".join(f'{{"inputs": {{"name": "n{n}"}}}}\n' for n in range(8)))
    repo.write("reply.json", '{"output": "Hello"}')
    repo.commit("Greet people")
    repo.write("prompts/greet.yaml", SALUTE + more)
    repo.commit("Salute people")
    repo.write("prompts/greet.yaml", SALUTE.replace("Salute", "Welcome") + more)
    repo.commit("Welcome people")
    repo.write("prompts/windows.yaml", GREET.replace("\n", "\r\n"))
    repo.git("add", "prompts/windows.yaml")
    a_remote(repo, home / "origin.git")
    repo.git("remote", "set-url", "origin", "../origin.git")
    for line in (
        ("promote", "greet@HEAD~2", "--yes"),
        ("promote", "greet@HEAD~1", "--yes", "--force", *SAY),
        *(("promote", "greet@HEAD~1", "--to", channel, "--yes") for channel in ("staging", "beta", "gamma")),
        ("run", "greet:production", "--unit", "u0", "-i", "name=Ada"),
        ("runs", "export", "--for-release", "--out", "../exported.jsonl"),
        ("review", "start", "greet", "--sample", "1"),
    ):
        assert run(repo.path, *line).code == 0
    _label_failure(repo)
    key = re.findall(r"key (\S+) of acme", run(repo.path, "keys", "new", "acme").output)[0]
    prepared = json.loads(run(repo.path, "run", "greet", "-i", "name=Ada", "--prepare").output)["run_id"]
    project = Project(home, {"PREPARED": prepared, "KEY": key})
    (finished,) = [run_id for run_id, state in project.logged().items() if state == "finished"]
    return Project(home, {**project.words, "RUN": finished})


def _label_failure(repo: Repo) -> None:
    """A person says of the one answer what is wrong with it."""
    with RegistryDatabase.open(repo.registry) as registry:
        item = claim_item(registry, 1, "Ada")
        assert item
        label = ReviewLabel(reviewer="Ada", passed=False, rubric="", codes=("rude",), answer="Good day")
        label_item(registry, item.id, label, find_settings(repo.path, {}).log)


@pytest.fixture
def active(run: Run, idle: Project, tmp_path: Path) -> Project:
    project = idle.copy(tmp_path / "active")
    for line in (
        ("shadow", "on", "greet", "--version", "HEAD", "--sample", "1", "--max-usd", "1"),
        ("canary", "greet@HEAD", "--plan", "quick", "--yes", "--local"),
        ("canary", "greet@HEAD", "--plan", "approved", "--to", "staging", "--yes", "--local"),
        ("tick", "greet:staging", "--local"),
        ("canary", "greet@HEAD", "--plan", "quick", "--to", "beta", "--yes", "--local"),
        ("release", "pause", "greet:beta", *SAY, "--local"),
        ("canary", "greet@HEAD", "--plan", "shadowed", "--to", "gamma", "--yes", "--local"),
        ("hooks", "install"),
        ("run", "greet:production", "--unit", "u0", "-i", "name=Ada"),
    ):
        done = run(project.folder, *line)
        assert done.code in {0, 5}, done.output  # 5: on this machine only
    return project


def survive_kills(
    run: Run, projects: tuple[Project, Project], folder: Path, verbs: list[str], kills: int, seed: int
) -> None:
    """Kill each verb in its turn at a moment of its usual time, each time in a fresh copy of a project."""
    rng = random.Random(seed)
    usual: dict[str, tuple[float, int, int]] = {}
    killed = 0
    for number in range(kills):
        verb = verbs[number % len(verbs)]
        start = projects[verb in ACTIVE]
        if verb not in usual:
            usual[verb] = _undisturbed(run, start.copy(folder / f"{verb} whole"), verb)
        seconds, *codes = usual[verb]
        project = start.copy(folder / f"{verb} {number}")
        runs, state = project.logged(), project.state()
        ended = run(project.folder, *project.line(verb), kill_after=rng.uniform(0, seconds))
        killed += ended.code == -9
        doctor, verified = run(project.folder, "doctor"), run(project.folder, "release", "verify")
        assert (doctor.code, verified.code) == (0, 0), (verb, doctor, verified)
        again = run(project.folder, *project.line(verb))
        after = [*codes, *LEFT_WAITING.get(verb, ())] if ended.code == -9 else codes[1:]
        assert again.code in after, (verb, codes, again)
        assert runs.items() <= project.logged().items(), verb
        assert Repo(project.folder).git("merge-base", state, "promptops-state") == state, verb
        shutil.rmtree(project.home)
    assert killed >= kills / 4  # the others were done sooner than usual, on a machine that has become idle


def _undisturbed(run: Run, project: Project, verb: str) -> tuple[float, int, int]:
    """How long a verb takes, and the codes that it ends with when it is done and done again."""
    first = run(project.folder, *project.line(verb))
    again = run(project.folder, *project.line(verb))
    assert first.code in {0, 1, 3}, (verb, first)
    return first.seconds, first.code, again.code


def test_every_verb_is_killed_or_only_reads() -> None:
    verbs = {" ".join(path) for path in leaf_verbs()}
    killed = {
        verb for verb in verbs for line in KILLED.values() if f"{' '.join(line)} ".startswith(f"{verb} ")
    }
    assert not killed & READ_ONLY
    assert verbs == killed | READ_ONLY | KILLED_ELSEWHERE


@pytest.mark.slow
def test_a_few_kills(run: Run, idle: Project, active: Project, tmp_path: Path) -> None:
    survive_kills(run, (idle, active), tmp_path, ["batch", "promote", "tick", "registry recover"], 4, seed=7)


@pytest.mark.thorough
def test_every_verb_that_writes_is_killed(run: Run, idle: Project, active: Project, tmp_path: Path) -> None:
    kills = int(os.environ.get("PROMPTOPS_KILLS", len(KILLED)))  # 204 take about ten minutes
    survive_kills(run, (idle, active), tmp_path, list(KILLED), kills, seed=11)

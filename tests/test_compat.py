"""What an earlier commit has written stays readable, and means the same.

``fixtures/d3408ec`` holds what the code of that commit made, and what it printed then. Nothing in there is
ever made again by later code: a change that needs another golden value takes something from users.
"""

import gzip
import io
import json
import math
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops import Workspace
from promptops.cli.verbs import MOVED_VERBS, VERBS
from promptops.prompt.canonical_json import canonical_json, compact_json
from promptops.release.assignment import bucket, on_canary, salt_of
from support.front_door import Cli, Repo
from support.provider import Answer, Provider, Received, echo, reply, text


def _fixtures() -> Path:
    folders = (parent / "fixtures" / "d3408ec" for parent in Path(__file__).parents)
    return next(folder for folder in folders if folder.is_dir())


FIXTURES = _fixtures()


def golden(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


DIGESTS = golden("digests")
JSON_FORMAT = {
    "odd/spelling": (
        "sha256:7e7037a40a2ee84aa07f96330c0e7899d0705827369cad03d6f84992d874fd83",
        "sha256:22a0e322875f72c5e148a3b7c5293fa2254f9e151d302e6f61f2418a2a83eb52",
    )
}
"""Digests of then and of now, of what prints a boolean: files that no release names have format 2. The digest
of then still names the version of then (see ``versions/test_recorded_format.py``)."""

NOW_SPELLED = {
    "runs list -n 6 --json": "runs list --all -n 6 --json",
    "runs list -n 29 --json": "runs list --all -n 29 --json",
}
"""Steps whose defaults list less than they did."""


@pytest.fixture
def prompts(repo: Repo) -> Repo:
    """The prompt files of then, committed."""
    shutil.copytree(FIXTURES / "prompts", repo.path / "prompts")
    repo.commit()
    return repo


def test_digests_have_not_moved(prompts: Repo, cli: Cli) -> None:
    for revision in ("", "@HEAD"):
        for name, known in DIGESTS.items():
            if name in JSON_FORMAT:
                now = JSON_FORMAT[name][1]
                assert json.loads(cli("show", f"{name}{revision}", "--json").out)["digest"] == now
            reference = f"{name}@{JSON_FORMAT[name][0]}" if name in JSON_FORMAT else f"{name}{revision}"
            shown = json.loads(cli("show", reference, "--json").out)
            assert {key: shown[key] for key in known} == known, name


def test_every_prompt_of_the_folder_has_a_golden_digest(prompts: Repo, cli: Cli) -> None:
    listed = json.loads(cli("list", "--json").out)
    assert {each["prompt"]: each["digest"] for each in listed} == {
        name: JSON_FORMAT[name][1] if name in JSON_FORMAT else known["digest"]
        for name, known in DIGESTS.items()
    }


@pytest.mark.parametrize("known", golden("canonical_json"), ids=lambda known: known["canonical"][:20])
def test_json_has_the_same_bytes(known: Any) -> None:
    assert canonical_json(known["value"]).decode() == known["canonical"]
    assert compact_json(known["value"]) == known["compact"]


def test_units_meet_the_arm_that_they_met() -> None:
    known = golden("assignments")
    for each in known["salts"]:
        assert salt_of(each["prompt"], each["channel"], each["digest"]) == each["salt"]
    for each in known["assignments"]:
        for unit, place in each["buckets"]:
            assert bucket(each["salt"], unit) == place
            assert not on_canary(each["salt"], unit, place)
            assert on_canary(each["salt"], unit, place + 1)


GOLDENS = golden("verbs")
VARIES = "≈"  # an id, an age, a latency: differed between two copies of the project when it was printed
PROSE = {"changed", "commands", "headline", "hint", "holds", "next", "reasons", "sentence"}
"""Sentences for people: their wording may get better. What they say stands beside them as numbers."""
ESTIMATES = {"calls_needed", "e_values", "high", "trail"}
"""What a later engine finds or expects sooner. Stored evidence keeps its engine."""
FILE_SIZES = {"bytes_before", "bytes_after"}
"""Of a registry, to which each schema adds tables and indexes."""
ACCIDENTS = {"latencies"}  # of `runs stats`: null, and there only where no call had a latency
YOUNGER = {  # verb -> why no golden value of then can exist
    **dict.fromkeys(("serve", "keys new", "keys list", "keys revoke"), "there was no gateway"),
    **dict.fromkeys(("jobs list", "jobs collect", "jobs cancel"), "no provider's batch service was called"),
    "ui": "there were no pages",
    **dict.fromkeys(("import", "export"), "other tools were other tools"),
    **dict.fromkeys(("monitor check", "monitor inputs", "monitor notify"), "nothing was watched"),
    **dict.fromkeys(("chat", "last"), "there were no conversations"),
    "runs report": "there were no reports over time",
    **dict.fromkeys(
        ("review start", "review status", "review codes", "review cases", "review check"),
        "nothing was reviewed",
    ),
    "registry erase": "nothing was erased by person",
    "registry copy": "a registry was one file",
    "release gate": "it was `shadow run --rollout`",
    "shadow migrate": "it was `shadow run --all`",
    "shadow noise": "it was `shadow run --aa`",
}


def verb_of(step: str) -> str:
    """The verb of a command line, by the name that it has today."""
    words = step.split(" ")
    if words[0] == "--registry":
        words = words[2:]
    path = tuple(words[:2]) if VERBS[words[0]].parts else (words[0],)
    return " ".join(MOVED_VERBS.get(path, path))


def every_verb() -> set[str]:
    return {f"{name} {part}".strip() for name, verb in VERBS.items() for part in verb.parts or [""]}


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    """The project of then: its repository, its registry and what lies beside that."""
    provider.script = answer

    def build() -> None:
        repo.git("fetch", "-q", "--update-head-ok", str(FIXTURES / "project.bundle"), "+refs/*:refs/*")
        repo.git("reset", "-q", "--hard")
        registry = gzip.decompress((FIXTURES / "runs.sqlite.gz").read_bytes())
        (repo.path / "registry.db").write_bytes(registry)
        shutil.copytree(FIXTURES / "files", repo.path, dirs_exist_ok=True)

    repo.start_as("project of d3408ec", build)
    return repo


def answer(request: Received) -> Answer:
    """As the models of then answered: see ``make.py``."""
    if b"Grade" in request.raw:
        return text('{"score": 4}')
    if b'"tools"' in request.raw:
        function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
        call = {"id": "call_1", "type": "function", "function": function}
        return reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
    return text("Go away.") if b"Ignore" in request.raw else echo(request)


def lost(known: Any, now: Any, where: str = "") -> Iterator[str]:
    """What was printed then and is missing or different now. More may be printed."""
    if known == VARIES or (known, now) in JSON_FORMAT.values():
        return
    if isinstance(known, dict) and isinstance(now, dict):
        yield from (f"{where}.{key} is missing" for key in known.keys() - now.keys() - ACCIDENTS)
        for key in known.keys() & now.keys():
            pair = (known[key], now[key])
            if key == "notes" and len(now[key]) >= len(known[key]):  # sentences, of which there may be more
                continue
            if key in FILE_SIZES:
                pair = (type(pair[0]), type(pair[1]))
            if key in ESTIMATES and VARIES not in pair and ("questions" in where or key == "calls_needed"):
                pair = (type(pair[0]), type(pair[1]))
            yield from lost(*(map(shape, pair) if key in PROSE else pair), f"{where}.{key}")
    elif isinstance(known, list) and isinstance(now, list) and len(known) == len(now):
        for number, (one, other) in enumerate(zip(known, now, strict=True)):
            yield from lost(one, other, f"{where}[{number}]")
    elif not equal(known, now):
        yield f"{where} was {known!r} and is {now!r}"


def equal(known: Any, now: Any) -> bool:
    """Sums of floats depend on the order of their parts, in the last digits."""
    both = isinstance(known, float) and isinstance(now, float)
    return math.isclose(known, now, rel_tol=1e-9) if both else known == now


def shape(value: Any) -> Any:
    """A text as whether there is one, a list of texts as how many."""
    if isinstance(value, list):
        return [shape(each) for each in value]
    return bool(value) if isinstance(value, str) and value != VARIES else value


def test_every_verb_has_opened_the_project_of_then() -> None:
    covered = {verb_of(step) for known in GOLDENS for step in known["steps"]}
    assert covered | YOUNGER.keys() == every_verb()
    assert not covered & YOUNGER.keys()


@pytest.mark.parametrize("known", GOLDENS, ids=lambda known: "; ".join(known["steps"])[:90])
def test_verb(known: Any, project: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = []
    for step in known["steps"]:
        command, _, given = NOW_SPELLED.get(step, step).partition(" < ")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        done = cli(*command.split(" "))
        codes.append(done.code)
    assert list(lost(known["codes"], codes)) == [], done.out + done.err
    if "out" in known:
        lines = "tick --all" in known["steps"][-1]
        now = [json.loads(line) for line in done.out.splitlines()] if lines else json.loads(done.out)
        assert list(lost(known["out"], now)) == []
    cli("shadow", "drain", "--wait")  # so that none is at work when the folder goes


def test_doctor_finds_all_of_it(project: Repo, cli: Cli) -> None:
    found = {each["about"]: each["state"] for each in json.loads(cli("doctor", "--json").out)}
    assert {about: found[about] for about in ("plans", "registry", "releases", "spool")} == {
        "plans": "ok", "registry": "ok", "releases": "ok", "spool": "warning"
    }  # fmt: skip


def test_the_registry_is_the_one_of_then(project: Repo) -> None:
    """Else the goldens would be of less than they seem: what the project has to hold."""
    with sqlite3.connect(project.path / "registry.db") as registry:
        kinds = dict(registry.execute("SELECT kind, count(*) FROM runs GROUP BY kind"))
        assert kinds.keys() == {"run", "batch", "eval", "shadow", "judge"}
        states = {state for (state,) in registry.execute("SELECT DISTINCT state FROM runs")}
        assert states >= {"started", "finished", "failed"}
        for holds in (
            "batches WHERE finished_at IS NULL",
            "jobs WHERE done_at IS NULL",
            "eprocesses",
            "evals",
        ):
            (count,) = registry.execute(f"SELECT count(*) FROM {holds}").fetchone()
            assert count, holds
    assert len(list((project.path / "registry.db-spool").glob("*.json"))) == 2
    moves = project.git("log", "--format=%s", "promptops-state")
    for move in ("v1 → v2", "rolled back", "paused", "resumed", "awaiting", "shadow", "25% → 50%"):
        assert move in moves


def test_running_canaries_do_not_move(project: Repo, cli: Cli) -> None:
    """Every unit that the log has of the running canary still meets the arm that it met."""
    lines = (json.loads(line) for line in (FIXTURES / "arms.jsonl").read_text().splitlines())
    with Workspace.open(project.path) as workspace:
        for unit, arm in lines:
            met = workspace.prepare("reply:production", {"letter": "x"}, unit=unit)
            assert met.arm == arm, unit

"""Recorded migrations of real models, replayed: verdicts in the known direction, flips exactly as known."""

import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from promptops.evaluation.shadow.aggregator import ShadowAggregator
from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair
from support.front_door import Cli, Repo
from support.replay_server import replay

PROMPT = """\
model: openai/{version}
parameters: {{temperature: 0, max_tokens: 500}}
inputs: {{question: string}}
messages: [{{role: user, content: "{{{{ question }}}}"}}]
checks: [{{python: "grading_{name}:correct"}}]
"""
# What was recorded as right is the grade: the rules of five benchmarks are theirs.
GRADING = """\
import json, pathlib

RIGHT = set(map(tuple, json.loads(pathlib.Path({file!r}).read_text("utf-8"))))

def correct(output, expected):
    return (expected, output) in RIGHT
"""
FILES = (
    "llmdrift/prime-gpt4",
    "llmdrift/prime-gpt35",
    "llmdrift/sensitive-gpt4",
    "gsm8k-systems/pairs-175b",
    "mmlupro/mistral-v01-to-v02",
    "bbh-prompt-change/pairs",
)
DIRECTIONS = {"regress": "worse", "improve": "better"}


def recorded(shared: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared / f"data/{name}.jsonl").read_text("utf-8").splitlines()]


def known(shared: Path, name: str) -> dict[str, Any]:
    index = json.loads((shared / "data/INDEX-verdicts.json").read_text("utf-8"))
    return next(each for each in index if each["file"] == f"{name}.jsonl")


@contextmanager
def replayed(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with replay(shared, f"{name}.jsonl") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield


def written(repo: Repo, name: str, pairs: list[dict[str, Any]]) -> None:
    """A prompt whose model is the candidate, one commit after the baseline's; the items with their tasks."""
    right = [(p["id"], p[s]["output"]) for p in pairs for s in ("baseline", "candidate") if p[s]["correct"]]
    repo.write("right.json", json.dumps(right))
    module = re.sub("[^a-z0-9]", "_", name)  # imported once in a process, so each data set has its own
    repo.write(f"grading_{module}.py", GRADING.format(file=str(repo.path / "right.json")))
    items = [
        {"id": p["id"], "inputs": {"question": p["prompt"]}, "expected": p["id"], "tags": [p["task"]]}
        for p in pairs
    ]
    repo.write("items.jsonl", "\n".join(map(json.dumps, items)) + "\n")
    for side in ("baseline", "candidate"):
        repo.write("prompts/solve.yaml", PROMPT.format(version=side, name=module))
        repo.commit(side)


@pytest.mark.thorough
@pytest.mark.parametrize("backwards", [False, True])
def test_a_full_run_breaks_and_fixes_what_is_known(
    cli: Cli, repo: Repo, shared: Path, monkeypatch: pytest.MonkeyPatch, *, backwards: bool
) -> None:
    name = "llmdrift/prime-gpt4"
    truth = known(shared, name)
    written(repo, name, recorded(shared, name))
    versions = ("solve@HEAD~1", "solve@HEAD") if backwards else ("solve@HEAD", "solve@HEAD~1")
    with replayed(shared, name, monkeypatch):
        done = cli(
            "shadow",
            "run",
            versions[0],
            "--against",
            versions[1],
            "--inputs",
            "items.jsonl",
            "--until",
            "all",
            "-j",
            "4",
            "--json",
        )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    flips = (truth["fixed"], truth["broke"]) if backwards else (truth["broke"], truth["fixed"])
    assert (found["broke_total"], found["fixed_total"], found["pairs"]) == (*flips, truth["n"])
    assert found["verdict"] == ("better" if backwards else "worse")
    tasks = {each["name"].partition(":")[0]: each for each in found["tags"]}
    assert tasks["prime"]["difference"] == pytest.approx(0.952 if backwards else -0.952)
    assert tasks["composite"]["difference"] == pytest.approx(-0.294 if backwards else 0.294)


@pytest.mark.parametrize("name", ["llmdrift/sensitive-gpt4", "gsm8k-systems/pairs-175b"])
def test_a_run_that_stops_early_goes_in_the_known_direction(
    cli: Cli, repo: Repo, shared: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written(repo, name, recorded(shared, name))
    with replayed(shared, name, monkeypatch):
        done = cli(
            "shadow", "run", "solve@HEAD", "--against", "solve@HEAD~1", "--inputs", "items.jsonl", "--json"
        )
    found = json.loads(done.out)
    assert found["verdict"] == DIRECTIONS[known(shared, name)["verdict"]]
    assert found["stopped"] == "verdict"


# ---- the counts alone, over many orders


def pair_of(
    recorded: dict[str, Any], number: int, sides: tuple[str, str] = ("baseline", "candidate")
) -> ShadowPair:
    control, candidate = (
        ShadowAnswer(run_id=side, output="", checks={"correct": bool(recorded[side]["correct"])})
        for side in sides
    )
    return ShadowPair(number=number, source=None, inputs={}, tags=(), control=control, candidate=candidate)


def verdict_after(pairs: list[ShadowPair]) -> tuple[str, int]:
    """Looked at after every pair; the verdict, and how many pairs it took."""
    evidence = ShadowAggregator("checks", 0.03).evidence
    for number, pair in enumerate(pairs, 1):
        evidence.add(float(pair.control.passed) - float(pair.candidate.passed))
        if evidence.decided:
            return str(evidence.verdict), number
    return "undecided", len(pairs)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("backwards", [False, True])
def test_every_known_change_is_told_in_its_direction(shared: Path, name: str, *, backwards: bool) -> None:
    truth = known(shared, name)
    sides = ("candidate", "baseline") if backwards else ("baseline", "candidate")
    pairs = [pair_of(each, number, sides) for number, each in enumerate(recorded(shared, name))]
    wanted = DIRECTIONS[truth["verdict"]]
    if backwards:
        wanted = {"worse": "better", "better": "worse"}[wanted]
    whole = ShadowAggregator("checks", 0.03)
    for pair in pairs:
        whole.add(pair)
    regressed, improved = whole.comparison.regressed.total, whole.comparison.improved.total
    flips = (improved, regressed) if backwards else (regressed, improved)
    assert flips == (truth["broke"], truth["fixed"])
    assert str(whole.evidence.verdict) == wanted
    draw = random.Random(6)
    found = []
    for _ in range(20):
        draw.shuffle(pairs)
        found.append(verdict_after(pairs))
    opposite = {"worse": "better", "better": "worse"}[wanted]
    assert sum(word == opposite for word, _ in found) <= 1
    assert sum(word in (wanted, "not worse") for word, _ in found) >= 15


@pytest.mark.no_cover
def test_prime_is_decided_within_150_pairs(shared: Path) -> None:
    pairs = [pair_of(each, number) for number, each in enumerate(recorded(shared, "llmdrift/prime-gpt4"))]
    draw = random.Random(6)
    found = []
    for _ in range(101):
        draw.shuffle(pairs)
        found.append(verdict_after(pairs))
    assert median(number for _, number in found) <= 150
    assert sum(word == "worse" for word, _ in found) >= 95


@pytest.mark.no_cover
@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_version_against_itself_stays_within_alpha(shared: Path, side: str) -> None:
    """Each answer of one side against that of another item, with a look after every pair."""
    items = recorded(shared, "llmdrift/prime-gpt4")
    draw = random.Random(6)
    alarms = {"worse": 0, "better": 0}
    for _ in range(200):
        draw.shuffle(items)
        evidence = ShadowAggregator("checks", 0.03).evidence
        for one, other in zip(items[::2], items[1::2], strict=True):
            evidence.add(float(bool(one[side]["correct"])) - float(bool(other[side]["correct"])))
        alarms["worse"] += evidence.worse.rejects(0.05)
        alarms["better"] += evidence.better.rejects(0.05)
    assert max(alarms.values()) <= 16  # 5 % of 200, and two standard errors

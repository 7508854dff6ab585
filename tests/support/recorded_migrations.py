"""Recorded migrations from one model to another, released through the front door.

Two committed versions of one prompt pin the model before and the one after; traffic comes by ``batch``,
whether an answer was right is fed back as an outcome, and ``tick`` looks after every ten calls.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from support.front_door import Cli, Repo
from support.greet_releases import ok

PROMPT = """\
model: openai/{version}
parameters: {{temperature: 0, max_tokens: 2000, seed: {seed}}}
inputs: {{question: string}}
messages: [{{role: user, content: "{{{{ question }}}}"}}]
"""
PLANS = """\
plans:
  recorded:
    eval: null
    unit: session
    steps: [{weight: 50, min_canary: 30}]
    promote: {require: all_guards, goals: [GOALS]}
    observe: {call_timeout: 120s, feedback_window: 1h}
    metrics:
      - {name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.20}
      - {name: correct, kind: binary, source: outcome.correct, worse: lower, role: guard, margin: 0.05}
"""
EACH = 10  # calls between two ticks
AT_ONCE = 4  # more would wait to be accepted by the provider
SIDES = {"v1": "baseline", "v2": "candidate"}
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Migration:
    """One recorded pair of models (or prompts). Paths below the shared data."""

    name: str
    pairs: str
    truth: str
    task: str  # its key in the truth file, and what its items are called

    def items(self, shared: Path, seed: int = 7) -> list[Item]:
        """In an order of their own."""
        found = [each for each in _lines(shared / "data" / self.pairs) if each["task"] == self.task]
        random.Random(seed).shuffle(found)
        return found

    def truth_of(self, shared: Path) -> Mapping[str, Any]:
        """``verdict``: improve, regress or no significant change, by McNemar's exact test on all items."""
        found: dict[str, Any] = json.loads((shared / "data" / self.truth).read_text("utf-8"))[self.task]
        return found


@cache
def _lines(file: Path) -> list[Item]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _llmdrift(what: str, model: str, task: str, versions: str) -> Migration:
    file = f"{what}-{model}"
    return Migration(
        f"{task} {model}", f"llmdrift/{file}.jsonl", f"llmdrift/truth-{file}.json", f"{task}:{versions}"
    )


_GPT4, _GPT35 = "gpt-4-0314->gpt-4-0613", "gpt-3.5-turbo-0301->gpt-3.5-turbo-0613"
PRIME_GPT4 = _llmdrift("prime", "gpt4", "prime", _GPT4)
PRIME_GPT35 = _llmdrift("prime", "gpt35", "prime", _GPT35)
_BBH = ("navigate", "causal_judgement", "sports_understanding", "snarks", "ruin_names")
MIGRATIONS = (
    PRIME_GPT4,
    PRIME_GPT35,
    _llmdrift("prime", "gpt4", "composite", _GPT4),
    _llmdrift("prime", "gpt35", "composite", _GPT35),
    _llmdrift("sensitive", "gpt4", "sensitiveq", _GPT4),
    _llmdrift("sensitive", "gpt35", "sensitiveq", _GPT35),
    Migration(
        "gsm8k 175b",
        "gsm8k-systems/pairs-175b.jsonl",
        "gsm8k-systems/truth-pairs-175b.json",
        "175b_finetuning->175b_verification",
    ),
    Migration(
        "mmlupro mistral",
        "mmlupro/mistral-v01-to-v02.jsonl",
        "mmlupro/truth-mistral-v01-to-v02.json",
        "Mistral-7B-Instruct-v0.1->Mistral-7B-Instruct-v0.2",
    ),
    *(
        Migration(f"bbh {task}", "bbh-prompt-change/pairs.jsonl", "bbh-prompt-change/truth.json", task)
        for task in _BBH
    ),
)


def release(cli: Cli, repo: Repo, items: Sequence[Item], sides: Mapping[str, str], goals: str = "") -> None:
    """``solve@HEAD~1`` is live, ``solve@HEAD`` its canary; ``sides``: which recording each version is."""
    repo.write("promptops.yaml", PLANS.replace("GOALS", goals))
    for seed, side in enumerate(sides.values()):
        version = items[0][side]["version"]
        repo.write("prompts/solve.yaml", PROMPT.format(version=version, seed=seed))
        repo.commit(f"Answer by {version}")
    ok(cli("promote", "solve@HEAD~1", "--yes"))
    ok(cli("canary", "solve@HEAD", "--plan", "recorded", "--yes"))


def decide(cli: Cli, repo: Repo, items: Sequence[Item], sides: Mapping[str, str] = SIDES) -> dict[str, Any]:
    """Calls, feedback and a tick, ten calls at a time, until something is decided: that tick."""
    done: dict[str, Any] = {"move": None, "calls": 0}
    for start in range(0, len(items), EACH):
        chunk = items[start : start + EACH]
        _answer(cli, repo, chunk, start)
        _feed_back(cli, repo, chunk, start, sides)
        done = json.loads(cli("tick", "--all").out)
        if done["move"]:
            return done
    return done


def _answer(cli: Cli, repo: Repo, chunk: Sequence[Item], start: int) -> None:
    lines = [
        {"inputs": {"question": each["prompt"]}, "unit": f"s-{start}-{i}"} for i, each in enumerate(chunk)
    ]
    file = repo.write(f"traffic/{start}.jsonl", "\n".join(map(json.dumps, lines)) + "\n")
    out = repo.path / f"traffic/{start}.out.jsonl"
    words = (str(file), "--unit", "unit", "--out", str(out), "--no-cache", "-j", str(AT_ONCE))
    ok(cli("batch", "solve:production", *words))


def _feed_back(cli: Cli, repo: Repo, chunk: Sequence[Item], start: int, sides: Mapping[str, str]) -> None:
    """Whether each answer was right, as the recording says of the version that gave it."""
    results = (repo.path / f"traffic/{start}.out.jsonl").read_text("utf-8").splitlines()
    said = [
        {
            "run_id": result["run_id"],
            "metric": "correct",
            "value": int(bool(each[sides[result["version"]]]["correct"])),
        }
        for each, result in zip(chunk, map(json.loads, results), strict=True)
    ]
    file = repo.write(f"traffic/{start}.said.jsonl", "\n".join(map(json.dumps, said)) + "\n")
    ok(cli("feedback", "--from", str(file)))

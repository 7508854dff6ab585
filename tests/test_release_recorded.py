"""Recorded migrations from one model to another, released through the front door.

Two committed versions of one prompt pin the model before and the one after; traffic comes by ``batch``,
whether an answer was right is fed back as an outcome, and ``tick`` looks after every ten calls.
"""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Repo
from greet_releases import ok, told
from registry_data import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end
from rollouts import ERRORS, ROLLOUT, Traffic, a_plan, of

from promptops.registry.records import utc_text

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


@cache
def recorded(file: Path, task: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in file.read_text("utf-8").splitlines())
    return [each for each in lines if each["task"].startswith(task)]


@contextmanager
def replay(tool: Path, pairs: Path) -> Iterator[str]:
    """A provider that answers as each model did; its base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, str(tool), str(pairs), "--port", str(port)]) as server:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def release(cli: Cli, repo: Repo, before: str, after: str, goals: str = "") -> None:
    """``solve@HEAD~1`` is live, ``solve@HEAD`` its canary."""
    repo.write("promptops.yaml", PLANS.replace("GOALS", goals))
    for seed, version in enumerate((before, after)):
        repo.write("prompts/solve.yaml", PROMPT.format(version=version, seed=seed))
        repo.commit(f"Answer by {version}")
    ok(cli("promote", "solve@HEAD~1", "--yes"))
    ok(cli("canary", "solve@HEAD", "--plan", "recorded", "--yes"))


def decide(
    cli: Cli, repo: Repo, items: list[dict[str, Any]], sides: dict[str, str], each: int = EACH
) -> dict[str, Any]:
    """Calls, feedback and a tick, ten calls at a time, until something is decided: that tick."""
    done: dict[str, Any] = {"move": None, "calls": 0}
    for start in range(0, len(items), each):
        chunk = items[start : start + each]
        _answer(cli, repo, chunk, start)
        _feed_back(cli, repo, chunk, start, sides)
        done = json.loads(cli("tick", "--all").out)
        if done["move"]:
            return done
    return done


def _answer(cli: Cli, repo: Repo, chunk: list[dict[str, Any]], start: int) -> None:
    lines = [
        {"inputs": {"question": each["prompt"]}, "unit": f"s-{start}-{i}"} for i, each in enumerate(chunk)
    ]
    file = repo.write(f"traffic/{start}.jsonl", "\n".join(map(json.dumps, lines)) + "\n")
    out = repo.path / f"traffic/{start}.out.jsonl"
    ok(cli("batch", "solve:production", str(file), "--unit", "unit", "--out", str(out), "--no-cache"))


def _feed_back(cli: Cli, repo: Repo, chunk: list[dict[str, Any]], start: int, sides: dict[str, str]) -> None:
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


def primes(shared: Path, model: str, seed: int = 7) -> list[dict[str, Any]]:
    """Primes in an order of their own."""
    items = list(recorded(shared / f"data/llmdrift/prime-{model}.jsonl", "prime"))
    random.Random(seed).shuffle(items)  # noqa: S311 - no secret
    return items


@pytest.fixture
def tool(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return shared / "tools/replay_server.py"


SIDES = {"v1": "baseline", "v2": "candidate"}


def test_gpt4_on_primes_is_rolled_back(
    cli: Cli, repo: Repo, shared: Path, tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replay(tool, shared / "data/llmdrift/prime-gpt4.jsonl") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, "gpt-4-0314", "gpt-4-0613")
        done = decide(cli, repo, primes(shared, "gpt4"), SIDES)
    assert (done["move"], done["code"], done["stable"]) == ("rollback", 1, "v1")
    assert done["calls"] <= 60
    assert ok(cli("release", "verify")).out.startswith("ok ")


def test_gpt35_on_primes_is_promoted_for_being_better(
    cli: Cli, repo: Repo, shared: Path, tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replay(tool, shared / "data/llmdrift/prime-gpt35.jsonl") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613", goals="correct")
        done = decide(cli, repo, primes(shared, "gpt35"), SIDES)
    assert (done["move"], done["code"], done["stable"]) == ("promote", 0, "v2")
    assert "better: correct" in done["reason"]
    assert ok(cli("release", "verify")).out.startswith("ok ")
    assert told(cli, "release", "show", "solve")["previous"]["version"] == "v1"


def test_a_model_against_itself_is_not_taken_back(
    cli: Cli, repo: Repo, shared: Path, tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with replay(tool, shared / "data/llmdrift/prime-gpt35.jsonl") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, "gpt-3.5-turbo-0613", "gpt-3.5-turbo-0613", goals="correct")
        done = decide(cli, repo, primes(shared, "gpt35")[:80], dict.fromkeys(SIDES, "candidate"), 20)
    assert (done["move"], done["calls"]) == (None, 80)
    assert any("correct must be better" in hold for hold in done["holds"])


def test_a_model_against_itself_is_falsely_decided_in_one_order_of_twenty_at_most(shared: Path) -> None:
    """Wrong answers as errors; the tests keep their largest evidence, as if looked at after every call."""
    plan, orders = a_plan(ERRORS), 200
    worse = better = 0
    for seed in range(orders):
        traffic, chance = Traffic(), random.Random(seed)  # noqa: S311 - no secret
        with traffic.registry as registry:
            registry.record(
                [
                    _against_itself(each, chance, i)
                    for i, each in enumerate(primes(shared, "gpt35", seed)[:250])
                ]
            )
            found = traffic.observe(plan)
        assert found.calls == 250
        worse += bool(found.harm)
        better += of(found, "error_rate").better
    most = 0.05 * orders + 2 * (0.05 * 0.95 * orders) ** 0.5
    assert worse <= most
    assert better <= most


def _against_itself(item: dict[str, Any], chance: random.Random, second: int) -> Any:
    canary = chance.random() < 0.5
    run = a_run(
        started_at=utc_text(1_780_000_000.0 + second),
        channel="production",
        rollout=ROLLOUT.id,
        arm="canary" if canary else "stable",
        digest=OTHER_DIGEST if canary else DIGEST,
        weight_bp=5000,
    )
    return run, an_end() if item["candidate"]["correct"] else a_failure()

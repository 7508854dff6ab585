"""Recorded primes, released through the front door; all recorded migrations are among the simulations."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Repo
from greet_releases import ok, told
from recorded import EACH, PRIME_GPT4, PRIME_GPT35, SIDES, Item, Migration, decide, release, replay
from registry_data import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end
from rollouts import ERRORS, ROLLOUT, START, Traffic, a_plan, of

from promptops.registry.records import utc_text


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


@contextmanager
def released(
    cli: Cli, repo: Repo, shared: Path, migration: Migration, sides: dict[str, str], goals: str = ""
) -> Iterator[list[Item]]:
    """A migration's canary is active, and its models answer; the items to ask."""
    items = migration.items(shared)
    with pytest.MonkeyPatch.context() as environment, replay(shared, migration) as url:
        environment.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, items, sides, goals)
        yield items


def test_gpt4_on_primes_is_rolled_back(cli: Cli, repo: Repo, shared: Path) -> None:
    with released(cli, repo, shared, PRIME_GPT4, SIDES) as items:
        done = decide(cli, repo, items)
    assert (done["move"], done["code"], done["stable"]) == ("rollback", 1, "v1")
    assert done["calls"] <= 60
    assert ok(cli("release", "verify")).out.startswith("ok ")
    assert "deleted" in ok(cli("runs", "prune", "--older-than", "2999-01-01", "--force")).out
    assert ok(cli("release", "verify")).out.startswith("ok ")
    _tamper(cli, repo)


def _tamper(cli: Cli, repo: Repo) -> None:
    """A verdict or evidence that was changed by hand is found, and evidence that was taken away."""
    state = Repo(repo.path.parent / "state")
    repo.git("worktree", "add", "-q", str(state.path), "promptops-state")
    log = max((state.path / "log/solve").glob("*.json"), key=lambda each: int(each.stem))
    honest = log.read_text("utf-8")
    log.write_text(
        honest.replace('"move": "rollback"', '"move": "promote"').replace(
            '"verdict": "worse"', '"verdict": "not worse"'
        ),
        "utf-8",
    )
    state.commit("Say that it was as good")
    done = cli("release", "verify")
    assert (done.code, "correct: the verdict: committed not worse" in done.out) == (1, True)
    log.write_text(honest, "utf-8")
    (file,) = (state.path / "evidence").glob("*/*.json")
    evidence = json.loads(file.read_text("utf-8"))
    evidence["metrics"]["correct"]["log_e"]["worse"] += 1.0
    file.write_text(json.dumps(evidence), "utf-8")
    state.commit("Make it look worse")
    done = cli("release", "verify")
    assert (done.code, "correct: log_e worse: committed" in done.out) == (1, True)
    file.unlink()
    state.commit("Hide it")
    done = cli("release", "verify")
    assert (done.code, "the file is gone" in done.out) == (1, True)


def test_gpt35_on_primes_is_promoted_for_being_better(cli: Cli, repo: Repo, shared: Path) -> None:
    with released(cli, repo, shared, PRIME_GPT35, SIDES, goals="correct") as items:
        done = decide(cli, repo, items)
    assert (done["move"], done["code"], done["stable"]) == ("promote", 0, "v2")
    assert "better: correct" in done["reason"]
    assert ok(cli("release", "verify")).out.startswith("ok ")
    assert told(cli, "release", "show", "solve")["previous"]["version"] == "v1"


def test_a_model_against_itself_is_not_taken_back(cli: Cli, repo: Repo, shared: Path) -> None:
    itself = dict.fromkeys(SIDES, "candidate")
    with released(cli, repo, shared, PRIME_GPT35, itself, goals="correct") as items:
        done = decide(cli, repo, items[:50], itself)
    assert (done["move"], done["calls"]) == (None, 50)
    assert any("correct must be better" in hold for hold in done["holds"])


ORDERS, FEW, ITEMS = 200, 3, 200


def test_a_model_against_itself_is_falsely_decided_in_one_order_of_twenty_at_most(shared: Path) -> None:
    """Wrong answers as errors, looked at once: the tests keep their largest evidence."""
    said = [_of_one_order(shared, seed, 250) for seed in range(ORDERS)]
    most = 0.05 * ORDERS + 2 * (0.05 * 0.95 * ORDERS) ** 0.5
    assert sum(worse for worse, _ in said) <= most
    assert sum(better for _, better in said) <= most
    # so one look at the end sees all that looks after every ten calls have seen
    assert said[:FEW] == [_of_one_order(shared, seed, EACH) for seed in range(FEW)]


def _of_one_order(shared: Path, seed: int, look_every: int) -> tuple[bool, bool]:
    """Whether any look at so many primes in one order has found harm, and whether any has found it better."""
    traffic, chance = Traffic(), random.Random(seed)  # noqa: S311 - no secret
    calls = [
        _against_itself(each, chance, second)
        for second, each in enumerate(PRIME_GPT35.items(shared, seed)[:ITEMS])
    ]
    worse = better = False
    with traffic.registry as registry:
        for start in range(0, len(calls), look_every):
            registry.record(calls[start : start + look_every])
            traffic.clock = START + start + look_every
            found = traffic.observe(a_plan(ERRORS))
            worse |= bool(found.harm)
            better |= of(found, "error_rate").better
    assert found.calls == len(calls)
    return worse, better


def _against_itself(item: Item, chance: random.Random, second: int) -> Any:
    canary = chance.random() < 0.5
    run = a_run(
        started_at=utc_text(START + second),
        channel="production",
        rollout=ROLLOUT.id,
        arm="canary" if canary else "stable",
        digest=OTHER_DIGEST if canary else DIGEST,
        weight_bp=5000,
    )
    return run, an_end() if item["candidate"]["correct"] else a_failure()

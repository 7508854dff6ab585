"""Recorded primes, released through the front door; all recorded migrations are among the simulations."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.front_door import Cli, Repo
from support.greet_releases import ok, told
from support.recorded_migrations import (
    PRIME_GPT4,
    PRIME_GPT35,
    SIDES,
    Item,
    Migration,
    decide,
    release,
)
from support.replay_server import replay


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


@contextmanager
def released(
    cli: Cli, repo: Repo, shared: Path, migration: Migration, sides: dict[str, str], goals: str = ""
) -> Iterator[list[Item]]:
    """A migration's canary is active, and its models answer; the items to ask."""
    items = migration.items(shared)
    with pytest.MonkeyPatch.context() as environment, replay(shared, migration.pairs) as url:
        environment.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, items, sides, goals)
        yield items


def test_gpt4_on_primes_is_rolled_back(cli: Cli, repo: Repo, shared: Path) -> None:
    with released(cli, repo, shared, PRIME_GPT4, SIDES) as items:
        done = decide(cli, repo, items)
    assert (done["move"], done["code"], done["stable"]) == ("rollback", 1, "v1")
    assert done["calls"] <= 60
    assert ok(cli("release", "verify")).out.startswith("ok ")
    assert "deleted" in ok(cli("registry", "prune", "--older-than", "2999-01-01", "--force")).out
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
    assert (done.code, done.out.startswith("tampered  promptops-state:log/solve/")) == (1, True)
    log.write_text(honest, "utf-8")
    (file,) = (state.path / "evidence").glob("*/*.json")
    evidence = json.loads(file.read_text("utf-8"))
    evidence["metrics"]["correct"]["log_e"]["worse"] += 1.0
    file.write_text(json.dumps(evidence), "utf-8")
    state.commit("Make it look worse")
    done = cli("release", "verify")
    assert (done.code, done.out.startswith("tampered  promptops-state:evidence/")) == (1, True)
    file.unlink()
    state.commit("Hide it")
    done = cli("release", "verify")
    assert (done.code, done.out.startswith("tampered  promptops-state:evidence/")) == (1, True)


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

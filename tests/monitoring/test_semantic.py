"""``monitor check --semantic``: do users' inputs mean something else than they did?"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.logged_rows import put_log
from support.provider import Answer, Provider, Received, as_json, status
from support.watched_logs import WatchedLog, shared_today

TARGET = "support/triage:production"
MODEL = "openai/text-embedding-3-small"


def vectors(request: Received) -> Answer:
    """What begins with `Bread` means something else than what does not; no two texts mean the same."""
    rows = []
    for place, text in enumerate(request.body["input"]):
        noise = zlib.crc32(text.encode()) % 1_000 / 2_000
        rows.append(
            {"index": place, "embedding": [0.2, 1.0, noise] if "read" in text[:5] else [1.0, 0.2, noise]}
        )
    return as_json({"data": rows, "model": "m", "usage": {"prompt_tokens": 1_000}})


@pytest.fixture
def month_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """31 nights of 52 calls: one that only counts, seven of the centre, 21 of the reference, and more."""

    def fill(registry: RegistryDatabase) -> None:
        WatchedLog(registry).add(range(36, 5, -1), 52, request_model="m")

    return shared_today(tmp_path_factory.getbasetemp(), "month", fill)


@pytest.fixture
def month(repo: Repo, provider: Provider, month_log: Path) -> Iterator[WatchedLog]:
    provider.script = vectors
    put_log(month_log, repo)
    with RegistryDatabase.open(repo.registry) as registry:
        yield WatchedLog(registry)


def look(cli: Cli, *options: str, code: int = 0) -> tuple[Any, str]:
    done = cli("monitor", "check", TARGET, "--json", *options)
    assert done.code == code, done.err
    return json.loads(done.out)[0], done.err


def semantic(found: Any) -> Any:
    return next((each for each in found["metrics"] if each["name"] == "semantic_distance"), None)


def test_another_subject_is_told_and_nothing_is_asked_twice(
    month: WatchedLog, cli: Cli, provider: Provider
) -> None:
    found, said = look(cli, "--semantic", MODEL, "--max-cost", "1", "--assume-cost", "0.00001")
    assert f"{MODEL}: vectors of 1,5" in said
    assert (semantic(found)["state"], found["alarms"]) == ("quiet", [])
    asked = len(provider.requests)
    assert all(len(each.body["input"]) <= 100 for each in provider.requests)
    assert "vectors of 0 inputs" in look(cli, "--semantic", MODEL)[1]
    assert len(provider.requests) == asked
    month.add(range(5, 0, -1), 52, request_model="m", text="Bread: {}".format)
    without, _ = look(cli)
    assert "semantic_distance" not in {each["metric"] for each in without["alarms"]}  # it was not asked for
    alarm = {each["metric"]: each for each in look(cli, "--semantic", MODEL)[0]["alarms"]}[
        "semantic_distance"
    ]
    assert (alarm["family"], alarm["direction"]) == ("inputs", "rise")
    assert alarm["now"] > 3 * alarm["before"]
    look(cli, "--acknowledge")
    found, said = look(cli, "--semantic", MODEL)
    assert ("vectors of 0 inputs" in said, semantic(found)) == (True, None)  # it learns from what comes now


def test_looks_after_each_night_and_one_at_the_end_are_the_same(month: WatchedLog, cli: Cli) -> None:
    for ago in range(5, 0, -1):
        look(cli, "--semantic", MODEL)
        month.add(range(ago, ago - 1, -1), 40, request_model="m")
    nightly, _ = look(cli, "--semantic", MODEL)
    once, _ = look(cli, "--semantic", MODEL, "--restart")
    assert semantic(nightly) == semantic(once)


def test_what_could_not_be_asked_is_asked_at_the_next_look(
    month: WatchedLog, cli: Cli, provider: Provider
) -> None:
    budget = ("--max-cost", "0.05", "--assume-cost", "0.01")  # five requests of sixteen
    _, said = look(cli, "--semantic", MODEL, *budget, code=6)
    assert f"{MODEL}: vectors of 500 inputs" in said
    provider.script = status(500)
    _, said = look(cli, "--semantic", MODEL, code=5)
    assert "vectors of 0 inputs" in said
    provider.script = vectors
    found, said = look(cli, "--semantic", MODEL)
    assert "vectors of 1,0" in said
    whole, _ = look(cli, "--semantic", MODEL, "--restart")
    assert semantic(found) == semantic(whole)


def test_another_model_begins_again(month: WatchedLog, cli: Cli, provider: Provider) -> None:
    look(cli, "--semantic", MODEL)
    found, said = look(cli, "--semantic", "openai/text-embedding-3-large")
    assert "text-embedding-3-large: vectors of 1,5" in said
    assert semantic(found)["state"] == "quiet"


def test_vectors_that_cannot_be_compared(month: WatchedLog, cli: Cli, provider: Provider) -> None:
    def uneven(request: Received) -> Answer:
        count = len(request.body["input"])
        return as_json({"data": [{"index": at, "embedding": [1.0] * (at % 2 + 1)} for at in range(count)]})

    provider.script = uneven
    _, said = look(cli, "--semantic", MODEL, code=5)
    assert "a vector of 2 numbers cannot be compared with one of 1" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--semantic", "small"), "which provider?"),
        (("--semantic", "anthropic/claude-haiku-4-5"), "embeddings come from an OpenAI-compatible endpoint"),
        (("--semantic", "openai/text-unheard-of", "--max-cost", "1"), "the price of openai/text-unheard-of"),
    ],
)
def test_what_cannot_be_asked_is_said_first(
    repo: Repo, cli: Cli, provider: Provider, options: tuple[str, ...], words: str
) -> None:
    done = cli("monitor", "check", TARGET, *options)
    assert (done.code in (4, 5), words in done.err) == (True, True), done.err
    assert provider.requests == []

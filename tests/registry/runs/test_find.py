"""Runs found page by page: the index of words finds what the texts hold, however words are joined."""

import random

import pytest

from promptops.registry import RegistryDatabase, RunFilter, find_runs
from promptops.registry.queries.runs import find
from promptops.registry.queries.runs.search_index import update_search_index
from support.logged_runs import a_run, an_end

WORDS = ("refund", "refunds", "late", "to", "x", "返金", "Ärger", "zebra")


@pytest.fixture
def filled(registry: RegistryDatabase) -> RegistryDatabase:
    rng = random.Random(2)
    texts = [rng.choices(WORDS[:-1], k=4) for _ in range(60)]
    registry.record([(a_run(inputs={"a": " ".join(text)}), an_end(output=text[0])) for text in texts])
    update_search_index(registry)
    return registry


def expression(rng: random.Random, depth: int = 3) -> str:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(WORDS)
    joint = rng.choice([" ", " AND ", " OR ", " NOT "])
    return f"({expression(rng, depth - 1)}{joint}{expression(rng, depth - 1)})"


def test_the_index_finds_what_the_texts_hold(
    filled: RegistryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(4)
    for _ in range(60):
        words = expression(rng)
        monkeypatch.setattr(find, "_READ_FIRST", 10_000)
        read = find_runs(filled, RunFilter(), limit=100, words=words).runs
        monkeypatch.setattr(find, "_READ_FIRST", 0)
        indexed = find_runs(filled, RunFilter(), limit=100, words=words).runs
        assert [run["seq"] for run in indexed] == [run["seq"] for run in read], words

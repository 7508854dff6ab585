"""What is known of models and what a completion cost."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from promptops.providers.catalog import Catalog, build_index
from promptops.providers.local.cache_dir import cache_folder
from promptops.providers.pricing import CompletionCost, completion_cost, rates_for
from promptops.providers.types import Completion
from support.paths import ROOT

ENTRIES: dict[str, dict[str, Any]] = {
    "sample_spec": {"mode": "chat"},
    "gpt-x": {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_input_tokens": 1000,
        "max_tokens": 50,
        "max_output_tokens": 50,
        "input_cost_per_token": 2.0,
        "output_cost_per_token": 4.0,
        "deprecation_date": "2027-01-01",
        "supports_vision": True,
        "supports_response_schema": False,
        "source": "not kept",
    },
    "gpt-x-2026-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "gpt-x-2025-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "gpt-x-mini-2025-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "azure/gpt-x-2024-01-02": {"litellm_provider": "azure", "mode": "chat"},
    "own/half": {"litellm_provider": "own", "mode": "chat", "input_cost_per_token": 1.0, "max_tokens": 7},
    "fireworks_ai/accounts/fireworks/models/llama": {"litellm_provider": "fireworks_ai", "mode": "chat"},
    "dall-e": {"litellm_provider": "openai", "mode": "image_generation"},
}


def catalog(**custom: Mapping[str, Any]) -> Catalog:
    return Catalog(build_index(ENTRIES), custom)


def test_a_model_is_found_under_its_provider() -> None:
    known = catalog()
    assert known.entry("openai/gpt-x") == known.entry("gpt-x")
    assert known.window("openai/gpt-x") == 1000
    assert known.max_output("openai/gpt-x") == 50
    assert known.price("openai/gpt-x") == (2.0, 4.0)
    assert known.deprecation_date("openai/gpt-x") == "2027-01-01"
    assert known.provider("gpt-x") == "openai"
    assert known.entry("fireworks_ai/llama") is not None
    assert "source" not in (known.entry("gpt-x") or {})


@pytest.mark.parametrize(
    "model", ["hosted_vllm/gpt-x", "openai/other", "nothing", "dall-e", "sample_spec", ""]
)
def test_what_is_unknown_stays_unknown(model: str) -> None:
    known = catalog()
    assert known.entry(model) is None
    assert (known.price(model), known.window(model), known.deprecation_date(model)) == (None, None, None)
    assert known.supports(model, "vision") is None
    assert known.cost(model, Completion(text="", response_model="", input_tokens=1, output_tokens=1)) is None


def test_abilities() -> None:
    known = catalog(mine={"supports_vision": True})
    assert known.supports("gpt-x", "vision") is True
    assert known.supports("gpt-x", "response_schema") is False
    assert known.supports("mine", "vision") is True
    assert known.supports("mine", "reasoning") is None


def test_the_settings_go_first_key_by_key() -> None:
    custom = {"openai/gpt-x": {"input_cost_per_token": 1}, "mine/m": {"max_input_tokens": 8}}
    known = Catalog(build_index(ENTRIES), custom)
    assert known.price("openai/gpt-x") == (1.0, 4.0)
    assert known.window("mine/m") == 8
    assert known.price("mine/m") is None
    assert known.price("own/half") is None
    assert known.window("own/half") == 7


def test_the_dated_names_of_one_that_moves() -> None:
    known = catalog()
    assert known.dated_ids("openai/gpt-x") == ["openai/gpt-x-2025-01-02", "openai/gpt-x-2026-01-02"]
    assert known.dated_ids("gpt-x-latest") == ["gpt-x-2025-01-02", "gpt-x-2026-01-02"]
    assert known.dated_ids("azure/gpt-x") == ["azure/gpt-x-2024-01-02"]
    assert known.dated_ids("openai/gpt-x-2026-01-02") == []


# ---- cost

PLAIN = {"input_cost_per_token": 2.0, "output_cost_per_token": 4.0}
CACHING = {**PLAIN, "cache_read_input_token_cost": 0.5, "cache_creation_input_token_cost": 3.0}


def used(sent: int | None = 10, answered: int | None = 5, **details: int) -> Completion:
    return Completion(text="", response_model="", input_tokens=sent, output_tokens=answered, **details)


@pytest.mark.parametrize(
    ("entry", "completion", "expected"),
    [
        (PLAIN, used(), CompletionCost(40, 40)),
        (PLAIN, used(cached_tokens=4), CompletionCost(40, 40)),
        (CACHING, used(cached_tokens=4), CompletionCost(34, 40)),
        (CACHING, used(cached_tokens=4, cache_write_tokens=2), CompletionCost(36, 40)),
        (CACHING, used(cached_tokens=99), CompletionCost(25, 40)),
        ({**PLAIN, "output_cost_per_reasoning_token": 6.0}, used(reasoning_tokens=2), CompletionCost(44, 44)),
        (PLAIN, used(reasoning_tokens=2), CompletionCost(40, 40)),
        ({**PLAIN, "litellm_provider": "fireworks_ai"}, used(cached_tokens=4), CompletionCost(36, 40)),
        ({"litellm_provider": "fireworks_ai"}, used(cached_tokens=4), None),
        ({"input_cost_per_token": 0.0, "output_cost_per_token": 0}, used(), CompletionCost(0, 0)),
        ({"input_cost_per_token": 2.0}, used(answered=0), CompletionCost(20, 20)),
        ({"input_cost_per_token": 2.0}, used(), None),
        ({"output_cost_per_token": 2.0}, used(), None),
        ({}, used(), None),
        (PLAIN, used(sent=None), None),
        (PLAIN, used(answered=None), None),
    ],
)
def test_cost(entry: Mapping[str, Any], completion: Completion, expected: CompletionCost | None) -> None:
    assert completion_cost(entry, completion) == expected


LONG = {
    **PLAIN,
    "input_cost_per_token_above_200k_tokens": 5.0,
    "input_cost_per_token_above_100_tokens": 3.0,
    "input_cost_per_token_priority": 20.0,
    "input_cost_per_token_above_200k_tokens_priority": 50.0,
    "output_cost_per_token_above_200k_tokens": None,
}
TIERED = {
    "output_cost_per_token": 9.0,
    "tiered_pricing": [
        {"range": [100, 200], "input_cost_per_token": 2.0, "output_cost_per_token": 4.0},
        {"range": [0, 100], "input_cost_per_token": 1.0},
        {"note": "no range"},
    ],
}


@pytest.mark.parametrize(
    ("entry", "sent", "tier", "rate"),
    [
        (LONG, 100, None, 2.0),
        (LONG, 101, None, 3.0),
        (LONG, 200_001, None, 5.0),
        (LONG, 50, "priority", 20.0),
        (LONG, 200_001, "priority", 50.0),
        (LONG, 50, "default", 2.0),
        (LONG | {"litellm_provider": "xai"}, 100, None, 3.0),
        (TIERED, 100, None, 1.0),
        (TIERED, 101, None, 2.0),
        (TIERED, 999, None, 2.0),
    ],
)
def test_prices_follow_the_length_of_the_prompt(
    entry: Mapping[str, Any], sent: int, tier: str | None, rate: float
) -> None:
    assert rates_for(entry, sent, tier)["input_cost_per_token"] == rate


def test_a_tier_without_a_price_for_answers_takes_the_models() -> None:
    assert rates_for(TIERED, 50)["output_cost_per_token"] == 9.0
    assert rates_for({"tiered_pricing": [{"range": [0, 9]}]}, 5) == {}
    assert rates_for({"tiered_pricing": []}, 0) == {}


# ---- the index


def test_the_index_is_kept_and_read_again(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    first = Catalog.load(env=env)
    kept = tmp_path / "promptops" / "catalogue.jsonl"
    written = kept.stat().st_mtime_ns
    assert Catalog.load(env=env).entry("openai/gpt-4o") == first.entry("openai/gpt-4o") is not None
    assert kept.stat().st_mtime_ns == written
    assert first.source.startswith("litellm ")
    assert [file.name for file in kept.parent.iterdir()] == ["catalogue.jsonl"]


@pytest.mark.parametrize("damage", [b"", b"[0]\n", b"half"])
def test_a_damaged_or_old_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    Catalog.load(env=env)
    kept = tmp_path / "promptops" / "catalogue.jsonl"
    kept.write_bytes(damage if damage != b"half" else kept.read_bytes()[:1000])
    assert Catalog.load(env=env).price("openai/gpt-4o") is not None
    assert kept.stat().st_size > 10_000


def test_a_cache_folder_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert Catalog.load(env={"XDG_CACHE_HOME": str(tmp_path / "file")}).price("openai/gpt-4o") is not None


def test_two_processes_at_once_are_fine(tmp_path: Path) -> None:
    program = "from promptops.providers.catalog import Catalog; print(Catalog.load().window('openai/gpt-4o'))"
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert {child.communicate()[0] for child in running} == {b"128000\n"}


def test_reading_it_imports_no_litellm() -> None:
    program = (
        "import sys\nfrom promptops.providers.catalog import Catalog\n"
        "Catalog.load().price('openai/gpt-4o')\nprint('litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_the_file_only_the_settings_count(tmp_path: Path) -> None:
    program = (
        "import sys\nsys.path = [p for p in sys.path if 'site-packages' not in p] + [sys.argv[1]]\n"
        "from promptops.providers.catalog import Catalog\n"
        "known = Catalog.load()\nprint(known.entry('gpt-4o'), repr(known.source))"
    )
    root = str(ROOT)
    command = [sys.executable, "-S", "-c", program, root]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "None ''\n"


def test_a_name_with_quotes_finds_nothing_wrong() -> None:
    assert catalog().entry('gpt-x":{"a') is None
    assert json.loads(b"{%s}" % build_index({"a": {}}).strip()) == {"a": {}}


def test_where_the_cache_is(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/promptops")
    ours = cache_folder({"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)})
    assert ours.is_relative_to(tmp_path)
    assert ours.name == "promptops"

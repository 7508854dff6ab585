"""Prices of service tiers, what a provider bills itself, audio, images and cache writes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from promptops.config.settings import find_settings
from promptops.providers.catalog import Catalog
from promptops.providers.openai.response import completion_from_payload
from promptops.providers.openai.stream import StreamParser
from promptops.providers.pricing import CompletionCost, ModelPrices, is_price, rates_for
from promptops.providers.types import Completion
from support.front_door import Cli, Repo
from support.paths import FIXTURES
from support.provider import Provider, Received, as_json

GPT = "openai/gpt-5-mini"  # priced in all three tiers
TIERS = {
    "input_cost_per_token": 2.0,
    "output_cost_per_token": 4.0,
    "cache_read_input_token_cost": 0.5,
    "input_cost_per_token_flex": 1.0,
    "output_cost_per_token_flex": 2.0,
    "cache_read_input_token_cost_flex": 0.25,
    "input_cost_per_token_priority": 20.0,
    "output_cost_per_token_priority": 40.0,
    "input_cost_per_token_batches": 0.5,
    "output_cost_per_token_batches": 0.5,
    "input_cost_per_token_above_200k_tokens": 5.0,
}
MEDIA = {
    "input_cost_per_token": 1.0,
    "output_cost_per_token": 2.0,
    "cache_read_input_token_cost": 0.5,
    "cache_creation_input_token_cost": 3.0,
    "cache_creation_input_token_cost_above_1hr": 5.0,
    "input_cost_per_audio_token": 10.0,
    "output_cost_per_audio_token": 20.0,
    "input_cost_per_image_token": 100.0,
    "output_cost_per_image_token": 200.0,
}
TICKET = "model: %s\nparameters: {max_tokens: 100, service_tier: %s}\nmessages: [{role: user, content: hi}]\n"


def used(sent: int | None = 10, answered: int | None = 5, **more: Any) -> Completion:
    return Completion(text="", response_model="", input_tokens=sent, output_tokens=answered, **more)


@pytest.mark.parametrize(
    ("asked", "answered", "cost"),
    [
        (None, None, 40.0),
        ("flex", None, 20.0),
        ("priority", None, 400.0),
        ("priority", "default", 40.0),  # it was asked for, and the provider had none of it
        ("auto", "priority", 400.0),
        (None, "flex", 20.0),
        (None, "batch", 7.5),
        ("default", "standard", 40.0),
        ("scale", None, None),
        (None, "ultrafast", None),
    ],
)
def test_the_tier_that_answered_is_priced_else_the_one_asked_for(
    asked: str | None, answered: str | None, cost: float | None
) -> None:
    got = ModelPrices(TIERS).cost(used(service_tier=answered), asked)
    assert (got and got.cost_usd) == cost


def test_what_a_tier_has_no_price_for() -> None:
    assert rates_for(TIERS, 10, "priority")["cache_read_input_token_cost"] == 0.5
    assert rates_for(TIERS, 300_000, "priority")["input_cost_per_token"] == 20.0  # and not the lower 5
    assert rates_for(TIERS, 300_000, "flex")["input_cost_per_token"] == 5.0
    assert rates_for({"input_cost_per_token": 0, "output_cost_per_token": 0}, 9, "flex") == {
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
    }
    groq = {"litellm_provider": "groq", "input_cost_per_token": 1.0, "output_cost_per_token": 1.0}
    assert ModelPrices(groq).cost(used(), "flex") == CompletionCost(15, 15)
    assert ModelPrices({}).cost(used(service_tier="priority")) is None


@pytest.mark.parametrize(
    ("tokens", "billed", "listed"),
    [
        ({"input_audio_tokens": 4}, 6 + 40 + 10, 6 + 40 + 10),
        ({"input_image_tokens": 2}, 8 + 200 + 10, 8 + 200 + 10),
        ({"output_audio_tokens": 3}, 10 + 60 + 4, 10 + 60 + 4),
        ({"output_image_tokens": 5}, 10 + 1000, 10 + 1000),
        ({"cache_write_tokens": 4}, 6 + 12 + 10, 20),
        ({"cache_write_tokens": 4, "cache_write_1h_tokens": 3}, 6 + 3 + 15 + 10, 20),
        ({"cached_tokens": 8, "input_audio_tokens": 4}, 4 + 20 + 10, 6 + 40 + 10),
        ({"cached_tokens": 99, "input_audio_tokens": 99}, 5 + 10, 100 + 10),
    ],
)
def test_tokens_with_prices_of_their_own(tokens: Mapping[str, int], billed: float, listed: float) -> None:
    assert ModelPrices(MEDIA).cost(used(**tokens)) == CompletionCost(billed, listed)
    assert all(map(is_price, (*MEDIA, *TIERS)))
    assert not is_price("input_cost_per_token_cache_hit")


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.0123}, 0.0123),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.5}}, 0.5),
        ({"cost": 0.1, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.4}}, 0.5),
        ({"cost": 0.1, "is_byok": True}, None),
        ({"cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.4}}, 0.1),
        ({"cost": -1}, None),
        ({"cost": 10**400}, None),
        ({"cost": float("nan")}, None),
        ({"cost": True}, None),
        ({"cost": "0.1"}, 0.1),
        ({"cost": "a dime"}, None),
        ({}, None),
    ],
)
def test_what_a_provider_says_it_billed_is_the_cost(usage: dict[str, Any], cost: float | None) -> None:
    payload = json.loads((FIXTURES / "replies" / "usage-cost.json").read_bytes())
    payload["usage"] = {"prompt_tokens": 20, "completion_tokens": 3, **usage}
    whole = completion_from_payload(payload, "m")
    stream = StreamParser(None, 0.0)
    stream.event({"choices": [{"delta": {"content": "billing"}, "finish_reason": "stop"}]})
    stream.event({"choices": [], "usage": payload["usage"], "service_tier": "flex"})
    streamed = stream.completion("m")
    assert whole.cost_usd == streamed.cost_usd == cost
    assert streamed.service_tier == "flex"
    got = Catalog.load().cost("openai/nobody-knows-it", whole)
    assert got == (None if cost is None else CompletionCost(cost, None))


def replied(file: str, **usage: Any) -> Any:
    payload = json.loads((FIXTURES / "replies" / file).read_bytes())
    payload["usage"] |= usage
    return as_json(payload)


def test_a_run_costs_what_the_tier_that_answered_costs(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/triage.yaml", TICKET % (GPT, "auto"))
    provider.script = replied("service-tier-priority.json")
    run = json.loads(cli("run", "triage", "--json").out)
    prices = Catalog.load(find_settings(repo.path, {})).price(GPT, "priority")
    assert prices is not None
    assert prices != Catalog.load().price(GPT)
    assert run["cost_usd"] == pytest.approx(100_000 * prices[0] + 10_000 * prices[1])
    assert run["spent_usd"] == run["cost_usd"]


def test_a_batch_reserves_by_the_tier_that_is_asked_for(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("in.jsonl", '{"inputs": {}}\n')
    prices = Catalog.load()
    flex, plain, urgent = (prices.price(GPT, tier) for tier in ("flex", None, "priority"))
    assert flex
    assert plain
    assert urgent
    assert flex[1] < plain[1] < urgent[1]
    between = 100 * (plain[1] + urgent[1]) / 2
    repo.write("prompts/triage.yaml", TICKET % (GPT, "priority"))
    dear = cli("batch", "triage", "in.jsonl", "--max-cost", f"{between:.9f}")
    assert (dear.code, provider.requests) == (6, [])
    assert "above --max-cost" in dear.err
    repo.write("prompts/triage.yaml", TICKET % (GPT, "flex"))
    assert cli("batch", "triage", "in.jsonl", "--max-cost", f"{between:.9f}").code == 0
    repo.write("prompts/triage.yaml", TICKET % (GPT, "scale"))
    unknown = cli("batch", "triage", "in.jsonl", "--max-cost", "9")
    assert (unknown.code, len(provider.requests)) == (4, 1)
    assert f"the price of {GPT} at service_tier scale is unknown" in unknown.err


def test_what_was_spent_comes_first(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/triage.yaml", TICKET % (GPT, "default"))
    repo.write("in.jsonl", '{"inputs": {}}\n')

    def answer(_: Received) -> Any:
        return replied("usage-cost.json")

    provider.script = answer
    for name in ("one", "two", "three"):
        assert cli("batch", "triage", "in.jsonl", "--out", f"{name}.jsonl").code == 0
    assert len(provider.requests) == 1
    lines = cli("runs", "stats", "--kind", "batch").out.splitlines()
    assert lines[0].split()[4:6] == ["SPENT", "LIST"]
    assert lines[-1].split()[4:6] == ["0.01230", "0.03690"]
    latest = cli("runs", "list", "--kind", "batch", "-n", "1").out.splitlines()
    assert latest[0].split()[-1] == "SPENT"
    assert latest[-1].split()[-1] == "0"
    run = json.loads(cli("runs", "list", "--kind", "batch", "-n", "1", "--json").out)[0]
    assert "cost       0 USD (list price 0.01230 USD)" in cli("runs", "show", run["run_id"]).out

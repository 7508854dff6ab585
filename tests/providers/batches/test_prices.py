"""What an answer of a batch service costs, against the bill of the loopback provider."""

from fractions import Fraction

import pytest

from promptops.config.settings import find_settings
from promptops.providers.catalog import Catalog
from promptops.providers.pricing import INPUT, batch_price_source, rates_for
from promptops.providers.types import Completion
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.batch_runs import PINS, requests_of, run_job, service_of
from support.front_door import Repo


def test_the_sum_of_a_job_is_the_bill() -> None:
    catalog = Catalog.load(None, {})
    with BatchProvider(Faults(fail_every=33, duplicate_every=7, expire_after=180)) as provider:
        got = run_job(service_of(provider), requests_of(200))
    costs = [catalog.batch_cost(PINS["openai"], each.completion) for each in got.results if each.completion]
    total = sum(cost.cost_usd for cost in costs if cost)
    assert len(got.ids("duplicate")) > 0
    assert abs(Fraction(total) - provider.bill) < Fraction(1, 10**12)
    assert total > 0


@pytest.mark.parametrize(
    ("entry", "source", "rate"),
    [
        ({INPUT: 2.0, "output_cost_per_token": 4.0, "litellm_provider": "openai"}, "half", 1.0),
        ({INPUT: 2.0, "output_cost_per_token": 4.0, "litellm_provider": "anthropic"}, "half", 1.0),
        ({INPUT: 2.0, f"{INPUT}_batches": 0.7, "litellm_provider": "openai"}, "listed", 0.7),
        ({INPUT: 2.0, "output_cost_per_token": 4.0, "litellm_provider": "deepseek"}, None, None),
        ({"litellm_provider": "openai"}, None, None),
        ({}, None, None),
    ],
)
def test_a_price_is_listed_or_half_or_unknown(
    entry: dict[str, object], source: str | None, rate: float | None
) -> None:
    assert batch_price_source(entry) == source
    assert rates_for(entry, 10, "batch").get(INPUT) == rate


def test_every_price_of_the_list_is_halved() -> None:
    entry = {
        INPUT: 2.0,
        "output_cost_per_token": 4.0,
        "input_cost_per_token_above_200k_tokens": 6.0,
        "cache_creation_input_token_cost_above_1hr": 8.0,
        "cache_read_input_token_cost": 1.0,
        "cache_read_input_token_cost_batches": 0.4,
        f"{INPUT}_flex": 1.5,
        "litellm_provider": "anthropic",
    }
    short, long = rates_for(entry, 1000, "batch"), rates_for(entry, 300_000, "batch")
    assert short[INPUT] == 1.0
    assert long[INPUT] == 3.0
    assert short["cache_creation_input_token_cost_above_1hr"] == 4.0
    assert short["cache_read_input_token_cost"] == 0.4
    assert rates_for(entry, 1000)[INPUT] == 2.0


def test_a_model_of_the_settings_has_its_providers_discount(repo: Repo) -> None:
    repo.write(
        "promptops.yaml",
        "models:\n  openai/own-1: {input_cost_per_token: 2.0e-6, output_cost_per_token: 4.0e-6}\n",
    )
    catalog = Catalog.load(find_settings(repo.path, {}), {})
    answer = Completion(text="x", response_model="own-1", input_tokens=1_000_000, output_tokens=500_000)
    cost = catalog.batch_cost("openai/own-1", answer)
    assert cost
    assert cost.cost_usd == pytest.approx(2.0)
    assert catalog.price("openai/own-1", "batch") == (1e-6, 2e-6)
    assert catalog.batch_price_source("openai/own-1") == "half"

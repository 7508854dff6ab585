"""One side of a recording against itself in two hundred orders, through the registry and the evidence."""

import random
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_text
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end
from support.recorded_migrations import EACH, PRIME_GPT35, Item
from support.rollouts import ERRORS, ROLLOUT, START, Traffic, a_plan, of

pytestmark = pytest.mark.simulation

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
    traffic, chance = Traffic(), random.Random(seed)
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

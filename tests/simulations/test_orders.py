"""A side of a recording against itself in 240 orders, through the registry and the evidence."""

import random
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_text
from simulations.figures import Show, held
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end
from support.recorded_migrations import EACH, MIGRATIONS, PRIME_GPT35, Item, Migration
from support.rollouts import ERRORS, ROLLOUT, START, Traffic, a_plan, of

pytestmark = pytest.mark.simulation

ORDERS, FEW, ITEMS = 240, 3, 200


@pytest.mark.parametrize("migration", [PRIME_GPT35, MIGRATIONS[6], MIGRATIONS[8]], ids=lambda each: each.name)
def test_a_model_against_itself_is_falsely_decided_in_one_order_of_twenty_at_most(
    show: Show, shared: Path, migration: Migration
) -> None:
    """Wrong answers as errors, looked at once: the tests keep their largest evidence."""
    said = [_of_one_order(shared, migration, seed, 250) for seed in range(ORDERS)]
    what = f"logged: {migration.name} against itself, {ORDERS} orders,"
    held(show, f"{what} back", [worse or None for worse, _ in said])
    held(show, f"{what} up", [better or None for _, better in said])
    # so one look at the end sees all that looks after every ten calls have seen
    assert said[:FEW] == [_of_one_order(shared, migration, seed, EACH) for seed in range(FEW)]


def _of_one_order(shared: Path, migration: Migration, seed: int, look_every: int) -> tuple[bool, bool]:
    """Whether any look at so many items in one order has found harm, and whether any has found it better."""
    traffic, chance = Traffic(), random.Random(seed)
    calls = [
        _against_itself(each, chance, second)
        for second, each in enumerate(migration.items(shared, seed)[:ITEMS])
    ]
    worse = better = False
    with traffic.registry as registry:
        for start in range(0, len(calls), look_every):
            registry.record(calls[start : start + look_every])
            traffic.clock = START + start + look_every
            found = traffic.observe(a_plan(ERRORS))
            worse |= bool(found.harm)
            seen = of(found, "error_rate")
            if found.harm:  # and never while the canary's rate is not above stable's: nobody would believe it
                assert (seen.canary_bad or 0) * seen.stable_calls > (seen.stable_bad or 0) * seen.canary_calls
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

"""Every recorded migration through the front door, beside what is known of it; and each side against itself.

A rollout may stay undecided. It may not go the other way.
"""

from pathlib import Path

import pytest

from simulations import orders
from simulations.figures import Show, allowed, held, play
from support.front_door import Cli, Repo
from support.greet_releases import ok, told
from support.recorded_migrations import MIGRATIONS, SIDES, Migration, decide, release
from support.replay_server import replay

pytestmark = pytest.mark.simulation

_ORDERS = 240
_MAY = {
    "improve": ("promote", None),
    "regress": ("rollback", None),
    "no significant change": ("promote", "rollback", None),
}
_SAID = {"promote": "promoted", "rollback": "rolled back", None: "undecided"}
_EACH = pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda each: each.name.replace(" ", "-"))


@_EACH
def test_a_recorded_migration(
    cli: Cli, repo: Repo, shared: Path, monkeypatch: pytest.MonkeyPatch, show: Show, migration: Migration
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    items, truth = migration.items(shared), migration.truth_of(shared)
    with replay(shared, migration.pairs) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        release(cli, repo, items, SIDES, goals="correct")
        done = decide(cli, repo, items)
    show(
        f"recorded: {migration.name}",
        f"{_SAID[done['move']]}, {done['calls']:,} calls",
        f"{truth['verdict']}: {100 * truth['diff']:+.1f} points, p {truth['mcnemar_exact_p']:.3g}",
    )
    assert done["move"] in _MAY[truth["verdict"]]
    if done["move"]:
        assert [each["mismatches"] for each in told(cli, "release", "verify")] == [[]]
        ok(cli("registry", "prune", "--older-than", "2999-01-01", "--force"))
        assert [each["mismatches"] for each in told(cli, "release", "verify")] == [[]]


@_EACH
def test_a_recorded_migration_in_many_orders(shared: Path, show: Show, migration: Migration) -> None:
    losses, truth = _losses(shared, migration), migration.truth_of(shared)
    found = play(orders.decided, *losses.values(), repetitions=_ORDERS)
    up, back = (sum((each or 0) * sign > 0 for each in found) / _ORDERS for sign in (1, -1))
    show(f"recorded: {migration.name}, {_ORDERS} orders", f"{up:.1%} up, {back:.1%} back", truth["verdict"])
    wrong = {"improve": back, "regress": up}.get(truth["verdict"], 0.0)
    assert wrong <= allowed(0.05, _ORDERS)


@_EACH
def test_a_side_against_itself(shared: Path, show: Show, migration: Migration) -> None:
    for side, losses in _losses(shared, migration).items():
        what = f"recorded: {migration.name}, {side} against itself,"
        held(show, f"{what} back", play(orders.reverted, losses, repetitions=_ORDERS))
        held(show, f"{what} up", play(orders.found_better, losses, repetitions=_ORDERS))


def _losses(shared: Path, migration: Migration) -> dict[str, orders.Losses]:
    items = migration.items(shared)
    return {side: tuple(float(not each[side]["correct"]) for each in items) for side in SIDES.values()}

"""Errors of what stands beside the guards: slices, second attempts, and pairs whose failures are slow."""

import pytest

from simulations import attempts, shadow_order, slices
from simulations.figures import REPETITIONS, Show, held, play, rate

pytestmark = pytest.mark.simulation
SOME = REPETITIONS // 2


@pytest.mark.parametrize("early", [False, True], ids=["one look", "looks on the way"])
def test_slices_of_pairs(show: Show, early: bool) -> None:
    """Five slices of a hundred pairs."""
    world, what = (slices.named_in_pairs, 5, 100), f"slices of pairs, {'any look' if early else 'one look'}"
    held(show, f"{what}: a good one of five named", play(*world, 0.0, early, False))
    held(show, f"{what}: a good one named beside a bad", play(*world, 0.2, early, False, repetitions=SOME))
    found = rate(play(*world, 0.2, early, True, repetitions=SOME))
    show(f"{what}: one of -20 points found", f"{found:.0%}", ">= 50 %")
    assert found >= 0.5


def test_slices_of_a_canary(show: Show) -> None:
    """Five slices of 750 calls at 50 %."""
    world = (slices.named_in_canary, 5, 750)
    held(show, "slices of a canary: a good one of five named", play(*world, 0.0, False, repetitions=SOME))
    found = rate(play(*world, 0.1, True, repetitions=SOME // 2))
    show("slices of a canary: one of 10 -> 20 % found", f"{found:.0%}", ">= 60 %")
    assert found >= 0.6


def test_a_second_false_rollback_is_no_likelier_than_a_first(show: Show) -> None:
    """Where most users always have the same outcome."""
    new, old = _second(new_salt=True), _second(new_salt=False)
    beside = f"(with the old salt: {rate(old):.0%})"
    held(show, "second false rollback after --new-evidence", new, beside=beside)
    assert rate(old) > max(0.05, rate(new))


def _second(*, new_salt: bool) -> list[int | None]:
    """Of those that were rolled back once."""
    found = play(attempts.rolled_back_again, new_salt, repetitions=4 * REPETITIONS)
    return [each or None for each in found if each is not None]


def test_pairs_whose_failures_are_slow(show: Show) -> None:
    world = (shadow_order.not_worse_at_the_margin, 0.03, 64)
    naive = rate(play(*world, True, repetitions=REPETITIONS // 4))
    found, beside = play(*world, False), f"(as pairs end: {naive:.0%})"
    held(show, "logged: shadow not worse at the margin, 64 in flight", found, beside=beside)
    assert naive > 0.05

"""What the product promises: error rates of rollouts that go through registry, evidence and rules.

Fewer repetitions than the engine's own figures have, as every call is logged, scored and looked at.
"""

import pytest

from simulations import played
from simulations.figures import REPETITIONS, Show, allowed, play, rate

pytestmark = pytest.mark.simulation


def shown(show: Show, what: str, found: float, repetitions: int, beside: str = "") -> None:
    """Print a rate with its standard error beside the bound, and hold it to that."""
    error = (found * (1 - found) / repetitions) ** 0.5
    show(what, f"{found:.1%} (s.e. {error:.1%})", f"<= 5 % {beside}".rstrip())
    assert found <= allowed(0.05, repetitions)


def test_false_promotion_through_a_whole_plan(show: Show) -> None:
    count = REPETITIONS * 2 // 5
    found = rate(play(played.false_promotion, 0.02, 0.04, 0.02, 3_000, repetitions=count))
    shown(show, "logged: false promotion, errors 2 -> 4 %, ramp 5/25/50 %", found, count)


def test_a_ramp_with_a_drifting_base_rate(show: Show) -> None:
    count = REPETITIONS // 4
    found = rate(play(played.drifting_ramp, 3_000, repetitions=count))
    shown(show, "logged: rollback or invalid, ramp, base rate 2 -> 20 %", found, count)


def test_a_slower_canary_behind_the_watermark(show: Show) -> None:
    count = REPETITIONS * 5 // 8
    found = rate(play(played.slower_canary, 600, repetitions=count))
    naive = rate(play(played.slower_canary_as_it_ends, 600, repetitions=count))
    what = "logged: false rollback, canary 58 s slower, watermark"
    shown(show, what, found, count, f"(as calls end: {naive:.0%})")
    assert naive > 0.05


def test_an_instant_and_a_delayed_guard(show: Show) -> None:
    count = REPETITIONS // 4
    found = rate(play(played.instant_and_delayed, 3_000, repetitions=count))
    shown(show, "logged: rollback or invalid, an instant and a delayed guard", found, count)

"""What the product promises: error rates of rollouts that go through registry, evidence and rules.

Fewer repetitions than the engine's own figures have, as every call is logged, scored and looked at.
"""

import pytest

from simulations import played
from simulations.figures import REPETITIONS, Show, held, play, rate

pytestmark = pytest.mark.simulation
COUNT = REPETITIONS // 8  # what this looks for would be wrong in every fourth rollout or more


def test_false_promotion_through_a_whole_plan(show: Show) -> None:
    found = play(played.false_promotion, 0.02, 0.04, 0.02, 3_000, repetitions=COUNT)
    held(show, "logged: false promotion, errors 2 -> 4 %, ramp 5/25/50 %", found)


def test_a_ramp_with_a_drifting_base_rate(show: Show) -> None:
    found = play(played.drifting_ramp, 3_000, repetitions=COUNT)
    held(show, "logged: rollback or invalid, ramp, base rate 2 -> 20 %", found)


def test_a_slower_canary_behind_the_watermark(show: Show) -> None:
    found = play(played.slower_canary, 600, repetitions=2 * COUNT)
    naive = rate(play(played.slower_canary_as_it_ends, 600))
    what = "logged: false rollback, canary 108 s slower, watermark"
    held(show, what, found, beside=f"(as calls end: {naive:.0%})")
    assert naive > 0.2


def test_an_instant_and_a_delayed_guard(show: Show) -> None:
    found = play(played.instant_and_delayed, 3_000, repetitions=COUNT)
    held(show, "logged: rollback or invalid, an instant and a delayed guard", found)

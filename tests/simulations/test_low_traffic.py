"""What the plans for little traffic promise at 200 calls a day within 14 days."""

import pytest

from simulations import low_traffic
from simulations.figures import REPETITIONS, Show, allowed, play, quantile, rate
from simulations.low_traffic import PER_DAY, first_end

pytestmark = pytest.mark.simulation
COUNT = REPETITIONS // 3


@pytest.mark.parametrize(
    ("plan", "promoted", "rolled_back"),
    [("lean", 0.80, 0.90), ("shadow-first", 0.95, 0.85)],  # the latter where the shadow phase saw nothing
)
def test_equal_versions_come_through_and_worse_ones_go(
    show: Show, plan: str, promoted: float, rolled_back: float
) -> None:
    def shown(what: str, ends: list[int | None], target: str) -> float:
        day, share = quantile([each for each in ends if each], 0.5) / PER_DAY, rate(ends)
        show(f"{plan}: {what}", f"{share:.1%} (half by day {day:.1f})", target)
        return share

    equal = play(first_end, plan, 0.95, repetitions=COUNT)
    worse = play(first_end, plan, 0.85, repetitions=COUNT)
    found = shown("equal versions promoted", _only(equal, 1), f">= {promoted:.0%}")
    caught = shown("95 -> 85 % rolled back", _only(worse, -1), f">= {rolled_back:.0%}")
    wrong = shown("equal versions rolled back", _only(equal, -1), "<= 5 %")
    assert found >= promoted
    assert caught >= rolled_back
    assert wrong <= allowed(0.05, COUNT)


def _only(ends: list[int | None], sign: int) -> list[int | None]:
    """Calls until an end of this sign, None for every other one."""
    return [abs(each) if each is not None and each * sign > 0 else None for each in ends]


def test_the_shadow_phase_lets_equal_versions_through(show: Show) -> None:
    found = play(low_traffic.shadow_phase, repetitions=REPETITIONS)
    show("shadow-first: equal versions pass 600 pairs", f"{rate(found):.1%}", ">= 85 %")
    assert rate(found) >= 0.85

"""Groups of guards, percentiles, confidence sequences, strata, forecasts."""

import itertools
import json
import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import Invalid, Undecided
from promptops.stats.confidence_sequences import (
    difference_bounds,
    first_exclusion,
    pair_bounds,
    ratio_bounds,
)
from promptops.stats.eprocess import Hypothesis, e_value, paired_test
from promptops.stats.forecast import calls_needed
from promptops.stats.guard_group import GuardGroup, closed_testing, new_guard_group
from promptops.stats.intervals import Interval
from promptops.stats.non_inferiority import MarginTest
from promptops.stats.rank_losses import Percentiles, ratio_losses_of
from promptops.stats.stratified import ArmTally, StepStratum, stratified_difference
from promptops.stats.two_arm import FROM_ZERO, Prior, TwoArmTest, prior_from_history

Call = tuple[bool, float, float]


def rollout(
    calls: int, weight: float, loss: Callable[[random.Random, bool], float], seed: int = 1
) -> list[Call]:
    draw = random.Random(seed)
    arms = [draw.random() < weight for _ in range(calls)]
    return [(canary, weight, loss(draw, canary)) for canary in arms]


def failing(stable: float, canary: float) -> Callable[[random.Random, bool], float]:
    return lambda draw, on_canary: float(draw.random() < (canary if on_canary else stable))


# Groups of guards


@given(st.lists(st.floats(-300.0, 300.0), min_size=1, max_size=6))
def test_attribution_is_the_smallest_average_over_all_sets_with_a_guard(logs: list[float]) -> None:
    named = {str(at): log for at, log in enumerate(logs)}
    adjusted = closed_testing(named)
    for name in named:
        others = [other for other in named if other != name]
        averages = [
            sum(math.exp(named[other]) for other in (name, *chosen)) / (1 + len(chosen))
            for size in range(len(others) + 1)
            for chosen in itertools.combinations(others, size)
        ]
        assert adjusted[name] == pytest.approx(math.log(min(averages)), abs=1e-9)


def test_closed_testing_stands_any_size_of_evidence() -> None:
    found = closed_testing({"a": 5000.0, "b": -5000.0, "c": 0.0})
    assert found["a"] == pytest.approx(5000 - math.log(3))
    assert found["b"] == -5000.0
    assert found["c"] == pytest.approx(-math.log(2))
    assert closed_testing({}) == {}


def test_a_group_names_the_guard_that_did_the_harm() -> None:
    group = new_guard_group(["errors", "checks"], {"errors": prior_from_history(0.02)})
    assert group.guards["errors"].prior.mean == 0.02
    draw = random.Random(3)
    for _ in range(3000):
        canary = draw.random() < 0.2
        losses = {"errors": float(draw.random() < (0.2 if canary else 0.02))}
        if draw.random() < 0.9:
            losses["checks"] = float(draw.random() < 0.1)
        group.update(canary, 0.2, losses)
    assert group.rejects(0.05)
    assert group.rejects(0.05, groups=3)
    strongest, *rest = group.attribution().items()
    assert strongest[0] == "errors"
    assert strongest[1] >= math.log(20)
    assert rest[0][1] < math.log(20)


def test_a_group_averages_current_evidence_then_takes_the_maximum() -> None:
    group, alone = new_guard_group(["a", "b"]), [TwoArmTest(Hypothesis.WORSE, 0.0) for _ in "ab"]
    highest = 1.0
    for canary, *losses in [(True, 1.0, 0.0), (False, 0.0, 1.0), (True, 1.0, 1.0), (False, 1.0, 0.0)]:
        group.update(canary, 0.3, dict(zip("ab", losses, strict=True)))
        for test, loss in zip(alone, losses, strict=True):
            test.update(canary, 0.3, loss)
        average = sum(e_value(test.log_e) for test in alone) / 2
        assert e_value(group.log_e) == pytest.approx(average)
        highest = max(highest, average)
        assert e_value(group.highest) == pytest.approx(highest)


def test_a_group_is_refused_without_guards_and_with_unknown_ones() -> None:
    with pytest.raises(Invalid, match="at least one"):
        new_guard_group([])
    group = new_guard_group(["errors"])
    with pytest.raises(Invalid, match="no guard of this group: cost"):
        group.update(True, 0.5, {"errors": 1.0, "cost": 0.5})
    assert group == new_guard_group(["errors"])
    assert group.attribution() == {}


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0), st.floats(0.0, 1.0)), max_size=15))
def test_a_group_survives_json_at_any_point(calls: list[tuple[bool, float, float]]) -> None:
    group, stored = new_guard_group(["a", "b"]), new_guard_group(["a", "b"])
    for canary, a, b in calls:
        group.update(canary, 0.5, {"a": a, "b": b})
        stored.update(canary, 0.5, {"a": a, "b": b})
        stored = GuardGroup.from_json(json.loads(json.dumps(stored.to_json())))
    assert stored == group


def test_a_damaged_group_is_named() -> None:
    for key in ("guards", "at_highest", "highest"):
        with pytest.raises(Invalid, match=key):
            GuardGroup.from_json(new_guard_group(["a"]).to_json() | {key: None})


# Percentiles


@given(st.lists(st.floats(0.0, 100.0), max_size=40), st.floats(0.0, 100.0))
def test_a_score_is_the_rank_among_earlier_values(earlier: list[float], value: float) -> None:
    seen = Percentiles()
    for each in earlier:
        seen.add(each)
    rank = sum(each < value for each in earlier) + sum(each == value for each in earlier) / 2
    assert seen.score(value) == pytest.approx((rank + 0.5) / (len(earlier) + 1))


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 8))
def test_only_the_latest_values_are_kept(values: list[int], limit: int) -> None:
    seen = Percentiles(limit)
    for value in values:
        seen.add(value)
        seen = Percentiles.from_json(json.loads(json.dumps(seen.to_json())))
    assert seen.ordered == sorted(values[-limit:])
    assert list(seen.latest) == values[-limit:]


def test_the_canary_is_divided_by_the_margin_and_never_becomes_the_ruler() -> None:
    seen = Percentiles()
    found = ratio_losses_of(seen, (False, True, True), (100.0, 110.0, 120.0), 1.2)
    assert found == ([0.5, 0.75, 0.75], [0.5, 0.25, 0.5])
    assert seen.ordered == [100.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_was_not_measured_is_refused(value: float) -> None:
    for refuse in (Percentiles().score, Percentiles().add):
        with pytest.raises(Invalid, match="not a measured value"):
            refuse(value)
    with pytest.raises(Invalid, match="margin"):
        ratio_losses_of(Percentiles(), (True,), (1.0,), 0.0)
    with pytest.raises(Invalid, match="limit"):
        Percentiles.from_json({"limit": 0, "latest": []})


# Confidence sequences


def _walk(question: Hypothesis, calls: Sequence[Call], grid: Sequence[float], prior: Prior) -> list[bool]:
    return [first_exclusion(calls, question, g, 0.05, prior) is not None for g in grid]


@pytest.mark.parametrize("prior", [FROM_ZERO, Prior(0.1, 20.0)], ids=["engine 2", "engine 1"])
@pytest.mark.parametrize(
    ("stable", "canary", "weight"), [(0.02, 0.06, 0.1), (0.1, 0.1, 0.5), (0.6, 0.4, 0.3), (0.02, 0.02, 0.05)]
)
def test_bisection_finds_what_a_walk_over_the_whole_grid_finds(
    stable: float, canary: float, weight: float, prior: Prior
) -> None:
    calls = rollout(600, weight, failing(stable, canary))
    grid = [number * 0.02 for number in range(-49, 50)]
    lower, upper = (_walk(question, calls, grid, prior) for question in Hypothesis)
    found = difference_bounds(calls, 0.05, prior, step=0.02)
    assert lower == sorted(lower, reverse=True)
    assert upper == sorted(upper)
    assert found.low == pytest.approx(max((g for g, out in zip(grid, lower, strict=True) if out), default=-1))
    assert found.high == pytest.approx(min((g for g, out in zip(grid, upper, strict=True) if out), default=1))


@pytest.mark.parametrize("margin", [0.05, None], ids=["engine 2", "engine 1"])
@pytest.mark.parametrize("canary", [0.02, 0.0, 0.2])
def test_bounds_say_what_the_tests_of_a_rollout_say(margin: float | None, canary: float) -> None:
    for seed in range(6):
        calls = rollout(900, 0.3, failing(0.02 if canary else 0.2, canary), seed)
        bounds = difference_bounds(calls, 0.05, margin=margin)
        within = MarginTest(0.05) if margin else TwoArmTest(Hypothesis.NOT_WORSE, 0.05)
        within.update_all(calls)
        assert (bounds.high <= 0.05) == within.rejects(0.05)
        assert (bounds.low >= 0) == (first_exclusion(calls, Hypothesis.WORSE, 0.0, 0.05) is not None)
        if bounds.high <= 0.05:
            shown = first_exclusion(calls, Hypothesis.NOT_WORSE, 0.0, 0.05) is not None
            assert (bounds.high <= 0) == shown


def test_bounds_narrow_from_everything_and_earlier_ones_shorten_the_search() -> None:
    assert difference_bounds([], 0.05) == Interval(-1.0, 1.0)
    calls = rollout(1500, 0.5, failing(0.1, 0.2))
    early, late = difference_bounds(calls[:500], 0.05), difference_bounds(calls, 0.05)
    assert early.low <= late.low <= 0.1 <= late.high <= early.high
    again = difference_bounds(calls, 0.05, inside=early)
    assert again.low == pytest.approx(late.low)
    assert again.high == pytest.approx(late.high)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=80))
def test_bounds_of_pairs_agree_with_the_paired_test(values: list[float]) -> None:
    found = pair_bounds(values, 0.05, step=0.01)
    assert -1.0 <= found.low <= 1.0
    assert -1.0 <= found.high <= 1.0
    for bound in (-0.1, 0.1):
        worse = paired_test(Hypothesis.WORSE, bound)
        for value in values:
            worse.update(value)
        assert worse.rejects(0.05) == (found.low >= bound - 1e-9)


def test_bounds_of_a_ratio_hold_the_true_one() -> None:
    def latency(draw: random.Random, canary: bool) -> float:
        return draw.lognormvariate(5.0, 0.4) * (1.3 if canary else 1.0)

    calls = rollout(1200, 0.5, latency)
    found = ratio_bounds(calls, 0.05)
    assert 1.1 < found.low < 1.3 < found.high < 1.5
    again = ratio_bounds(calls, 0.05, inside=Interval(1.0, 2.0))
    assert again.low == pytest.approx(found.low, rel=0.02)
    assert again.high == pytest.approx(found.high, rel=0.02)
    assert ratio_bounds([], 0.05).high == pytest.approx(64.0)


# Strata


def test_differences_step_by_step_are_not_fooled_by_a_drifting_base_rate() -> None:
    early = StepStratum(0.05, ArmTally(50, 1.0, 1.0), ArmTally(950, 19.0, 19.0))
    late = StepStratum(0.5, ArmTally(500, 100.0, 100.0), ArmTally(500, 100.0, 100.0))
    found = stratified_difference([early, late, StepStratum(0.9)])
    assert found.value == pytest.approx(0.0)
    assert found.low < -0.03
    assert found.high > 0.03
    assert found.count == 2000
    pooled = (1 + 100) / 550 - (19 + 100) / 1450
    assert pooled > 0.1


def test_steps_are_weighted_after_mantel_and_haenszel() -> None:
    steps = [StepStratum(0.1), StepStratum(0.5)]
    for step, ours, theirs in ((steps[0], (10, 4), (90, 9)), (steps[1], (50, 10), (50, 5))):
        for canary, (calls, failed) in ((True, ours), (False, theirs)):
            for number in range(calls):
                step.add(canary, float(number < failed))
    sizes = (10 * 90 / 100, 25)
    expected = (sizes[0] * (0.4 - 0.1) + sizes[1] * (0.2 - 0.1)) / sum(sizes)
    assert stratified_difference(steps).value == pytest.approx(expected)
    assert StepStratum.from_json(json.loads(json.dumps(steps[0].to_json()))) == steps[0]


def test_an_arm_without_failures_still_has_an_interval() -> None:
    step = StepStratum(0.5)
    for _ in range(20):
        step.add(True, 0.0)
        step.add(False, 0.0)
    found = step.difference()
    assert found.low < found.value == 0.0 < found.high
    with pytest.raises(Undecided, match="both arms"):
        StepStratum(0.5).difference()
    with pytest.raises(Undecided, match="no step"):
        stratified_difference([StepStratum(0.5)])
    with pytest.raises(Invalid, match="loss"):
        step.add(True, 2.0)
    assert StepStratum(0.5).canary.mean == 0.0


# Forecasts


def _median_calls(question: Hypothesis, g: float, weight: float, stable: float, canary: float) -> int:
    found = []
    for seed in range(40):
        calls = rollout(20_000, weight, failing(stable, canary), seed)
        found.append(first_exclusion(calls, question, g, 0.05) or 20_000)
    return sorted(found)[20]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("question", "g", "weight", "stable", "canary"),
    [
        (Hypothesis.WORSE, 0.0, 0.5, 0.1, 0.2),
        (Hypothesis.WORSE, 0.0, 0.1, 0.02, 0.1),
        (Hypothesis.NOT_WORSE, 0.1, 0.5, 0.05, 0.05),
    ],
)
@pytest.mark.slow
def test_a_forecast_is_of_the_size_of_what_happens(
    question: Hypothesis, g: float, weight: float, stable: float, canary: float
) -> None:
    forecast = calls_needed(question, g, weight, stable, canary, 0.05)
    assert forecast is not None
    assert 0.75 < forecast / _median_calls(question, g, weight, stable, canary) < 1.7


def test_a_forecast_says_never() -> None:
    assert calls_needed(Hypothesis.WORSE, 0.0, 0.5, 0.1, 0.1, 0.05) is None
    assert calls_needed(Hypothesis.NOT_WORSE, 0.02, 0.05, 0.02, 0.05, 0.05) is None
    with pytest.raises(Invalid, match="rates"):
        calls_needed(Hypothesis.WORSE, 0.0, 0.5, 1.1, 0.1, 0.05)

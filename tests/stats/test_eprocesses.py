"""The e-processes: exact under their hypotheses, bounded, and the same after a round trip through JSON."""

import itertools
import json
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.errors import Invalid
from promptops.stats.eprocess import Hypothesis, MeanTest, e_value, log_mean, paired_test
from promptops.stats.non_inferiority import PairedMarginTest, closest_rates, margin_bet
from promptops.stats.sample_ratio import SampleRatioTest
from promptops.stats.two_arm import (
    FROM_ONE,
    FROM_ZERO,
    NO_HISTORY,
    RANKS,
    Prior,
    TwoArmTest,
    prior_from_history,
    two_arm_test,
    two_arm_test_from_json,
)

Weight = Callable[[int, float], float]  # the last outcome (0..3, -1 before any) and weight -> the next weight


def _constant(outcome: int, weight: float) -> float:
    return 0.3


def _reacting(outcome: int, weight: float) -> float:
    """A rollout that flees failures of the canary and grows after its successes."""
    return {-1: 0.3, 0: weight, 1: 0.45, 2: min(0.9, weight * 1.5), 3: max(0.01, weight / 4)}[outcome]


def expectation(
    question: Hypothesis, g: float, stable: float, weigh: Weight, true_gap: float, steps: int, prior: Prior
) -> float:
    """The mean of E over every path of ``steps`` calls, each an arm and a 0/1 loss."""
    total = 0.0
    for path in itertools.product(range(4), repeat=steps):
        test, chance, weight, last = two_arm_test(question, g, prior), 1.0, 0.3, -1
        for outcome in path:
            weight = weigh(last, weight)
            canary, failed = outcome > 1, outcome % 2 == 1
            rate = stable + true_gap if canary else stable
            chance *= (weight if canary else 1 - weight) * (rate if failed else 1 - rate)
            test.update(canary, weight, float(failed))
            last = outcome
        total += chance * e_value(test.log_e)
    return total


@pytest.mark.parametrize("weigh", [_constant, _reacting])
@pytest.mark.parametrize("prior", [Prior(0.2, 3.0), FROM_ZERO], ids=["engine 1", "engine 2"])
@pytest.mark.parametrize(
    ("question", "g", "stable"),
    [
        (Hypothesis.WORSE, 0.0, 0.25),
        (Hypothesis.WORSE, 0.0, 0.0005),
        pytest.param(Hypothesis.NOT_WORSE, 0.03, 0.1, marks=pytest.mark.slow),
        (Hypothesis.NOT_WORSE, 0.0, 0.9995),
    ],
)
def test_at_the_boundary_the_expected_evidence_over_all_paths_is_one(
    question: Hypothesis, g: float, stable: float, weigh: Weight, prior: Prior
) -> None:
    found = expectation(question, g, stable, weigh, g, 6, prior)
    assert found == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("g", [0.03, 0.3])
def test_pairs_at_the_margin_have_an_expected_evidence_of_one(g: float) -> None:
    broke, fixed, total = g + 0.1, 0.1, 0.0
    chances = {1.0: broke, -1.0: fixed, 0.0: 1.0 - broke - fixed}
    for path in itertools.product(chances, repeat=7):
        test = PairedMarginTest(g)
        for value in path:
            test.update(value)
        total += math.prod(chances[value] for value in path) * e_value(test.log_e)
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("prior", "loss"), [(FROM_ZERO, 0.0), (FROM_ONE, 1.0)])
@pytest.mark.parametrize("question", Hypothesis)
def test_calls_that_are_all_alike_are_no_evidence_at_all(
    prior: Prior, loss: float, question: Hypothesis
) -> None:
    test, draw = TwoArmTest(question, 0.0, prior), random.Random(4)
    for _ in range(2_000):
        test.update(draw.random() < 0.1, draw.choice((1e-4, 0.05, 0.5, 0.9)), loss)
    assert test.log_e == 0.0
    assert test.wealth.logs == [0.0] * 6


def test_the_log_optimal_bet_is_the_likelihood_ratio_to_the_closest_rates() -> None:
    """No bet grows faster: its growth is the bound log(1/alpha)/D of Garivier and Kaufmann."""
    p, weight, margin = 0.05, 0.5, 0.03
    b = closest_rates(p, weight, margin)

    def divergence(stable: float) -> float:
        return weight * _kl(p, stable + margin) + (1 - weight) * _kl(p, stable)

    assert divergence(b) == pytest.approx(min(divergence(b + move) for move in (-1e-4, 0.0, 1e-4)))
    assert math.log(20) / divergence(b) == pytest.approx(1310, rel=0.001)
    bet = margin_bet(p, weight, margin)
    for canary, loss in itertools.product([True, False], [0.0, 1.0]):
        gain = (bet.canary - loss) / weight if canary else (loss - bet.stable) / (1 - weight)
        rate = bet.canary if canary else bet.stable
        ratio = p / rate if loss else (1 - p) / (1 - rate)
        assert 1 + bet.stakes[2] * gain == pytest.approx(ratio)


def _kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


@pytest.mark.parametrize(
    ("question", "g", "true_gap"),
    [(Hypothesis.WORSE, 0.05, -0.1), (Hypothesis.NOT_WORSE, 0.05, 0.2), (Hypothesis.NOT_WORSE, -0.1, 0.0)],
)
def test_inside_the_hypothesis_the_expected_evidence_is_below_one(
    question: Hypothesis, g: float, true_gap: float
) -> None:
    for prior in (Prior(0.2, 3.0), FROM_ZERO):
        assert expectation(question, g, 0.2, _reacting, true_gap, 4, prior) < 1.0


@pytest.mark.parametrize("question", Hypothesis)
@pytest.mark.parametrize("g", [-0.998, -0.4, 0.0, 0.02, 0.998])
@pytest.mark.parametrize("weight", [1e-4, 0.05, 0.5, 1 - 1e-4])
def test_no_bet_can_lose_more_than_its_stake(question: Hypothesis, g: float, weight: float) -> None:
    priors = [*(Prior(mean, 10.0) for mean in (0.0, 0.4, 1.0)), FROM_ZERO, FROM_ONE, RANKS]
    for canary, loss, prior in itertools.product([True, False], [0.0, 0.5, 1.0], priors):
        test = two_arm_test(question, g, prior)
        test.update(canary, weight, loss)
        assert min(test.wealth.logs) >= math.log1p(-0.9) - 1e-9


@given(
    calls=st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999), st.floats(0.0, 1.0)), max_size=30),
    cut=st.integers(0, 30),
    question=st.sampled_from(Hypothesis),
    g=st.floats(-0.9, 0.9),
    prior=st.sampled_from([NO_HISTORY, FROM_ZERO, RANKS]),
)
def test_a_process_stored_at_any_point_goes_on_as_if_it_had_not_been(
    calls: list[tuple[bool, float, float]], cut: int, question: Hypothesis, g: float, prior: Prior
) -> None:
    whole = two_arm_test(question, g, prior)
    stored = two_arm_test(question, g, prior)
    for at, call in enumerate(calls):
        if at == cut:
            stored = two_arm_test_from_json(json.loads(json.dumps(stored.to_json(), allow_nan=False)))
        whole.update(*call)
        stored.update(*call)
    assert stored == whole
    assert two_arm_test_from_json(whole.to_json()) == whole
    together = two_arm_test(question, g, prior)
    together.update_all(calls)
    assert together == whole


@given(st.lists(st.floats(-1.0, 1.0), max_size=30), st.sampled_from(Hypothesis), st.floats(-0.9, 0.9))
def test_a_paired_process_survives_json_and_its_highest_never_falls(
    values: list[float], question: Hypothesis, bound: float
) -> None:
    test, highest = paired_test(question, bound), 0.0
    for value in values:
        test.update(value)
        assert test.wealth.highest >= max(highest, test.log_e - 1e-12)
        highest = test.wealth.highest
        test = MeanTest.from_json(json.loads(json.dumps(test.to_json())))
    assert test.count == len(values)


def test_pairs_are_scored_by_the_formula() -> None:
    worse, better = paired_test(Hypothesis.WORSE, 0.1), paired_test(Hypothesis.NOT_WORSE, 0.1)
    for difference in (1.0, -1.0, 0.0, 0.25):
        worse.update(difference)
        better.update(difference)
    shares = (0.03, 0.08, 0.16, 0.3, 0.5, 0.8)
    expected = sum(math.prod(1 + c * (d - 0.1) / 1.1 for d in (1.0, -1.0, 0.0, 0.25)) for c in shares) / 6
    assert e_value(worse.log_e) == pytest.approx(expected)
    expected = sum(math.prod(1 + c * (0.1 - d) / 0.9 for d in (1.0, -1.0, 0.0, 0.25)) for c in shares) / 6
    assert e_value(better.log_e) == pytest.approx(expected)
    assert worse.mean == pytest.approx(0.0625)


def test_two_arms_are_scored_by_the_formula() -> None:
    test = TwoArmTest(Hypothesis.NOT_WORSE, 0.03, prior_from_history(0.1))
    product, total = [1.0] * 6, 0.0
    for number, (canary, w, y) in enumerate([(True, 0.1, 1.0), (False, 0.1, 0.0), (True, 0.25, 0.0)]):
        k = (0.1 * 50 + total) / (50 + number)
        k_s = min(max(k - w * 0.03, 1e-3), 1 - 1e-3 - 0.03)
        k_c = k_s + 0.03
        gain = (y - k_c) / w if canary else -(y - k_s) / (1 - w)
        most = min(w / (1 - k_c), (1 - w) / k_s)
        shares = (0.03, 0.08, 0.16, 0.3, 0.5, 0.8)
        product = [p * (1 - c * most * gain) for p, c in zip(product, shares, strict=True)]
        total += y
        test.update(canary, w, y)
    assert e_value(test.log_e) == pytest.approx(sum(product) / 6, rel=1e-12)
    assert test.calls == 3


def test_what_was_once_shown_stays_shown() -> None:
    test = paired_test(Hypothesis.WORSE, 0.0)
    for value in [1.0] * 40 + [-1.0] * 400:
        test.update(value)
    assert test.log_e < 0
    assert test.rejects(0.05)


@pytest.mark.no_cover
def test_tens_of_thousands_of_alike_calls_neither_overflow_nor_underflow() -> None:
    test = TwoArmTest(Hypothesis.WORSE, 0.0)
    other = TwoArmTest(Hypothesis.NOT_WORSE, 0.0)
    for number in range(100_000):
        arm = number % 2 == 0
        (test if number < 50_000 else other).update(arm, 0.5, float(arm))
    assert 10_000 < test.log_e < math.inf
    assert -math.inf < other.log_e < 0
    assert e_value(test.log_e) < math.inf
    json.dumps([test.to_json(), other.to_json(), e_value(test.log_e)], allow_nan=False)


@pytest.mark.parametrize(
    ("weight", "loss"), [(0.0, 0.5), (1.0, 0.5), (0.5, -0.01), (0.5, 1.01), (0.5, math.nan)]
)
def test_an_impossible_call_is_refused_and_changes_nothing(weight: float, loss: float) -> None:
    test = TwoArmTest(Hypothesis.WORSE, 0.0)
    with pytest.raises(Invalid, match="needs 0 < weight < 1"):
        test.update(True, weight, loss)
    assert test == TwoArmTest(Hypothesis.WORSE, 0.0)


def test_impossible_tests_are_refused() -> None:
    with pytest.raises(Invalid, match="cannot be tested"):
        TwoArmTest(Hypothesis.WORSE, 0.999)
    with pytest.raises(Invalid, match="nothing to test"):
        paired_test(Hypothesis.WORSE, -1.0)
    with pytest.raises(Invalid, match="not between"):
        paired_test(Hypothesis.WORSE, 0.5).update(1.5)
    with pytest.raises(Invalid, match="prior"):
        Prior(0.5, 0.0)
    with pytest.raises(Invalid, match="alpha"):
        paired_test(Hypothesis.WORSE, 0.5).rejects(0.0)


@pytest.mark.parametrize(
    "damage",
    [
        {"logs": [0.0]},
        {"logs": "0"},
        {"calls": -1},
        {"calls": True},
        {"total": "1"},
        {"g": None},
        {"highest": math.inf},
        {"question": "bigger"},
    ],
)
def test_damaged_evidence_is_named(damage: dict[str, object]) -> None:
    state = TwoArmTest(Hypothesis.WORSE, 0.0).to_json() | damage
    with pytest.raises(Invalid, match=f"`{next(iter(damage))}`") as raised:
        TwoArmTest.from_json(state)
    assert "recompute" in raised.value.hint
    with pytest.raises(Invalid, match="not a JSON object"):
        TwoArmTest.from_json([])


def test_stable_history_is_worth_fifty_calls() -> None:
    assert prior_from_history(0.02) == Prior(0.02, 50.0)
    assert Prior(0.5, 10.0) == NO_HISTORY


@given(st.lists(st.floats(-800.0, 800.0), min_size=1, max_size=8))
def test_means_of_logarithms(logs: list[float]) -> None:
    found = log_mean(logs)
    assert min(logs) - 1e-9 <= found <= max(logs) + 1e-9


def test_the_sample_ratio_monitor_is_a_martingale_and_finds_a_skewed_split() -> None:
    total = 0.0
    for path in itertools.product([False, True], repeat=8):
        monitor, chance, weight = SampleRatioTest(), 1.0, 0.2
        for canary in path:
            chance *= weight if canary else 1 - weight
            monitor.update(canary, weight)
            weight = 0.4 if canary else 0.1
        total += chance * e_value(monitor.log_e)
    assert total == pytest.approx(1.0, abs=1e-9)
    draw = random.Random(5)
    skewed, fair = SampleRatioTest(), SampleRatioTest()
    for _ in range(3000):
        fair.update(draw.random() < 0.1, 0.1)
        skewed.update(draw.random() < 0.2, 0.1)
    assert skewed.alarmed()
    assert not fair.alarmed()
    assert fair.expected == pytest.approx(300)
    assert SampleRatioTest.from_json(json.loads(json.dumps(skewed.to_json()))) == skewed
    with pytest.raises(Invalid, match="weight"):
        fair.update(True, 1.0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), max_size=20))
def test_the_monitor_survives_json_at_any_point(calls: list[tuple[bool, float]]) -> None:
    monitor = SampleRatioTest()
    for call in calls:
        monitor = SampleRatioTest.from_json(json.loads(json.dumps(monitor.to_json())))
        monitor.update(*call)
    assert monitor.calls == len(calls)


def test_the_current_evidence_of_two_arms_is_what_json_holds() -> None:
    test = TwoArmTest(Hypothesis.WORSE, 0.0)
    for number in range(40):
        test.update(number % 2 == 0, 0.5, float(number % 2 == 0))
    assert test.rejects(0.05)
    assert TwoArmTest.from_json(test.to_json()).log_e == test.log_e

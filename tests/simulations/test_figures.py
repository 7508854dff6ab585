"""What the engine promises, measured: error rates of rollouts that are looked at after every call, and speed.

Run with ``pytest -m simulation``; each test prints what it measured beside what is to be reached.
"""

import math
import random
import time

import pytest

from promptops.stats.eprocess import Hypothesis
from promptops.stats.two_arm import two_arm_test
from simulations import worlds
from simulations.figures import REPETITIONS, Show, allowed, held, play, quantile, rate

pytestmark = pytest.mark.simulation
NAIVE = REPETITIONS // 4  # of what is wrong in every third rollout
WORSE, NOT_WORSE = Hypothesis.WORSE, Hypothesis.NOT_WORSE


@pytest.mark.parametrize(("weight", "horizon"), [(0.05, 20_000), (0.1, 12_000), (0.5, 8_000)])
def test_false_rollback(show: Show, weight: float, horizon: int) -> None:
    world = (WORSE, 0.0, weight, 0.02, 0.02, horizon)
    naive = rate(play(worlds.peeked, *world, repetitions=NAIVE))
    what = f"false rollback, errors 2 %, weight {weight:.0%}"
    held(show, what, play(worlds.errors, *world), beside=f"(peeking: {naive:.0%})")


@pytest.mark.parametrize(("weight", "horizon"), [(0.05, 20_000), (0.1, 12_000), (0.5, 8_000)])
def test_false_promotion(show: Show, weight: float, horizon: int) -> None:
    world = (NOT_WORSE, 0.02, weight, 0.02, 0.04, horizon)
    naive = rate(play(worlds.peeked, *world, repetitions=NAIVE))
    what = f"false promotion, errors 2 -> 4 %, margin 2, weight {weight:.0%}"
    held(show, what, play(worlds.errors, *world), beside=f"(peeking: {naive:.0%})")


def test_a_ramp_with_a_drifting_base_rate(show: Show) -> None:
    naive = rate(play(worlds.ramp_pooled, 9_000, repetitions=NAIVE))
    what = "false rollback, ramp 5/25/50 %, base rate 2 -> 20 %"
    held(show, what, play(worlds.ramp, 9_000), beside=f"(pooled: {naive:.0%})")


def test_four_guards_without_effect(show: Show) -> None:
    held(show, "false rollback, four correlated guards", play(worlds.four_guards, 3_000))


def test_an_instant_and_a_delayed_guard_without_effect(show: Show) -> None:
    held(show, "false rollback, an instant and a delayed guard", play(worlds.two_windows, 5_000))


@pytest.mark.parametrize(
    ("question", "ratio"), [(WORSE, 1.0), (NOT_WORSE, 1.2)], ids=["rollback", "promotion"]
)
def test_false_verdicts_on_latency(show: Show, question: Hypothesis, ratio: float) -> None:
    what = "rollback, latency alike" if question is WORSE else "promotion, latency +20 %, limit 20"
    held(show, f"false {what}, weight 10%", play(worlds.latency, question, 1.2, 0.1, ratio, 4_000))


@pytest.mark.parametrize(
    ("stable", "canary", "weight", "target"),
    [
        (0.02, 0.06, 0.05, 155),
        (0.02, 0.06, 0.1, 150),
        (0.02, 0.06, 0.5, 340),
        (0.1, 0.2, 0.05, 90),
        (0.1, 0.2, 0.1, 95),
        (0.1, 0.2, 0.5, 175),
    ],
)
def test_canary_calls_to_catch_a_regression(
    show: Show, stable: float, canary: float, weight: float, target: int
) -> None:
    world = (WORSE, 0.0, weight, stable, canary, 40_000)
    found = quantile(play(worlds.errors, *world, repetitions=2 * REPETITIONS), 0.5)
    what = f"canary calls to catch failures {stable:.0%} -> {canary:.0%}, weight {weight:.0%}"
    show(what, f"median {found:g}", f"<= {target}")
    assert found <= target


@pytest.mark.parametrize(
    ("base", "margin", "weight"),
    [(0.01, 0.02, 0.5), (0.02, 0.02, 0.5), (0.05, 0.03, 0.5), (0.05, 0.03, 0.05), (0.1, 0.05, 0.5)],
)
def test_calls_to_show_not_worse_beside_the_least_that_any_test_needs(
    show: Show, base: float, margin: float, weight: float
) -> None:
    found = play(worlds.not_worse, margin, weight, base, base, 60_000)
    least = worlds.information_bound(margin, weight, base)
    mean = sum(each or 60_000 for each in found) / len(found)
    p50, p80 = quantile(found, 0.5), quantile(found, 0.8)
    show(
        f"calls to not worse, {base:.0%} of both, margin {100 * margin:g}, weight {weight:.0%}",
        f"{p50:,.0f} / {mean:,.0f} / {p80:,.0f}",
        f"half / mean / 80 %; mean {mean / least:.2f} x the bound {least:,.0f}, <= 1.3",
    )
    assert mean <= 1.3 * least


@pytest.mark.parametrize("weight", [0.05, 0.5])
@pytest.mark.parametrize(("base", "margin"), [(0.01, 0.02), (0.05, 0.03), (0.1, 0.05)])
def test_false_not_worse_at_the_margin(show: Show, base: float, margin: float, weight: float) -> None:
    """At 5 and 10 % this comes closest to the level (3.7 to 4.5 %), so there it is measured to 0.7 points."""
    count = REPETITIONS if base == 0.01 else 5 * REPETITIONS // 2
    found = play(worlds.not_worse, margin, weight, base, base + margin, 8_000, repetitions=count)
    held(show, f"false not worse, {base:.0%} + margin {100 * margin:g}, weight {weight:.0%}", found)


@pytest.mark.parametrize(("margin", "discordant", "most"), [(0.03, 0.05, 400), (0.05, 0.1, 275)])
def test_pairs_to_show_not_worse(show: Show, margin: float, discordant: float, most: int) -> None:
    half = discordant / 2
    found = quantile(play(worlds.shadow_not_worse, margin, half, half, 5_000), 0.5)
    false = rate(play(worlds.shadow_not_worse, margin, half + margin, half, 1_500))
    what = f"pairs to not worse, margin {100 * margin:g}, {discordant:.0%} differ"
    show(what, f"median {found:g}", f"<= {most}; false at the margin {false:.1%}, <= 5 %")
    assert found <= most
    assert false <= allowed(0.05)


@pytest.mark.parametrize(("weight", "target"), [(0.05, 90), (0.1, 95), (0.5, 145)])
def test_canary_calls_to_catch_latency(show: Show, weight: float, target: int) -> None:
    found = quantile(play(worlds.latency, WORSE, 1.2, weight, 1.2, 20_000), 0.5)
    show(f"canary calls to catch latency +20 %, weight {weight:.0%}", f"median {found:g}", f"<= {target}")
    assert found <= target


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.1])
def test_a_catastrophe(show: Show, weight: float) -> None:
    found = quantile(play(worlds.errors, WORSE, 0.0, weight, 0.02, 1.0, 40_000), 0.9)
    show(
        f"canary calls to catch failures 2 % -> 100 %, weight {weight:.0%}",
        f"90th percentile {found:g}",
        "<= 3",
    )
    assert found <= 3


def test_shadow_pairs(show: Show) -> None:
    alone = quantile(play(worlds.shadow, 0.18, 0.08, 4_000), 0.5)
    together = quantile(play(worlds.shadow, 0.15, 0.05, 4_000), 0.5)
    show("shadow pairs, 90 -> 80 %, half of failures shared", f"median {together:g}", "<= 145")
    show("shadow pairs, 90 -> 80 %, sides independent", f"median {alone:g}", "(no target)")
    assert together <= 145


def test_shadow_false_alarms(show: Show) -> None:
    naive = rate(play(worlds.shadow_peeked, 0.05, 0.05, 3_000, repetitions=NAIVE))
    found = play(worlds.shadow, 0.05, 0.05, 3_000)
    held(show, "shadow false alarm, 3,000 pairs", found, beside=f"(peeked McNemar: {naive:.0%})")


def test_the_sample_ratio_monitor(show: Show) -> None:
    false, caught = (
        play(worlds.skewed_split, 0.1, 0.1, 4_000),
        quantile(play(worlds.skewed_split, 0.1, 0.15, 9_000), 0.5),
    )
    show("sample-ratio false alarms at 1000, 4,000 calls", f"{rate(false):.1%}", "<= 0.1 %")
    show("calls to see 15 % in place of 10 %", f"median {caught:g}", "(no target)")
    assert rate(false) <= allowed(0.001)


def test_confidence_sequences_hold_the_truth(show: Show) -> None:
    found = play(worlds.uncovered, 1_500, repetitions=REPETITIONS // 2)
    held(show, "confidence sequences that ever lose the truth", found)


@pytest.mark.parametrize(("question", "margin"), [(WORSE, 0.0), (NOT_WORSE, 0.02)])
def test_speed(show: Show, question: Hypothesis, margin: float) -> None:
    draw = random.Random(1)
    calls = [(draw.random() < 0.1, 0.1, float(draw.random() < 0.02)) for _ in range(20_000)]
    best = math.inf
    for _ in range(9):
        test, start = two_arm_test(question, margin), time.process_time()
        for call in calls:
            test.update(*call)
        best = min(best, time.process_time() - start)
    show(f"one update, {question}", f"{best / len(calls) * 1e6:.1f} µs", "<= 10 µs")
    show("20,000 calls recomputed", f"{best:.2f} s", "<= 0.2 s")
    assert best <= 0.2

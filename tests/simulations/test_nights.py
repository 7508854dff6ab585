"""What alarms of monitoring promise: few prompts have a false one in a year, and changes show in time."""

from dataclasses import replace

import numpy as np
import pytest

from promptops.stats.drift import DriftDetector, log_alarm_threshold
from simulations import nights
from simulations.figures import REPETITIONS, Show, held, play, quantile, rate
from simulations.nights import EIGHT, Stream

pytestmark = pytest.mark.simulation
YEARS = max(20, REPETITIONS // 6)  # of a prompt with eight metrics
YEAR, SHORT = 365, 30


@pytest.mark.parametrize("runs", [50, 200])
def test_a_year_without_a_change(show: Show, runs: int) -> None:
    """More than 200 runs a night are 200 drawn at random: a thousand a night are as these."""
    what = f"monitoring: a false alarm in a year, 8 metrics, {runs} a night"
    held(show, f"{what}, nightly", play(nights.first_alarm_of_prompt, EIGHT, runs, YEAR, repetitions=YEARS))
    few = max(10, YEARS // 4)
    calls = play(nights.first_alarm_of_prompt, EIGHT, runs, YEAR, True, repetitions=few)
    held(show, f"{what}, every call", calls)


@pytest.mark.parametrize("sd", [0.03, 0.06, 0.1])
def test_a_year_of_nights_that_wander(show: Show, sd: float) -> None:
    """Numbers by this sd of their logarithm, shares by three times as much of their logit (.3 at most)."""
    streams = [replace(each, wander=sd if each.log_sd else min(0.3, 3 * sd)) for each in EIGHT]
    found = play(nights.first_alarm_of_prompt, streams, 200, YEAR, repetitions=max(20, YEARS // 2))
    held(show, f"monitoring: a false alarm in a year, nights wander by {sd:.0%}", found)


@pytest.mark.parametrize(("share", "changed"), [(0.02, 0.10), (0.05, 0.15)])
def test_a_share_that_changes(show: Show, share: float, changed: float) -> None:
    stream = Stream("failed_checks", share=share)
    found = play(nights.first_alarm, stream, 200, SHORT, changed)
    _found_within(show, f"pass rate {1 - share:.2f} -> {1 - changed:.2f}, 200 a night", found, 3, 0.9)


@pytest.mark.parametrize(("log_sd", "least"), [(0.4, 0.9), (0.6, 0.9), (0.8, 0.0), (1.0, 0.0)])
def test_numbers_that_grow_by_a_third(show: Show, log_sd: float, least: float) -> None:
    stream = Stream("latency_ms", log_sd=log_sd)
    found = play(nights.first_alarm, stream, 200, SHORT, 1.3)
    _found_within(show, f"x1.3, log sd {log_sd}, 200 a night", found, 3, least)


@pytest.mark.parametrize("wander", [0.03, 0.06, 0.1])
def test_the_price_of_nights_that_wander(show: Show, wander: float) -> None:
    stream = Stream("latency_ms", log_sd=0.4, wander=wander)
    found = play(nights.first_alarm, stream, 200, SHORT, 1.6, repetitions=REPETITIONS // 2)
    _found_within(show, f"x1.6, log sd 0.4, nights wander by {wander:.0%}", found, 3, 0.0)


def _found_within(show: Show, what: str, found: list[int | None], last: int, least: float) -> None:
    soon = rate([each if each is not None and each <= last else None for each in found])
    half = quantile(found, 0.5)
    target = f">= {least:.0%}" if least else "told by FINDS"
    show(f"monitoring: {what}", f"{soon:.1%} in {last} nights (half by {half:g})", target)
    assert soon >= least - 2 * (least * (1 - least) / len(found)) ** 0.5


def test_the_arrays_say_what_the_detector_says() -> None:
    chance = np.random.default_rng(1)
    for stream, change in ((EIGHT[1], 0.12), (EIGHT[3], 1.2), (EIGHT[3], 0.8)):
        band = stream.reference(chance, 200).weekday
        values = stream.nights(chance, 4, 60, change)
        detector = DriftDetector(log_alarm_threshold(1.0) + 1_000)  # without a cap
        found = []
        for night in values:
            detector.open_night()
            for value in night:
                detector.add(band.bets(float(value)))
            found.append(detector.log_evidence)
        assert nights.evidence(band, values, every_call=False) == pytest.approx(found, rel=1e-9)
        assert (nights.evidence(band, values, every_call=True) >= np.array(found) - 1e-9).all()

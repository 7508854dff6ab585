"""Alarms on nights: the detector, held against enumeration and against what it is made of."""

import itertools
import json
import math
import random
from statistics import NormalDist

import pytest

from promptops.errors import Invalid
from promptops.stats.drift import (
    FALSE_ALARMS,
    NIGHTS,
    DriftDetector,
    RankBand,
    ShareBand,
    band_from_json,
    log_alarm_threshold,
    nights_to_alarm,
)
from promptops.stats.drift_reference import (
    night_sd,
    number_reference,
    reference_from_json,
    share_reference,
)
from promptops.stats.eprocess import BET_FRACTIONS
from promptops.stats.intervals import clopper_pearson_interval

EIGHTH = 1 / 8


def evidence(band: ShareBand | RankBand, nights: list[list[float]]) -> DriftDetector:
    found = DriftDetector(log_alarm_threshold(EIGHTH))
    for night in nights:
        found.open_night()
        for value in night:
            found.add(band.bets(value))
    return found


def by_definition(band: ShareBand | RankBand, nights: list[list[float]]) -> float:
    """The mean of the twelve M, without logarithms."""
    wealth = dict.fromkeys(itertools.product(range(2), BET_FRACTIONS), 0.0)
    for night in nights:
        for side, c in wealth:
            wealth[side, c] += 1.0
            for value in night:
                wealth[side, c] *= 1.0 + c * band.bets(value)[side]
    return sum(wealth.values()) / len(wealth)


def test_the_threshold_is_that_of_the_design() -> None:
    assert math.exp(log_alarm_threshold(EIGHTH)) == pytest.approx(365 * 8 / 0.04)
    assert round(log_alarm_threshold(EIGHTH), 1) == 11.2
    assert log_alarm_threshold(1) == math.log(NIGHTS / FALSE_ALARMS)


def test_evidence_is_the_mean_of_twelve_products() -> None:
    chance = random.Random(1)
    band = ShareBand(0.02, 0.08, 0.05)
    nights = [[float(chance.random() < 0.1) for _ in range(20)] for _ in range(5)]
    found = evidence(band, nights)
    assert math.exp(found.log_evidence) == pytest.approx(by_definition(band, nights), rel=1e-12)
    assert evidence(band, []).log_evidence == -math.inf
    assert evidence(band, [[]]).log_evidence == 0.0


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_evidence_less_nights_is_a_supermartingale_within_the_band(share: float) -> None:
    """Over all paths of three nights of two calls, at both ends of the band and between them."""
    band = ShareBand(0.02, 0.08, 0.05)
    expected = 0.0
    for path in itertools.product((0.0, 1.0), repeat=6):
        chance = math.prod(share if value else 1.0 - share for value in path)
        nights = [list(path[start : start + 2]) for start in (0, 2, 4)]
        expected += chance * math.exp(evidence(band, nights).log_evidence)
    assert expected <= 3.0 + 1e-12
    side = {0.08: 0, 0.02: 1}.get(share)
    if side is not None:  # at its boundary each of the side's six is a martingale: no evidence is given away
        ones = 0.0
        for path in itertools.product((0.0, 1.0), repeat=6):
            chance = math.prod(share if value else 1.0 - share for value in path)
            nights = [list(path[start : start + 2]) for start in (0, 2, 4)]
            logs = evidence(band, nights).logs[6 * side : 6 * side + 6]
            ones += chance * sum(map(math.exp, logs)) / 6
        assert ones == pytest.approx(3.0, rel=1e-9)


def test_ranks_at_the_bound_win_nothing() -> None:
    """A mean rank at the bound is a mean bet of 0, whatever the values are."""
    band = RankBand(tuple(float(value) for value in range(1, 101)), 1.05, 0.55)
    ups = [band.bets(value)[0] for value in (20.0, 60.0, 200.0)]
    ranks = [(1.0 + x) * band.bound for x in ups]
    assert ranks == pytest.approx([0.19, 0.57, 1.0])
    assert band.bets(0.5) == (-1.0, pytest.approx(1 / 0.55 - 1))
    same = RankBand((3.0, 3.0, 3.0), 1.0, 0.5)
    assert same.bets(3.0) == (0.0, 0.0)


def test_looks_cost_nothing_and_nothing_overflows() -> None:
    band = ShareBand(-0.01, 0.02, 0.01)
    found = evidence(band, [[1.0] * 10_000])
    assert found.alarmed
    assert found.rising
    assert max(found.logs) <= found.threshold + math.log(12) + 0.5
    for _ in range(20):
        found.open_night()
        for _ in range(200):
            found.add(band.bets(0.0))
    assert not found.alarmed  # once all is well again
    assert min(found.logs) > -330


def test_states_are_plain_numbers_and_damage_is_told() -> None:
    found = evidence(ShareBand(0.01, 0.05, 0.02), [[0.0, 1.0], [1.0]])
    again = DriftDetector.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    with pytest.raises(Invalid, match="logs"):
        DriftDetector.from_json({**found.to_json(), "logs": [1.0]})
    with pytest.raises(Invalid, match="bets"):
        found.add((-1.5, 0.0))
    with pytest.raises(Invalid, match="bets"):
        found.add((math.nan, 0.0))
    for damaged in (
        {"values": [2.0, 1.0], "phi": 1.1, "bound": 0.5},
        {"values": [], "phi": 1.1, "bound": 0.5},
        {"low": 0.1, "high": 0.0, "share": 0.1},
        {"low": 0.1, "high": "x", "share": 0.1},
    ):
        with pytest.raises(Invalid):
            band_from_json(damaged)


def alike(count: int, runs: int, share: float, *, seed: int = 1) -> list[tuple[bool, list[float]]]:
    chance = random.Random(seed)
    return [(day % 7 > 4, [float(chance.random() < share) for _ in range(runs)]) for day in range(count)]


def test_the_band_of_a_share_is_clopper_and_pearsons_or_the_floor() -> None:
    nights = alike(14, 200, 0.05, seed=2)
    found = share_reference(nights, EIGHTH)
    positives = int(sum(sum(values) for _, values in nights))
    exact = clopper_pearson_interval(positives, 2_800, 1 - 2 * 0.01 / 16)
    assert isinstance(found.weekday, ShareBand)
    assert found.weekday.high == max(exact.high, positives / 2_800 + 0.01)
    assert found.weekday.low == min(exact.low, positives / 2_800 - 0.01)
    assert (found.nights, found.runs, found.night_sd) == (14, 2_800, 0.0)
    none = share_reference([(False, [0.0] * 300) for _ in range(14)], EIGHTH).weekday
    assert isinstance(none, ShareBand)
    assert (none.high, none.low) == (0.01, -0.01)
    assert none.bets(0.0)[1] <= 0.0  # nothing can fall below 0


def test_the_band_of_numbers() -> None:
    chance = random.Random(2)
    nights = [(False, [chance.lognormvariate(6, 0.6) for _ in range(200)]) for _ in range(14)]
    found = number_reference(nights, EIGHTH)
    assert isinstance(found.weekday, RankBand)
    z = NormalDist().inv_cdf(1 - 0.01 / 16)
    assert round(z, 2) == 3.23
    assert found.weekday.bound == pytest.approx(0.5 + z / math.sqrt(12 * 2_800))
    assert found.weekday.phi == 1.05
    assert reference_from_json(json.loads(json.dumps(found.to_json()))) == found
    zeros = number_reference([(False, [0.0] * 80) for _ in range(14)], EIGHTH)
    assert zeros.weekday.bets(0.0) == (
        pytest.approx(0.5 / zeros.weekday.bound - 1),  # type: ignore[union-attr]
        pytest.approx(0.5 / zeros.weekday.bound - 1),  # type: ignore[union-attr]
    )


def test_nights_that_wander_widen_the_band() -> None:
    chance = random.Random(3)
    nights = []
    for _ in range(14):
        level = math.exp(chance.gauss(0, 0.1))
        nights.append((False, [level * chance.lognormvariate(6, 0.3) for _ in range(200)]))
    found = number_reference(nights, EIGHTH)
    assert 0.1 < found.night_sd < 0.2
    assert isinstance(found.weekday, RankBand)
    assert found.weekday.phi == pytest.approx(math.exp(2 * found.night_sd))
    shares = [(False, [1.0] * ones + [0.0] * (200 - ones)) for ones in [4, 30] * 7]
    wide = share_reference(shares, EIGHTH).weekday
    assert isinstance(wide, ShareBand)
    assert wide.high > wide.share + 0.1


def test_the_sd_of_nights_is_the_upper_bound_of_the_analysis_of_variance() -> None:
    nights = [[4.0 * day - 1.0, 4.0 * day + 1.0] for day in range(20)]
    between, within = 2 * 16 * (20 * 20 - 1) / 12 * 20 / 19, 2.0  # mean squares
    lower = 8.7604  # the 2.275 % quantile of chi-square with 19 degrees of freedom
    assert night_sd(nights) == pytest.approx(math.sqrt((between * 19 / lower - within) / 2), rel=2e-3)
    assert night_sd([[1.0, 2.0]]) == 0.0
    assert night_sd([[1.0], [2.0]]) == 0.0
    assert night_sd([[1.0, 2.0], [1.0, 2.0], []]) == 0.0


def test_weekends_that_differ_have_a_band_of_their_own() -> None:
    days = [(weekend, values) for weekend, values in alike(21, 200, 0.05) if not weekend]
    ends = [(True, values) for _, values in alike(6, 200, 0.25, seed=4)]
    found = share_reference([*days, *ends], EIGHTH)
    assert isinstance(found.band(weekend=True), ShareBand)
    assert found.band(weekend=True).level() > 0.2 > found.band(weekend=False).level()
    assert reference_from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.night_sd < 0.02  # what tells weekends apart is no wandering
    one = share_reference([*days, *ends[:3]], EIGHTH)  # too few of them
    assert one.weekday is one.weekend


def test_how_many_nights_a_change_needs() -> None:
    band = share_reference(alike(15, 200, 0.05), EIGHTH).weekday
    threshold = log_alarm_threshold(EIGHTH)
    assert nights_to_alarm(band.growth(0.15), threshold, 200) in (1, 2, 3)
    slow = nights_to_alarm(band.growth(0.15), threshold, 20)
    assert slow is not None
    assert slow > 10
    assert nights_to_alarm(band.growth(0.051), threshold, 200) is None
    assert band.growth(0.0) > 0.0


def test_a_drop_is_found_and_a_steady_share_is_not() -> None:
    reference = share_reference(alike(15, 200, 0.02), EIGHTH)
    steady = evidence(reference.weekday, [values for _, values in alike(40, 200, 0.02, seed=9)])  # type: ignore[arg-type]
    assert not steady.alarmed
    worse = evidence(reference.weekday, [values for _, values in alike(3, 200, 0.10, seed=9)])  # type: ignore[arg-type]
    assert worse.alarmed

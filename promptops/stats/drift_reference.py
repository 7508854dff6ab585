"""The reference of an alarm: which band a metric may move in, from nights in which all was well.

Beside the sampling error of the reference a band leaves room for what does not matter (``FLOOR``, ``PHI``)
and for nights that wander of themselves: twice the standard deviation between the reference's nights, less
what sampling explains (the components of variance of a one-way layout: Searle, Casella and McCulloch 1992).
Where weekends differ from other days, each has a band of its own.

share:   high = max(Clopper-Pearson's upper bound, share + floor), low likewise
number:  the mean rank in the reference may be .5 + z/sqrt(12 n), of values divided by phi (a rise) or
         multiplied by it (a fall)
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.stats.distributions import normal_quantile
from promptops.stats.drift import REFERENCE_ERROR, Band, RankBand, ShareBand, band_from_json
from promptops.stats.eprocess import state_reader
from promptops.stats.intervals import clopper_pearson_interval

FLOOR = 0.01  # a change of a share that does not matter
PHI = 1.05  # and of a number
_SDS = 2.0
_DOUBT_Z = 1.282  # one-sided 10 %: that alike nights differ so much
_SURE_Z = 2.326  # one-sided 1 %
_LOW_Z = 2.0  # and 2.3 %: that the estimate of how far they wander is so low
_SPLIT_Z = 3.29  # two-sided 0.1 %
_SPLIT_RUNS, _SPLIT_NIGHTS = 300, 4  # that weekends must have for a band of their own
_SIDES = 2

Night = tuple[bool, Sequence[float]]
"""Whether it is a weekend's, and the values of its runs."""


@dataclass(frozen=True, slots=True)
class DriftReference:
    """The bands of one metric: of all days, or of weekdays and weekends."""

    weekday: Band
    weekend: Band
    nights: int
    runs: int
    night_sd: float  # of the share, or of the logarithm of the numbers

    def band(self, *, weekend: bool) -> Band:
        return self.weekend if weekend else self.weekday

    def to_json(self) -> dict[str, Any]:
        split = {} if self.weekend is self.weekday else {"weekend": self.weekend.to_json()}
        return {
            "band": self.weekday.to_json(),
            **split,
            "nights": self.nights,
            "runs": self.runs,
            "night_sd": self.night_sd,
        }


def reference_from_json(state: Mapping[str, Any]) -> DriftReference:
    read = state_reader(state)
    weekday = band_from_json(read.inner("band"))
    weekend = band_from_json(read.inner("weekend")) if "weekend" in state else weekday
    return DriftReference(weekday, weekend, read.count("nights"), read.count("runs"), read.number("night_sd"))


def share_reference(nights: Sequence[Night], share: float) -> DriftReference:
    """The band of a share whose values are 0 or 1; ``share``: the metric's of the error of references."""
    return _reference(nights, share, numbers=False)


def number_reference(nights: Sequence[Night], share: float) -> DriftReference:
    """The band of numbers of at least 0."""
    return _reference(nights, share, numbers=True)


def _reference(nights: Sequence[Night], share: float, *, numbers: bool) -> DriftReference:
    error = REFERENCE_ERROR * share / _SIDES
    make = _rank_band if numbers else _share_band
    levels = [(weekend, _logs(values) if numbers else values) for weekend, values in nights]
    runs, count = sum(len(values) for _, values in nights), len(nights)
    if _weekends_differ(levels, math.log(PHI) if numbers else FLOOR):
        apart = [[values for weekend, values in levels if weekend is which] for which in (False, True)]
        given = [[values for weekend, values in nights if weekend is which] for which in (False, True)]
        sds = [night_sd(each) for each in apart]
        bands = [make(each, sd, error / _SIDES) for each, sd in zip(given, sds, strict=True)]
        return DriftReference(bands[0], bands[1], count, runs, max(sds))
    sd = night_sd([values for _, values in levels])
    band = make([values for _, values in nights], sd, error)
    return DriftReference(band, band, count, runs, sd)


def _logs(values: Sequence[float]) -> list[float]:
    """Of those above 0: a logarithm says nothing of the others."""
    return [math.log(value) for value in values if value > 0.0]


def _share_band(nights: Sequence[Sequence[float]], sd: float, error: float) -> ShareBand:
    count = sum(map(len, nights))
    positives = round(sum(map(sum, nights)))
    share = positives / count
    room = max(FLOOR, _SDS * sd)
    interval = clopper_pearson_interval(positives, count, 1.0 - 2.0 * error)
    return ShareBand(min(interval.low, share - room), max(interval.high, share + room), share)


def _rank_band(nights: Sequence[Sequence[float]], sd: float, error: float) -> RankBand:
    values = sorted(float(f"{value:.6g}") for night in nights for value in night)
    bound = 0.5 + normal_quantile(1.0 - error) / math.sqrt(12.0 * len(values))
    return RankBand(tuple(values), max(PHI, math.exp(min(_SDS * sd, 20.0))), bound)


def night_sd(nights: Sequence[Sequence[float]]) -> float:
    """How far the levels of nights wander beyond what the spread within them explains: a standard deviation.

    0 where nights differ no more than one in ten references of alike nights does: that little would widen the
    bands of all for nothing.  The estimate of the analysis of variance where they differ more; where it is
    sure (1 %) that they wander, its upper bound (97.7 %), as what two weeks of nights show is easily half of
    what a year has.
    """
    groups = [night for night in nights if night]
    count = sum(map(len, groups))
    freedom, within_freedom = len(groups) - 1, count - len(groups)
    if freedom < 1 or within_freedom < 1:
        return 0.0
    means = [math.fsum(night) / len(night) for night in groups]
    whole = math.fsum(map(math.fsum, groups)) / count
    within = (
        math.fsum((value - mean) ** 2 for night, mean in zip(groups, means, strict=True) for value in night)
        / within_freedom
    )
    between = math.fsum(len(night) * (mean - whole) ** 2 for night, mean in zip(groups, means, strict=True))
    if between <= _chi_square(freedom, _DOUBT_Z) * within:
        return 0.0
    sure = between > _chi_square(freedom, _SURE_Z) * within
    mean_square = between / (_chi_square(freedom, -_LOW_Z) if sure else freedom)
    weight = (count - math.fsum(len(night) ** 2 for night in groups) / count) / freedom
    return math.sqrt((mean_square - within) / weight)


def _chi_square(freedom: int, z: float) -> float:
    """A quantile, by Wilson and Hilferty (PNAS 1931); ``z``: that of the normal distribution."""
    part = 2.0 / (9.0 * freedom)
    return float(freedom * max(1.0 - part + z * math.sqrt(part), 0.05) ** 3)


def _weekends_differ(levels: Sequence[Night], matters: float) -> bool:
    parts = [
        [list(values) for weekend, values in levels if weekend is which and values] for which in (False, True)
    ]
    if any(len(part) < _SPLIT_NIGHTS or sum(map(len, part)) < _SPLIT_RUNS for part in parts):
        return False
    means = [math.fsum(map(math.fsum, part)) / sum(map(len, part)) for part in parts]
    error = math.sqrt(sum(_variance_of_mean(part) for part in parts))
    return abs(means[0] - means[1]) > max(matters, _SPLIT_Z * error)


def _variance_of_mean(nights: Sequence[Sequence[float]]) -> float:
    """Of all values, where nights wander as well."""
    values = [value for night in nights for value in night]
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return spread / len(values) + night_sd(nights) ** 2 / len(nights)

"""Alarms on what is looked at night after night, when its level has left the band that a reference allows.

A stream has one value a run.  A band turns a value into two bets ``x >= -1``, one that the level has risen
and one that it has fallen, whose means are at most 0 while the level is in the band.  Per side and share c::

    each night   M_c <- (M_c + 1) * prod over the night's runs of (1 + c*x),  M_c = 0 at first
    alarm        when the mean of the twelve M_c is at least A = N / (FALSE_ALARMS * share)

``share`` is the metric's part of the budget of its prompt: the shares of all metrics sum to 1.  M_t + N - t
is a non-negative supermartingale that starts at N, so that within N nights an alarm is false with probability
at most N/A (Ville), however often a night is looked at.  Over the metrics of a prompt that is
``FALSE_ALARMS`` a year; that a reference lies is ``REFERENCE_ERROR`` more.

Source: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection"
(arXiv 2203.03532), the e-SR detector of section 3.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import field
from math import log1p
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import BET_FRACTIONS, log_mean, state_reader

NIGHTS = 365  # in which a prompt has a false alarm with probability FALSE_ALARMS + REFERENCE_ERROR at most
FALSE_ALARMS = 0.04
REFERENCE_ERROR = 0.01
_SHARES = len(BET_FRACTIONS)
_LOOKED_AT = 300  # values of a reference that a forecast is made from
_ABOVE = 0.5  # log of how far evidence is kept above A: it falls below soon when all is well again


def log_alarm_threshold(share: float) -> float:
    """``log A`` of a metric with this share of the budget; 1/8 for one of eight alike."""
    return math.log(NIGHTS / (FALSE_ALARMS * share))


@dataclass(frozen=True, slots=True)
class ShareBand:
    """The share of runs of which something is true: it may be from ``low`` to ``high``."""

    low: float
    high: float
    share: float  # of the reference

    def bets(self, value: float) -> tuple[float, float]:
        """That the share has risen, and that it has fallen; ``value`` is from 0 to 1."""
        up = (value - self.high) / self.high
        down = (1.0 - value - (1.0 - self.low)) / (1.0 - self.low)
        return up, down

    def level(self) -> float:
        return self.share

    def growth(self, share: float) -> float:
        """What the best of the bets gains a run, as a logarithm, once the share is this."""
        side = 0 if share > self.share else 1
        yes, no = self.bets(1.0)[side], self.bets(0.0)[side]
        return max(share * log1p(c * yes) + (1.0 - share) * log1p(c * no) for c in BET_FRACTIONS)

    def to_json(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "share": self.share}


@dataclass(frozen=True, slots=True)
class RankBand:
    """Numbers by their rank among the sorted reference: they may be ``phi`` times as large, or as small."""

    values: tuple[float, ...]
    phi: float
    bound: float  # of the mean rank

    def bets(self, value: float) -> tuple[float, float]:
        """That the numbers have risen, and that they have fallen."""
        up = (self._rank(value / self.phi) - self.bound) / self.bound
        down = (1.0 - self._rank(value * self.phi) - self.bound) / self.bound
        return up, down

    def _rank(self, value: float) -> float:
        """Between those of equal ones: no reference is without ties."""
        return (bisect_left(self.values, value) + bisect_right(self.values, value)) / (2 * len(self.values))

    def level(self) -> float:
        """The median of the reference."""
        return self.values[len(self.values) // 2]

    def growth(self, ratio: float) -> float:
        """What the best of the bets gains a run, as a logarithm, once numbers are so many times as large."""
        side = 0 if ratio > 1.0 else 1
        some = self.values[:: max(1, len(self.values) // _LOOKED_AT)]
        bets = [self.bets(value * ratio)[side] for value in some]
        return max(math.fsum(log1p(c * x) for x in bets) for c in BET_FRACTIONS) / len(bets)

    def to_json(self) -> dict[str, Any]:
        return {"values": list(self.values), "phi": self.phi, "bound": self.bound}


Band = ShareBand | RankBand


def band_from_json(state: Mapping[str, Any]) -> Band:
    """A band as ``to_json`` wrote it."""
    read = state_reader(state)
    if "values" in state:
        values = tuple(read.numbers("values"))
        phi, bound = read.number("phi"), read.number("bound")
        if not values or phi < 1.0 or bound <= 0.0 or list(values) != sorted(values):
            raise Invalid("a stored reference is damaged", hint="promptops monitor check --acknowledge")
        return RankBand(values, phi, bound)
    low, high, share = (read.number(key) for key in ("low", "high", "share"))
    if not (low < 1.0 and high > 0.0):
        raise Invalid("a stored reference is damaged", hint="promptops monitor check --acknowledge")
    return ShareBand(low, high, share)


@dataclass(slots=True)
class DriftDetector:
    """The evidence of one metric that it has risen (the first six) or fallen, as logarithms."""

    threshold: float  # log A
    nights: int = 0
    logs: list[float] = field(default_factory=lambda: [0.0] * (2 * _SHARES))

    def open_night(self) -> None:
        """A change may have come with any night: each opens with one more unit to bet."""
        if self.nights:
            self.logs = [_log_one_more(value) for value in self.logs]
        self.nights += 1

    def add(self, bets: tuple[float, float]) -> None:
        """One run of the night that was opened last."""
        up, down = bets
        if not (up >= -1.0 and down >= -1.0):
            raise Invalid(f"bets of {up} and {down}: needs numbers of at least -1")
        logs, most = self.logs, self.threshold + math.log(2 * _SHARES) + _ABOVE
        for place, share in enumerate(BET_FRACTIONS):
            logs[place] = min(logs[place] + log1p(share * up), most)
            logs[place + _SHARES] = min(logs[place + _SHARES] + log1p(share * down), most)

    @property
    def log_evidence(self) -> float:
        return log_mean(self.logs) if self.nights else -math.inf

    @property
    def alarmed(self) -> bool:
        return max(self.logs) >= self.threshold and self.log_evidence >= self.threshold

    @property
    def rising(self) -> bool:
        """Whether the evidence is rather of a rise than of a fall."""
        return max(self.logs[:_SHARES]) >= max(self.logs[_SHARES:])

    def to_json(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "nights": self.nights, "logs": list(self.logs)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        return cls(read.number("threshold"), read.count("nights"), read.numbers("logs", 2 * _SHARES))


def _log_one_more(value: float) -> float:
    """``log(exp(value) + 1)``."""
    return max(value, 0.0) + log1p(math.exp(-abs(value)))


def nights_to_alarm(growth: float, threshold: float, runs_a_night: float) -> int | None:
    """How many nights a change is likely to need whose best bet gains so much a run; None: it is not seen.

    The mean of the twelve reaches A when one of them has reached twelve times as much.
    """
    gain = growth * runs_a_night
    if gain <= 1e-6:
        return None
    return math.ceil((threshold + math.log(2 * _SHARES)) / gain)

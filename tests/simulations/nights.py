"""Years of nights of the metrics that monitoring watches, many at a time.

References and bands are the product's; its detector is played for a whole year by arrays, and a test holds
that it says the same as the product's call by call.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from promptops.monitoring.metrics import METRICS
from promptops.monitoring.watch import OF_LOG
from promptops.stats.drift import RankBand, ShareBand, log_alarm_threshold
from promptops.stats.drift_reference import DriftReference, number_reference, share_reference
from promptops.stats.eprocess import BET_FRACTIONS

SHARES = np.array(BET_FRACTIONS)
Array = Any


@dataclass(frozen=True)
class Stream:
    """One metric: a share or, with ``log_sd``, log-normal numbers. ``wander``: the sd of a night's level.

    Of a share it is that of its logit, of numbers that of their logarithm.
    """

    metric: str
    share: float = 0.0
    log_sd: float = 0.0
    wander: float = 0.0

    def nights(self, chance: np.random.Generator, count: int, runs: int, change: float = 0.0) -> Array:
        """``change``: the share from now on, or what numbers are multiplied by."""
        level = chance.normal(0.0, self.wander, (count, 1)) if self.wander else np.zeros((count, 1))
        if self.log_sd:
            numbers = chance.normal(6.0 + math.log(change or 1.0), self.log_sd, (count, runs))
            return np.exp(numbers + level)
        share = change or self.share
        odds = share / (1.0 - share) * np.exp(level)
        return (chance.random((count, runs)) < odds / (1.0 + odds)).astype(float)

    def reference(self, chance: np.random.Generator, runs: int) -> DriftReference:
        """As the product gathers one."""
        count = OF_LOG.nights
        nights = [(False, list(map(float, night))) for night in self.nights(chance, count, runs)]
        make = number_reference if self.log_sd else share_reference
        return make(nights, METRICS[self.metric].budget)


def bets(band: ShareBand | RankBand, values: Array) -> tuple[Array, Array]:
    """Those of the band, of many values."""
    if isinstance(band, ShareBand):
        one, none = band.bets(1.0), band.bets(0.0)
        return tuple(np.where(values > 0.5, one[side], none[side]) for side in (0, 1))  # type: ignore[return-value]
    known, size = np.array(band.values), 2 * len(band.values)

    def rank(scaled: Array) -> Array:
        return (np.searchsorted(known, scaled, "left") + np.searchsorted(known, scaled, "right")) / size

    up = (rank(values / band.phi) - band.bound) / band.bound
    down = (1.0 - rank(values * band.phi) - band.bound) / band.bound
    return up, down


def evidence(band: ShareBand | RankBand, nights: Array, *, every_call: bool) -> Array:
    """The logarithm of the mean of the twelve, at the end of each night or the highest within it."""
    gains = np.concatenate([np.log1p(SHARES[:, None, None] * side) for side in bets(band, nights)])
    paths = np.cumsum(gains, axis=2) if every_call else gains.sum(axis=2, keepdims=True)
    logs, found = np.zeros((len(gains), 1)), []
    for night in range(nights.shape[0]):
        start = np.logaddexp(logs, 0.0) if night else logs
        path = start + paths[:, night, :]
        found.append(np.max(np.logaddexp.reduce(path, axis=0)) - math.log(len(gains)))
        logs = path[:, -1:]
    return np.array(found)


def first_alarm(
    seed: int, stream: Stream, runs: int, count: int, change: float = 0.0, every_call: bool = False
) -> int | None:
    """The night, counted from 1, of the first alarm of one stream in so many nights."""
    chance = np.random.default_rng(seed)
    band = stream.reference(chance, runs).weekday
    found = evidence(band, stream.nights(chance, count, runs, change), every_call=every_call)
    over = np.flatnonzero(found >= log_alarm_threshold(METRICS[stream.metric].budget))
    return int(over[0]) + 1 if len(over) else None


def first_alarm_of_prompt(
    seed: int, streams: Sequence[Stream], runs: int, count: int, every_call: bool = False
) -> int | None:
    """Of all its metrics together."""
    found = [
        first_alarm(seed * 100 + place, each, runs, count, 0.0, every_call)
        for place, each in enumerate(streams)
    ]
    return min((each for each in found if each is not None), default=None)


EIGHT = (
    Stream("errors", share=0.01),
    Stream("failed_checks", share=0.05),
    Stream("refusals", share=0.02),
    Stream("latency_ms", log_sd=0.6),
    Stream("output_tokens", log_sd=0.4),
    Stream("cost_usd", log_sd=0.8),
    Stream("input_chars", log_sd=1.0),
    Stream("structured_inputs", share=0.2),
)
"""Eight metrics of a prompt."""

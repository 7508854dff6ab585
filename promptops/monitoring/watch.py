"""One metric of one target: it gathers a reference, then holds every night against it."""

from collections.abc import Mapping
from dataclasses import field, replace
from math import log1p
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.monitoring.metrics import Direction, Metric
from promptops.monitoring.nights import is_weekend
from promptops.stats.drift import DriftDetector, log_alarm_threshold, nights_to_alarm
from promptops.stats.drift_reference import (
    DriftReference,
    number_reference,
    reference_from_json,
    share_reference,
)
from promptops.stats.eprocess import BET_FRACTIONS, state_reader
from promptops.stats.intervals import quantile

EXAMPLES = 10
_KEPT = 200  # values of a change from which its size is told
_CALM = 1.0  # log of how far evidence falls below A before an alarm is over
_SMALLEST = BET_FRACTIONS[0]  # the share whose bets win at the smallest change


@dataclass(frozen=True, slots=True)
class ReferenceSize:
    """What makes a reference complete."""

    nights: int
    runs: int


OF_LOG = ReferenceSize(nights=21, runs=1_000)  # of two weeks it is too little known how nights wander
OF_PROBES = ReferenceSize(nights=7, runs=50)  # the same cases each night


@dataclass(slots=True)
class Trail:
    """The runs since the change that there may be in one direction: since when, how large, examples.

    It begins again whenever the bets since have lost all that they won (the CUSUM of Page, 1954).
    """

    score: float = 0.0
    since: str = ""
    runs: int = 0
    total: float = 0.0
    values: list[float] = field(default_factory=list)
    examples: list[int] = field(default_factory=list)

    def add(self, night: str, seq: int, value: float, bet: float) -> None:
        self.score += log1p(_SMALLEST * bet)
        if self.score <= 0.0:
            self.score, self.since, self.runs, self.total = 0.0, "", 0, 0.0
            self.values, self.examples = [], []
            return
        self.since = self.since or night
        self.runs += 1
        self.total += value
        self.values = [*self.values[1 - _KEPT :], value]
        if bet > 0.0:
            self.examples = [*self.examples[1 - EXAMPLES :], seq]

    def to_json(self) -> list[Any]:
        return [self.score, self.since, self.runs, self.total, self.values, self.examples]

    @classmethod
    def from_json(cls, state: list[Any]) -> Self:
        score, since, runs, total, values, examples = state
        return cls(float(score), str(since), int(runs), float(total), list(values), list(examples))


@dataclass(frozen=True, slots=True)
class Change:
    """What there was evidence of when an alarm was raised, or is now. ``ended``: it is no more."""

    raised: str  # the night
    direction: Direction
    since: str
    before: float
    now: float
    runs: int
    examples: tuple[int, ...]
    ended: bool = False


@dataclass(slots=True)
class MetricWatch:
    """``gathered``: nights of a reference that is not complete yet. ``night``: the last one."""

    metric: Metric
    night: str = ""
    gathered: list[tuple[str, list[float]]] = field(default_factory=list)
    reference: DriftReference | None = None
    detector: DriftDetector | None = None
    rise: Trail = field(default_factory=Trail)
    fall: Trail = field(default_factory=Trail)
    raised: str = ""  # the night of the alarm that is open
    changes: list[Change] = field(default_factory=list)  # alarms that came and went, not stored

    def add(self, night: str, seq: int, value: float) -> None:
        """One run of a night; nights come in order."""
        if night != self.night:
            self._open(night)
        if self.reference is None or self.detector is None:
            self.gathered[-1][1].append(value)
            return
        bets = self.reference.band(weekend=is_weekend(night)).bets(value)
        self.detector.add(bets)
        for trail, bet in zip((self.rise, self.fall), bets, strict=True):
            trail.add(night, seq, value, bet)
        self._raise_or_resolve()

    def _raise_or_resolve(self) -> None:
        detector = self.detector
        if detector is None:
            return
        if self.raised and detector.log_evidence < detector.threshold - _CALM:
            self.changes = [*self.changes[:-1], replace(self.changes[-1], ended=True)] if self.changes else []
            self.raised = ""
        elif not self.raised and detector.alarmed:
            self.raised = self.night
            self.changes.append(self.change())

    def change(self) -> Change:
        """The change that the alarm is about, as far as it has gone."""
        trail = self.trail
        before, now = self.level() or 0.0, self.changed_level() or 0.0
        return Change(
            self.raised, self.direction, trail.since, before, now, trail.runs, tuple(trail.examples)
        )

    def _open(self, night: str) -> None:
        self.night = night
        if self.reference is None and self._is_complete():
            nights = [(is_weekend(day), values) for day, values in self.gathered]
            make = number_reference if self.metric.number else share_reference
            self.reference = make(nights, self.metric.budget)
            self.detector = DriftDetector(log_alarm_threshold(self.metric.budget))
            self.gathered = []
        if self.detector is None:
            self.gathered.append((night, []))
        else:
            self.detector.open_night()

    def _is_complete(self) -> bool:
        return len(self.gathered) >= self.size.nights and self.runs_gathered >= self.size.runs

    @property
    def size(self) -> ReferenceSize:
        return OF_PROBES if self.metric.family == "probes" else OF_LOG

    @property
    def runs_gathered(self) -> int:
        return sum(len(values) for _, values in self.gathered)

    @property
    def direction(self) -> Direction:
        return "rise" if self.detector is None or self.detector.rising else "fall"

    @property
    def trail(self) -> Trail:
        """Of the direction that there is more evidence of."""
        return self.rise if self.direction == "rise" else self.fall

    def level(self) -> float | None:
        """Of the reference: a share, or the median."""
        return self.reference.weekday.level() if self.reference else None

    def changed_level(self) -> float | None:
        """Since the change: a share, or the median."""
        trail = self.trail
        if not trail.runs:
            return None
        return quantile(trail.values, 0.5) if self.metric.number else trail.total / trail.runs

    def nights_needed(self) -> int | None:
        """Until a change that matters is likely to be seen: 10 points of a share, x1.3 of a number."""
        if self.reference is None or self.detector is None:
            return None
        band = self.reference.weekday
        changed = 1.3 if self.metric.number else band.level() + (0.1 if band.level() <= 0.9 else -0.1)
        a_night = self.reference.runs / self.reference.nights
        return nights_to_alarm(band.growth(changed), self.detector.threshold, a_night)

    def progress_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"night": self.night}
        if self.detector is None:
            return {**found, "gathered": [[day, values] for day, values in self.gathered]}
        trails = {"rise": self.rise.to_json(), "fall": self.fall.to_json()}
        return {**found, "raised": self.raised, "detector": self.detector.to_json(), **trails}

    @classmethod
    def from_json(
        cls, metric: Metric, progress: Mapping[str, Any], reference: Mapping[str, Any] | None
    ) -> Self:
        read = state_reader(progress)
        if reference is None:
            gathered = [(str(day), [float(each) for each in values]) for day, values in progress["gathered"]]
            return cls(metric, str(progress["night"]), gathered)
        return cls(
            metric,
            str(progress["night"]),
            [],
            reference_from_json(reference),
            DriftDetector.from_json(read.inner("detector")),
            Trail.from_json(progress["rise"]),
            Trail.from_json(progress["fall"]),
            str(progress["raised"]),
        )

"""All that is known of one target between two looks, and its form in the registry."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.monitoring.draw import Draw
from promptops.monitoring.metrics import OF_VERSION, find_metric
from promptops.monitoring.profile import InputProfile
from promptops.monitoring.semantic import SemanticState
from promptops.monitoring.watch import MetricWatch
from promptops.registry import StoredMonitor

_PROFILED = frozenset({"novelty", "new_values", "other_language"})
_NAMES = 20  # of one model that are remembered
_ANSWERS = 20  # different ones of a probe that are remembered
_PROBE_NIGHTS = 3  # whose answers are


@dataclass(slots=True)
class ProbeAnswers:
    """What probes were answered with in their first nights, as hashes by case."""

    nights: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)

    def learn(self, night: str, case: str, answer: str) -> bool:
        """False once they are learnt."""
        if night not in self.nights:
            if len(self.nights) >= _PROBE_NIGHTS:
                return False
            self.nights.append(night)
        known = self.answers.setdefault(case, [])
        if answer and answer not in known and len(known) < _ANSWERS:
            known.append(answer)
        return True


@dataclass(slots=True)
class KnownNames:
    """Names that came with answers, by what was asked: one that is new later is a change without a test."""

    seen: dict[str, dict[str, int]] = field(default_factory=dict)

    def is_new(self, asked: str, name: str, after: int) -> bool:
        """Whether so many answers had other names before it. Of who names each answer otherwise, none is."""
        known = self.seen.setdefault(asked, {})
        if name not in known and len(known) >= _NAMES:
            return False
        new = name not in known and sum(known.values()) >= after
        known[name] = known.get(name, 0) + 1
        return new


@dataclass(slots=True)
class TargetState:
    """``epoch``: the version that is watched and since when. ``watches``: by metric."""

    epoch: str = ""
    through: int = 0
    outcomes_through: int = 0
    outcome_night: str = ""
    outcome_units: set[str] = field(default_factory=set)
    judge: str = ""
    probe_night: str = ""
    draw: Draw = field(default_factory=Draw)
    profile: InputProfile = field(default_factory=InputProfile)
    probes: ProbeAnswers = field(default_factory=ProbeAnswers)
    models: KnownNames = field(default_factory=KnownNames)
    fingerprints: KnownNames = field(default_factory=KnownNames)
    semantic: SemanticState = field(default_factory=SemanticState)
    watches: dict[str, MetricWatch] = field(default_factory=dict)

    def add(self, night: str, seq: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if name not in self.watches and (metric := find_metric(name)):
                self.watches[name] = MetricWatch(metric)
            self.watches[name].add(night, seq, value)

    def begin_version(self, epoch: str) -> None:
        """Forget what was measured of another version; what users send is none of its."""
        self.epoch = epoch
        self.forget([name for name, watch in self.watches.items() if watch.metric.family in OF_VERSION])
        self.probes, self.judge = ProbeAnswers(), ""
        self.models, self.fingerprints = KnownNames(), KnownNames()

    def forget(self, names: Iterable[str]) -> None:
        """What these metrics are from now on is their new reference."""
        gone = set(names)
        if gone & _PROFILED:
            self.profile = InputProfile()
            gone |= _PROFILED
        if "probe_changed" in gone:
            self.probes = ProbeAnswers()
        if "semantic_distance" in gone:
            self.semantic = self.semantic.again()
        for name in gone:
            self.watches.pop(name, None)

    def keep_slices(self, tags: Collection[str]) -> None:
        """What is not declared any more is not watched."""
        metrics = [watch.metric for watch in self.watches.values()]
        self.forget(metric.name for metric in metrics if metric.slice and metric.slice not in tags)

    def stored(self, updated_at: str) -> StoredMonitor:
        reference = {
            name: watch.reference.to_json() for name, watch in self.watches.items() if watch.reference
        }
        progress = {
            "outcomes_through": self.outcomes_through,
            "outcome_night": self.outcome_night,
            "outcome_units": sorted(self.outcome_units),
            "judge": self.judge,
            "probe_night": self.probe_night,
            "draw": self.draw.to_json(),
            "profile": self.profile.to_json(),
            "probes": [self.probes.nights, self.probes.answers],
            "models": self.models.seen,
            "fingerprints": self.fingerprints.seen,
            "semantic": self.semantic.to_json() if self.semantic.model else None,
            "watches": {name: watch.progress_json() for name, watch in self.watches.items()},
        }
        return StoredMonitor(self.epoch, reference, progress, self.through, updated_at)

    @classmethod
    def from_stored(cls, stored: StoredMonitor) -> Self:
        """Raises Invalid where what is stored is damaged."""
        known, reference = stored.progress, stored.reference
        try:
            return cls(
                epoch=stored.epoch,
                through=stored.through,
                outcomes_through=int(known["outcomes_through"]),
                outcome_night=str(known["outcome_night"]),
                outcome_units=set(known["outcome_units"]),
                judge=str(known["judge"]),
                probe_night=str(known["probe_night"]),
                draw=Draw.from_json(known["draw"]),
                profile=InputProfile.from_json(known["profile"]),
                probes=ProbeAnswers(*known["probes"]),
                models=KnownNames(known["models"]),
                fingerprints=KnownNames(known["fingerprints"]),
                semantic=SemanticState.from_json(known["semantic"])
                if known.get("semantic")
                else SemanticState(),
                watches={
                    name: MetricWatch.from_json(metric, progress, reference.get(name))
                    for name, progress in known["watches"].items()
                    if (metric := find_metric(name))
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Invalid(
                f"what monitoring has stored cannot be read: {type(error).__name__} {error}",
                hint="promptops monitor check NAME:CHANNEL --restart begins again",
            ) from None

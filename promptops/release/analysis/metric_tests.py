"""The tests of one rollout, call by call. Metrics that wait equally long form a lane, scored on one prefix.

``calls`` of a lane is how far it has come: a call is added to all of its metrics or to none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from promptops.release.analysis.scoring import MetricValue, NoValue
from promptops.release.plan.types import PlanMetric, ReleasePlan
from promptops.stats.eprocess import Hypothesis
from promptops.stats.guard_group import GuardGroup
from promptops.stats.rank_losses import Percentiles, ratio_losses
from promptops.stats.sample_ratio import SampleRatioTest
from promptops.stats.stratified import StepStratum
from promptops.stats.two_arm import NO_HISTORY, Prior, TwoArmTest

ALL_BP = 10_000


@dataclass(slots=True)
class MetricTests:
    """One metric's processes, sums and counts; ``sums`` are [canary calls, total, stable calls, total]."""

    metric: PlanMetric
    worse: TwoArmTest
    not_worse: TwoArmTest
    better: TwoArmTest
    seen: Percentiles = field(default_factory=Percentiles)
    steps: dict[int, StepStratum] = field(default_factory=dict)
    sums: list[float] = field(default_factory=lambda: [0, 0.0, 0, 0.0])
    missing_counts: list[int] = field(default_factory=lambda: [0, 0])  # missing, of the canary and of stable
    missing: list[TwoArmTest] = field(default_factory=list)  # is the canary's value missing more often? less?
    late: int = 0
    hard: bool = False

    def losses(self, canary: bool, value: float) -> tuple[float, float]:
        if self.metric.kind == "ratio":
            return ratio_losses(self.seen, canary, value, self.metric.margin)
        return value, value

    def add(self, canary: bool, weight_bp: int, value: float) -> float:
        """Add all but ``worse``, which a group of guards may hold; gives the loss for it."""
        weight = weight_bp / ALL_BP
        loss, within = self.losses(canary, value)
        self.not_worse.update(canary, weight, within)
        self.better.update(canary, weight, loss)
        self.steps.setdefault(weight_bp, StepStratum(weight)).add(canary, loss)
        self.sums[0 if canary else 2] += 1
        self.sums[1 if canary else 3] += value
        self._update_missing(canary, weight, missing=False)
        if canary and loss >= 1.0 and self.metric.role == "hard":
            self.hard = True
        return loss

    def add_missing(self, canary: bool, weight_bp: int) -> None:
        self.missing_counts[0 if canary else 1] += 1
        self._update_missing(canary, weight_bp / ALL_BP, missing=True)
        if not self.missing:  # bets begin behind the first: before it there is nothing to compare
            self.missing = [TwoArmTest(Hypothesis.WORSE, 0.0), TwoArmTest(Hypothesis.WORSE, 0.0)]

    def _update_missing(self, canary: bool, weight: float, *, missing: bool) -> None:
        if self.missing:
            self.missing[0].update(canary, weight, float(missing))
            self.missing[1].update(canary, weight, float(not missing))

    def is_missing_unequal(self, alpha: float) -> bool:
        """Whether values are missing more often on one arm than on the other."""
        return any(test.rejects(alpha / 2) for test in self.missing)

    @property
    def canary_calls(self) -> int:
        return int(self.sums[0])

    @property
    def stable_calls(self) -> int:
        return int(self.sums[2])

    def to_json(self, *, grouped: bool) -> dict[str, Any]:
        found: dict[str, Any] = {
            "not_worse": self.not_worse.to_json(),
            "better": self.better.to_json(),
            "steps": {str(weight): step.to_json() for weight, step in self.steps.items()},
            "sums": self.sums,
            "lost": self.missing_counts,
            "missing": [test.to_json() for test in self.missing],
            "late": self.late,
            "hard": self.hard,
        }
        if not grouped:
            found["worse"] = self.worse.to_json()
        if self.metric.kind == "ratio":
            found["seen"] = self.seen.to_json()
        return found

    @classmethod
    def from_json(cls, metric: PlanMetric, state: Mapping[str, Any], worse: TwoArmTest | None) -> Self:
        return cls(
            metric,
            worse or TwoArmTest.from_json(state["worse"]),
            TwoArmTest.from_json(state["not_worse"]),
            TwoArmTest.from_json(state["better"]),
            Percentiles.from_json(state["seen"]) if "seen" in state else Percentiles(),
            {int(weight): StepStratum.from_json(each) for weight, each in state["steps"].items()},
            list(state["sums"]),
            list(state["lost"]),
            [TwoArmTest.from_json(each) for each in state["missing"]],
            state["late"],
            state["hard"],
        )


@dataclass(slots=True)
class WindowGroup:
    """Metrics with one window (None: known when a call ends). ``watermark``: the last row looked at."""

    window: float | None
    metrics: dict[str, MetricTests]
    group: GuardGroup | None
    watermark: int = 0
    calls: int = 0
    canary_calls: int = 0

    def add(self, canary: bool, weight_bp: int, values: Mapping[str, MetricValue]) -> None:
        """Add the next call. A metric without a value, or with None, had nothing due."""
        self.calls += 1
        self.canary_calls += canary
        harm: dict[str, float] = {}
        for name, tests in self.metrics.items():
            value = values.get(name, NoValue.NOT_DUE)
            if value is NoValue.MISSING:
                tests.add_missing(canary, weight_bp)
            elif isinstance(value, float):
                loss = tests.add(canary, weight_bp, value)
                if self.group and name in self.group.guards:
                    harm[name] = loss
                else:
                    tests.worse.update(canary, weight_bp / ALL_BP, loss)
        if self.group and harm:
            self.group.update(canary, weight_bp / ALL_BP, harm)

    def to_json(self) -> dict[str, Any]:
        guards = self.group.guards if self.group else {}
        return {
            "watermark": self.watermark,
            "calls": self.calls,
            "canary_calls": self.canary_calls,
            "group": self.group.to_json() if self.group else None,
            "metrics": {name: each.to_json(grouped=name in guards) for name, each in self.metrics.items()},
        }

    def read(self, state: Mapping[str, Any]) -> None:
        self.group = GuardGroup.from_json(state["group"]) if state["group"] else None
        guards = self.group.guards if self.group else {}
        for name, tests in self.metrics.items():
            read = MetricTests.from_json(tests.metric, state["metrics"][name], guards.get(name))
            self.metrics[name] = read
        self.watermark = state["watermark"]
        self.calls, self.canary_calls = state["calls"], state["canary_calls"]


def new_window_groups(plan: ReleasePlan, priors: Mapping[str, Prior]) -> list[WindowGroup]:
    """New lanes, the instant one first: it is there also where no metric is instant."""
    windows = sorted({each.window for each in plan.metrics if each.window is not None})
    return [_window_group(window, plan.metrics, priors) for window in (None, *windows)]


def _window_group(
    window: float | None, metrics: Sequence[PlanMetric], priors: Mapping[str, Prior]
) -> WindowGroup:
    mine = {
        each.name: _metric_tests(each, priors.get(each.name, NO_HISTORY))
        for each in metrics
        if each.window == window
    }
    guards = {name: each.worse for name, each in mine.items() if each.metric.role in ("guard", "hard")}
    return WindowGroup(window, mine, GuardGroup(guards) if guards else None)


def _metric_tests(metric: PlanMetric, prior: Prior) -> MetricTests:
    margin = 0.0 if metric.kind == "ratio" else metric.margin
    return MetricTests(
        metric,
        TwoArmTest(Hypothesis.WORSE, 0.0, prior),
        TwoArmTest(Hypothesis.NOT_WORSE, margin, prior),
        TwoArmTest(Hypothesis.NOT_WORSE, 0.0, prior),
    )


@dataclass(slots=True)
class RolloutTests:
    """All that is known of a rollout. ``waiting``, ``excluded``: calls; ``open``: rows scored unfinished."""

    plan: ReleasePlan
    priors: Mapping[str, Prior]
    window_groups: list[WindowGroup]
    ratio: SampleRatioTest = field(default_factory=SampleRatioTest)
    excluded: dict[str, int] = field(default_factory=dict)
    without_unit: int = 0
    last_outcome: int = 0
    open: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    waiting: int = 0

    @property
    def instant(self) -> WindowGroup:
        return self.window_groups[0]

    def of(self, name: str) -> tuple[WindowGroup, MetricTests]:
        return next((lane, lane.metrics[name]) for lane in self.window_groups if name in lane.metrics)

    def to_json(self) -> dict[str, Any]:
        plain = ("excluded", "without_unit", "last_outcome", "open", "faults", "waiting")
        return {
            "plan": self.plan.digest,
            "signatures": metric_signatures(self.plan),
            "priors": {name: [prior.mean, prior.count] for name, prior in self.priors.items()},
            "lanes": [lane.to_json() for lane in self.window_groups],
            "ratio": self.ratio.to_json(),
            **{name: getattr(self, name) for name in plain},
        }

    @classmethod
    def from_json(cls, plan: ReleasePlan, state: Mapping[str, Any]) -> Self:
        priors = priors_from(state["priors"])
        lanes = new_window_groups(plan, priors)
        for lane, read in zip(lanes, state["lanes"], strict=True):
            lane.read(read)
        return cls(
            plan,
            priors,
            lanes,
            SampleRatioTest.from_json(state["ratio"]),
            dict(state["excluded"]),
            state["without_unit"],
            state["last_outcome"],
            list(state["open"]),
            list(state["faults"]),
            state["waiting"],
        )


def priors_from(state: Mapping[str, Any]) -> dict[str, Prior]:
    return {name: Prior(float(mean), float(count)) for name, (mean, count) in state.items()}


def new_tests(plan: ReleasePlan, priors: Mapping[str, Prior]) -> RolloutTests:
    return RolloutTests(plan, priors, new_window_groups(plan, priors))


def metric_signatures(plan: ReleasePlan) -> dict[str, list[Any]]:
    """What makes stored values of a metric mean the same under another plan."""
    return {
        each.name: [
            each.source,
            each.kind,
            each.worse,
            each.window,
            each.missing,
            each.sample,
            list(each.scale or ()),
        ]
        for each in plan.metrics
    } | {"": [plan.unit == "call"]}

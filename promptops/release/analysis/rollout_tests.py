"""The tests of one rollout. Metrics that wait equally long form a group, scored on one prefix.

``calls`` of a group is how far it has come: a call is added to all of its metrics or to none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.release.analysis.metric_tests import (
    ENGINE,
    Assignment,
    Assignments,
    MetricTests,
    new_metric_tests,
)
from promptops.release.analysis.scoring import MetricValue
from promptops.release.plan.types import PlanMetric, ReleasePlan
from promptops.stats.guard_group import GuardGroup, GuardLoss
from promptops.stats.sample_ratio import SampleRatioTest
from promptops.stats.two_arm import NO_HISTORY, Prior


@dataclass(slots=True)
class WindowGroup:
    """Metrics with one window (None: known when a call ends). ``watermark``: the last row looked at."""

    window: float | None
    metrics: dict[str, MetricTests]
    group: GuardGroup | None
    watermark: int = 0
    calls: int = 0
    canary_calls: int = 0

    def add_all(self, calls: Sequence[Assignment], values: Mapping[str, Sequence[MetricValue]]) -> None:
        """Add the next calls, with a value for each. A metric that is not named had nothing due."""
        assigned = Assignments([canary for canary, _ in calls], [bp for _, bp in calls])
        self.calls += len(calls)
        self.canary_calls += sum(assigned.canary)
        harm: dict[str, list[GuardLoss]] = {}
        for name, each in values.items():
            losses = self.metrics[name].add_all(assigned, each)
            if self.group and name in self.group.guards:
                harm[name] = losses
            else:
                self.metrics[name].worse.update_all(call for _, call in losses)
        if self.group and harm:
            self.group.update_all(harm)

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
            read = MetricTests.from_json(tests.metric, tests.engine, state["metrics"][name], guards.get(name))
            self.metrics[name] = read
        self.watermark = state["watermark"]
        self.calls, self.canary_calls = state["calls"], state["canary_calls"]


def new_window_groups(plan: ReleasePlan, priors: Mapping[str, Prior], engine: int) -> list[WindowGroup]:
    """New groups, the instant one first: it is there also where no metric is instant."""
    windows = sorted({each.window for each in plan.metrics if each.window is not None})
    return [_window_group(window, plan.metrics, priors, engine) for window in (None, *windows)]


def _window_group(
    window: float | None, metrics: Sequence[PlanMetric], priors: Mapping[str, Prior], engine: int
) -> WindowGroup:
    mine = {
        each.name: new_metric_tests(each, priors.get(each.name, NO_HISTORY), engine)
        for each in metrics
        if each.window == window
    }
    guards = {name: each.worse for name, each in mine.items() if each.metric.role in ("guard", "hard")}
    return WindowGroup(window, mine, GuardGroup(guards) if guards else None)


@dataclass(slots=True)
class StepCalls:
    """Scored calls that were started in the step in force: since ``started``, UTC text."""

    started: str = ""
    calls: int = 0
    canary_calls: int = 0

    def add(self, calls: Sequence[Assignment], started: Sequence[str]) -> None:
        within = [
            canary for (canary, _), moment in zip(calls, started, strict=False) if moment >= self.started
        ]
        self.calls += len(within)
        self.canary_calls += sum(within)


@dataclass(slots=True)
class RolloutTests:
    """All that is known of a rollout. ``waiting``, ``excluded``: calls; ``open``: rows scored unfinished."""

    plan: ReleasePlan
    priors: Mapping[str, Prior]  # stable's history
    window_groups: list[WindowGroup]
    engine: int = ENGINE
    ratio: SampleRatioTest = field(default_factory=SampleRatioTest)
    excluded: dict[str, int] = field(default_factory=dict)
    without_unit: int = 0
    last_outcome: int = 0
    open: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    waiting: int = 0
    step: StepCalls = field(default_factory=StepCalls)

    @property
    def instant(self) -> WindowGroup:
        return self.window_groups[0]

    def of(self, name: str) -> tuple[WindowGroup, MetricTests]:
        return next(
            (window_group, window_group.metrics[name])
            for window_group in self.window_groups
            if name in window_group.metrics
        )

    def to_json(self) -> dict[str, Any]:
        plain = ("excluded", "without_unit", "last_outcome", "open", "faults", "waiting")
        return {
            "engine": self.engine,
            "plan": self.plan.digest,
            "signatures": metric_signatures(self.plan),
            "priors": {name: [prior.mean, prior.count] for name, prior in self.priors.items()},
            "lanes": [window_group.to_json() for window_group in self.window_groups],
            "ratio": self.ratio.to_json(),
            "step": asdict(self.step),
            **{name: getattr(self, name) for name in plain},
        }

    @classmethod
    def from_json(cls, plan: ReleasePlan, state: Mapping[str, Any]) -> Self:
        priors = priors_from(state["priors"])
        engine = stored_engine(state)
        window_groups = new_window_groups(plan, priors, engine)
        for window_group, read in zip(window_groups, state["lanes"], strict=True):
            window_group.read(read)
        return cls(
            plan,
            priors,
            window_groups,
            engine,
            SampleRatioTest.from_json(state["ratio"]),
            dict(state["excluded"]),
            state["without_unit"],
            state["last_outcome"],
            list(state["open"]),
            list(state["faults"]),
            state["waiting"],
            StepCalls(**state.get("step", {})),
        )


def priors_from(state: Mapping[str, Any]) -> dict[str, Prior]:
    return {name: Prior(float(mean), float(count)) for name, (mean, count) in state.items()}


def stored_engine(state: Mapping[str, Any]) -> int:
    """The engine of a stored state or of committed evidence: what says nothing is of the first."""
    engine = state.get("engine", 1)
    if type(engine) is not int or not 1 <= engine <= ENGINE:  # true is not the first
        raise Invalid(
            f"this evidence was made by engine {engine}, and this promptops knows those up to {ENGINE}",
            hint="use a newer promptops",
        )
    return engine


def new_tests(plan: ReleasePlan, priors: Mapping[str, Prior], engine: int = ENGINE) -> RolloutTests:
    return RolloutTests(plan, priors, new_window_groups(plan, priors, engine), engine)


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
            *([each.tag] if each.tag else []),
        ]
        for each in plan.metrics
    } | {"": [plan.unit == "call"]}

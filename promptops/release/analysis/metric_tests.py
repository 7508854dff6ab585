"""The tests of one metric of a rollout, and the engines that they are made by.

The engine is stored with the tests, and a rollout keeps the one that it began with. 1: k starts at stable's
history, or at a half. 2: losses start at 0 and ranks at a half; "not worse" is bet on log-optimally; a word
has to hold for the calls so far, step by step, when it is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import compress
from operator import and_, gt, not_
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.release.analysis.scoring import MetricValue, NoValue, are_all_known
from promptops.release.plan.types import PlanMetric
from promptops.stats.eprocess import Hypothesis
from promptops.stats.guard_group import GuardLoss
from promptops.stats.rank_losses import Percentiles, ratio_losses_of
from promptops.stats.stratified import StepStratum, mantel_haenszel, running_total
from promptops.stats.two_arm import (
    FROM_ONE,
    FROM_ZERO,
    NO_HISTORY,
    RANKS,
    AnyTwoArmTest,
    Prior,
    TwoArmTest,
    two_arm_test,
    two_arm_test_from_json,
)

ALL_BP = 10_000
ENGINE = 2
Assignment = tuple[bool, int]  # on the canary?, its weight in hundredths of a percent


@dataclass(slots=True)
class Assignments:
    """Calls in assignment order, by column."""

    canary: Sequence[bool]
    weights_bp: Sequence[int]
    weights: Sequence[float] = field(init=False)

    def __post_init__(self) -> None:
        self.weights = [bp / ALL_BP for bp in self.weights_bp]

    def only(self, places: Sequence[int]) -> Self:
        return type(self)([self.canary[at] for at in places], [self.weights_bp[at] for at in places])

    def by_step(self) -> Iterator[tuple[int, Sequence[bool], Sequence[bool]]]:
        """Each weight, with which of all calls are the canary's at that weight, and which are stable's."""
        steps = dict.fromkeys(self.weights_bp)
        for bp in steps:
            here = [True] * len(self.canary) if len(steps) == 1 else [of == bp for of in self.weights_bp]
            yield bp, list(map(and_, here, self.canary)), list(map(gt, here, self.canary))


@dataclass(slots=True)
class MetricTests:
    """One metric's processes, sums and counts; ``sums`` are [canary calls, total, stable calls, total].

    ``within``: of a ratio, by step, the canary's ranks after its values are divided by the margin.
    """

    metric: PlanMetric
    engine: int
    worse: TwoArmTest
    not_worse: AnyTwoArmTest
    better: TwoArmTest
    seen: Percentiles = field(default_factory=Percentiles)
    steps: dict[int, StepStratum] = field(default_factory=dict)
    within: dict[int, float] = field(default_factory=dict)
    sums: list[float] = field(default_factory=lambda: [0, 0.0, 0, 0.0])
    missing_counts: list[int] = field(default_factory=lambda: [0, 0])  # missing, of the canary and of stable
    missing: list[TwoArmTest] = field(default_factory=list)  # is the canary's value missing more often? less?
    late: int = 0
    hard: bool = False

    def add_all(self, calls: Assignments, values: Sequence[MetricValue]) -> list[GuardLoss]:
        """Add a value of each call to all but ``worse``; gives the losses for that."""
        if self.missing or NoValue.MISSING in values:
            self._add_missing(calls, values)
        places: Sequence[int] = range(len(values))
        if are_all_known(values):
            known = values
        else:
            places = [at for at, value in enumerate(values) if isinstance(value, float)]
            calls, known = calls.only(places), [value for value in values if isinstance(value, float)]
        losses = within = known
        if self.metric.kind == "ratio":
            losses, within = ratio_losses_of(self.seen, calls.canary, known, self.metric.margin)
        observed = list(zip(calls.canary, calls.weights, losses, strict=True))
        self.not_worse.update_all(
            observed if within is losses else zip(calls.canary, calls.weights, within, strict=True)
        )
        self.better.update_all(observed)
        self._count(calls, known, losses, within)
        return list(zip(places, observed, strict=True))

    def _count(
        self,
        calls: Assignments,
        values: Sequence[float],
        losses: Sequence[float],
        within: Sequence[float],
    ) -> None:
        for place, mine in ((0, calls.canary), (2, list(map(not_, calls.canary)))):
            self.sums[place] += sum(mine)
            self.sums[place + 1] = running_total(self.sums[place + 1], compress(values, mine))
        for bp, canary, stable in calls.by_step():
            step = self.steps.setdefault(bp, StepStratum(bp / ALL_BP))
            harm = list(compress(losses, canary))
            step.add_all(harm, list(compress(losses, stable)))
            if self.metric.kind == "ratio":
                self.within[bp] = running_total(self.within.get(bp, 0.0), compress(within, canary))
            if self.metric.role == "hard" and max(harm, default=0.0) >= 1.0:
                self.hard = True

    def _add_missing(self, calls: Assignments, values: Sequence[MetricValue]) -> None:
        due = [
            (canary, weight, float(value is NoValue.MISSING))
            for canary, weight, value in zip(calls.canary, calls.weights, values, strict=True)
            if value is not NoValue.NOT_DUE
        ]
        for canary, _, missing in due:
            self.missing_counts[0 if canary else 1] += int(missing)
        if not self.missing:
            first = next(at for at, (_, _, missing) in enumerate(due) if missing)
            before = self.canary_calls + self.stable_calls + first
            if self.engine == 1:  # bets begin behind the first
                self.missing = [TwoArmTest(Hypothesis.WORSE, 0.0, NO_HISTORY) for _ in range(2)]
            else:  # none was missing so far: both tests stand at exactly 1
                self.missing = [
                    TwoArmTest(Hypothesis.WORSE, 0.0, FROM_ZERO, before),
                    TwoArmTest(Hypothesis.WORSE, 0.0, FROM_ONE, before, float(before)),
                ]
            due = due[first + (self.engine == 1) :]
        self.missing[0].update_all(due)
        self.missing[1].update_all((canary, weight, 1.0 - missing) for canary, weight, missing in due)

    def is_missing_unequal(self, alpha: float) -> bool:
        """Whether values are missing more often on one arm than on the other."""
        return any(test.rejects(alpha / 2) for test in self.missing)

    def is_worse(self, alpha: float) -> bool:
        """Whether the canary was shown to be worse, by this metric alone, and is so far."""
        return self.worse.rejects(alpha) and self.differs_for_worse

    @property
    def differs_for_worse(self) -> bool:
        """Whether the calls so far, step by step, speak against the canary; the first engine did not ask."""
        return self.engine == 1 or ((found := self.difference) is not None and found > 0.0)

    def is_not_worse(self, alpha: float) -> bool:
        """Whether it was shown to be not worse by the margin, and its difference so far is within it."""
        if self.engine == 1 or not self.not_worse.rejects(alpha):
            return self.not_worse.rejects(alpha)
        if self.metric.kind != "ratio":
            return (found := self.difference) is not None and found <= self.metric.margin
        by_margin = mantel_haenszel(
            [
                (step.canary.calls, self.within.get(bp, 0.0), step.stable.calls, step.stable.total)
                for bp, step in self.steps.items()
            ]
        )
        return by_margin is not None and by_margin <= 0.0

    def is_better(self, alpha: float) -> bool:
        """Whether it was shown to be better, and is so far."""
        found = self.difference
        return self.better.rejects(alpha) and (self.engine == 1 or (found is not None and found < 0.0))

    @property
    def difference(self) -> float | None:
        """The canary's mean loss minus stable's, step by step; None without a step that has both."""
        return mantel_haenszel(
            [
                (step.canary.calls, step.canary.total, step.stable.calls, step.stable.total)
                for step in self.steps.values()
            ]
        )

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
            found["within"] = {str(weight): total for weight, total in self.within.items()}
        return found

    @classmethod
    def from_json(
        cls, metric: PlanMetric, engine: int, state: Mapping[str, Any], worse: TwoArmTest | None
    ) -> Self:
        return cls(
            metric,
            engine,
            worse or TwoArmTest.from_json(state["worse"]),
            two_arm_test_from_json(state["not_worse"]),
            TwoArmTest.from_json(state["better"]),
            Percentiles.from_json(state["seen"]) if "seen" in state else Percentiles(),
            {int(weight): StepStratum.from_json(each) for weight, each in state["steps"].items()},
            {int(weight): float(total) for weight, total in state.get("within", {}).items()},
            list(state["sums"]),
            list(state["lost"]),
            [TwoArmTest.from_json(each) for each in state["missing"]],
            state["late"],
            state["hard"],
        )


def new_metric_tests(metric: PlanMetric, history: Prior, engine: int) -> MetricTests:
    """A metric's tests before its first call. ``history``: stable's, which the first engine starts from."""
    margin = 0.0 if metric.kind == "ratio" else metric.margin
    prior = history if engine == 1 else RANKS if metric.kind == "ratio" else FROM_ZERO
    return MetricTests(
        metric,
        engine,
        TwoArmTest(Hypothesis.WORSE, 0.0, prior),
        two_arm_test(Hypothesis.NOT_WORSE, margin, prior),
        TwoArmTest(Hypothesis.NOT_WORSE, 0.0, prior),
    )

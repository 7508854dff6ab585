"""From a logged call to a metric's value: a loss in [0, 1], larger for worse, or a ratio's amount. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum, auto
from operator import ge, gt, le, lt
from typing import Any, TypeGuard

from promptops.dataclass import dataclass
from promptops.registry import CallOutcome, column, is_sampled
from promptops.release.plan.types import PlanMetric
from promptops.release.plan.values import MetricSource, parse_source
from promptops.release.timestamps import parse_timestamp

_UNKNOWN_IF_CACHED = ("latency_ms", "first_token_ms", "spent_usd")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}


class NoValue(Enum):
    PENDING = auto()  # it may yet come
    MISSING = auto()  # it should be there and is not
    NOT_DUE = auto()  # it was never due: not in the sample, or the time of an answer from the cache


MetricValue = float | NoValue


@dataclass(slots=True)
class LoggedCall:
    """One logged call. ``dead``: it was started and has not ended within ``timeout`` (seconds)."""

    run_id: str
    started_at: str
    failed: bool
    dead: bool
    columns: Any  # by name, as a row of the log
    outcomes: Sequence[CallOutcome] = ()
    timeout: float = 120.0


@dataclass(slots=True)
class CallBatch:
    """Logged calls of one rollout in assignment order. ``failed`` counts those that are ``dead``, too."""

    rows: Sequence[Any]
    dead: Sequence[bool]
    outcomes: Mapping[int, Sequence[CallOutcome]]
    timeout: float
    tags: Mapping[int, Sequence[str]] = field(default_factory=dict)  # where a metric asks for them
    failed: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        columns = zip(self.column("failed"), self.dead, strict=True)
        self.failed = [bool(failed) or dead for failed, dead in columns]

    def column(self, name: str) -> list[Any]:
        return column(self.rows, name)

    def call(self, at: int) -> LoggedCall:
        row = self.rows[at]
        outcomes = self.outcomes.get(row["seq"], ())
        return logged_call(row, outcomes, dead=self.dead[at], timeout=self.timeout)


@dataclass(frozen=True, slots=True)
class MetricReader:
    """Reads one metric off calls."""

    metric: PlanMetric
    source: MetricSource

    def known_before(self, calls: CallBatch) -> list[float]:
        """The values of calls whose time is over, without those that have none."""
        settled = [self.settle(value, over=True) for value in self.values(calls)]
        return [value for value in settled if isinstance(value, float)]

    def settle(self, found: MetricValue, *, over: bool) -> MetricValue:
        """What a value is at the end of its time, and by what the plan says of missing ones."""
        if found is NoValue.PENDING and over:
            found = NoValue.MISSING
        if found is NoValue.MISSING and self.metric.missing != "exclude" and self.metric.kind != "ratio":
            return float(self.metric.missing == "bad")
        return found

    def values(self, calls: CallBatch) -> list[MetricValue]:
        """Of each call, before it is settled."""
        found, tag = self._all_values(calls), self.metric.tag
        if tag is None:
            return found
        tagged = (tag in calls.tags.get(seq, ()) for seq in calls.column("seq"))
        return [value if mine else NoValue.NOT_DUE for value, mine in zip(found, tagged, strict=True)]

    def _all_values(self, calls: CallBatch) -> list[MetricValue]:
        place, name = self.source.place, self.source.name
        if place == "run" and name == "error":
            higher = self.metric.worse == "higher"
            return [float(failed == higher) for failed in calls.failed]
        if place == "run":
            unknown = calls.column("cached") if name in _UNKNOWN_IF_CACHED else [False] * len(calls.rows)
            found = calls.column(name)
            if self.metric.kind == "ratio" and None not in found and not any(unknown):
                return list(map(float, found))
            columns = zip(found, calls.failed, calls.dead, unknown, strict=True)
            return [self._of_column(*each, calls.timeout) for each in columns]
        if place == "checks":
            checks = zip(calls.failed, calls.column("checks_failed"), strict=True)
            return [1.0 if failed else _of_checks(count) for failed, count in checks]
        return [self._from_table(calls.call(at)) for at in range(len(calls.rows))]

    @property
    def column(self) -> str:
        """The column of a call that it is read from, if it is one."""
        return "checks_failed" if self.source.place == "checks" else self.source.name

    @property
    def from_outcomes(self) -> bool:
        """Whether the value is an outcome's, which is read from a table of its own."""
        return self.source.place in ("check", "outcome", "judge")

    @property
    def outcome_source(self) -> str:
        """Who gives an outcome's value: the log's ``source``."""
        return self.source.place if self.source.place in ("judge", "check") else "person"

    def _from_table(self, call: LoggedCall) -> MetricValue:
        if self.source.place == "check":
            return 1.0 if call.failed else self._checked(call)
        if self.source.place == "judge" and not _is_in_sample(call, self.source.name, self.metric.sample):
            return NoValue.NOT_DUE
        return self._outcome(call)

    def _of_column(self, value: Any, failed: bool, dead: bool, unknown: bool, timeout: float) -> MetricValue:
        """``unknown``: the value is that of another call."""
        if unknown:
            return NoValue.NOT_DUE
        name, metric = self.source.name, self.metric
        if value is None and dead and name == "latency_ms":
            value = timeout * 1000
        if value is None:
            return self._of_failure() if failed else NoValue.MISSING
        if metric.kind == "ratio":
            return float(value)
        if name in ("truncated", "blocked"):
            return float(bool(value) == (metric.worse == "higher"))
        if self.source.operator:
            holds = _COMPARE[self.source.operator](value, self.source.bound)
            return float(holds == (metric.worse == "higher"))
        return self._scaled(float(value))

    def _checked(self, call: LoggedCall) -> MetricValue:
        outcome = next((s for s in call.outcomes if s.source == "check" and s.name == self.source.name), None)
        return NoValue.PENDING if outcome is None else float(outcome.passed is not True)

    def _outcome(self, call: LoggedCall) -> MetricValue:
        if call.failed and self.metric.missing == "exclude":
            return self._of_failure()
        outcome = next(
            (s for s in call.outcomes if s.source == self.outcome_source and s.name == self.source.name), None
        )
        if outcome is not None and outcome.value is not None and self._in_time(call, outcome):
            return self._scaled(outcome.value)
        return NoValue.PENDING

    def _of_failure(self) -> MetricValue:
        """Of a failed call: bad where that is a value, else missing. To leave it out is to choose by arm."""
        return NoValue.MISSING if self.metric.kind == "ratio" else 1.0

    def _in_time(self, call: LoggedCall, outcome: CallOutcome) -> bool:
        window = self.metric.window
        return (
            window is None
            or parse_timestamp(outcome.occurred_at) <= parse_timestamp(call.started_at) + window
        )

    def _scaled(self, value: float) -> MetricValue:
        metric = self.metric
        if metric.kind == "ratio":
            return value
        if metric.kind == "binary":
            down = value < 0 if self.source.name == "thumbs" else value <= 0
            return float(down if metric.worse == "lower" else value > 0)
        low, high = metric.scale or (0.0, 1.0)
        if not low <= value <= high:
            return NoValue.MISSING
        share = (value - low) / (high - low)
        return share if metric.worse == "higher" else 1.0 - share


def are_all_known(values: Sequence[MetricValue]) -> TypeGuard[Sequence[float]]:
    return {*map(type, values)} <= {float}


def logged_call(row: Any, outcomes: Sequence[CallOutcome], *, dead: bool, timeout: float) -> LoggedCall:
    """From a row of ``observations.calls_after`` or ``calls_before``."""
    return LoggedCall(
        run_id=row["run_id"],
        started_at=row["started_at"],
        failed=bool(row["failed"]) or dead,
        dead=dead,
        columns=row,
        outcomes=outcomes,
        timeout=timeout,
    )


def _of_checks(failed: int | None) -> MetricValue:
    return NoValue.PENDING if failed is None else float(failed > 0)


def metric_readers(metrics: Sequence[PlanMetric]) -> dict[str, MetricReader]:
    return {metric.name: MetricReader(metric, parse_source(metric.source)) for metric in metrics}


def range_error(gauge: MetricReader, call: LoggedCall) -> str | None:
    """A sentence about a score that is not within its declared range: an error, never clipped."""
    if gauge.metric.kind != "score" or gauge.metric.scale is None:
        return None
    low, high = gauge.metric.scale
    for outcome in call.outcomes:
        mine = (
            outcome.source == gauge.outcome_source
            and outcome.name == gauge.source.name
            and outcome.value is not None
        )
        if mine and not low <= (outcome.value or 0.0) <= high:
            return (
                f"{gauge.metric.name} of run {call.run_id} is {outcome.value:g}, outside {low:g} to {high:g}"
            )
    return None


def _is_in_sample(call: LoggedCall, judge: str, share: float | None) -> bool:
    return share is None or is_sampled(call.run_id, judge, share)

"""From a logged call to a metric's value: a loss in [0, 1], larger for worse, or a ratio's amount. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from operator import ge, gt, le, lt
from typing import Any

from promptops.registry import CallOutcome, is_sampled
from promptops.release.plan.types import PlanMetric
from promptops.release.plan.values import MetricSource, parse_source
from promptops.release.timestamps import parse_timestamp

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}


class NoValue(Enum):
    PENDING = auto()  # it may yet come
    MISSING = auto()  # it should be there and is not
    NOT_DUE = auto()  # it was never due: not in the sample, or the call failed and counts in the error rate


MetricValue = float | NoValue


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One logged call. ``dead``: it was started and has not ended within ``timeout`` (seconds)."""

    seq: int
    run_id: str
    canary: bool
    weight_bp: int
    started_at: str
    failed: bool
    dead: bool
    columns: Any  # by name, as a row of the log
    said: Sequence[CallOutcome] = ()
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class MetricReader:
    """Reads one metric off calls."""

    metric: PlanMetric
    source: MetricSource

    def value(self, call: LoggedCall, *, over: bool) -> MetricValue:
        """``over``: nothing that comes from now on counts."""
        found = self._raw(call)
        if found is NoValue.PENDING and over:
            found = NoValue.MISSING
        if found is NoValue.MISSING and self.metric.missing != "exclude" and self.metric.kind != "ratio":
            return float(self.metric.missing == "bad")
        return found

    @property
    def from_outcomes(self) -> bool:
        """Whether the value is an outcome's, which is read from a table of its own."""
        return self.source.place in ("check", "outcome", "judge")

    @property
    def outcome_source(self) -> str:
        """Who gives an outcome's value: the log's ``source``."""
        return "judge" if self.source.place == "judge" else "person"

    def _raw(self, call: LoggedCall) -> MetricValue:
        place = self.source.place
        if place == "run":
            return self._column(call)
        if place in ("checks", "check"):
            return 1.0 if call.failed else self._checked(call)
        if place == "judge" and not _is_in_sample(call, self.source.name, self.metric.sample):
            return NoValue.NOT_DUE
        return self._outcome(call)

    def _column(self, call: LoggedCall) -> MetricValue:
        name, higher = self.source.name, self.metric.worse == "higher"
        if name == "error":
            return float(call.failed == higher)
        value = call.columns[name]
        if value is None and call.dead and name == "latency_ms":
            value = call.timeout * 1000
        if value is None:
            return NoValue.NOT_DUE if call.failed else NoValue.MISSING
        if name == "truncated":
            return float(bool(value) == higher)
        if self.source.operator:
            return float(_COMPARE[self.source.operator](value, self.source.bound) == higher)
        return self._scaled(float(value))

    def _checked(self, call: LoggedCall) -> MetricValue:
        if self.source.place == "checks":
            failed = call.columns["checks_failed"]
            return NoValue.PENDING if failed is None else float(failed > 0)
        said = next((s for s in call.said if s.source == "check" and s.name == self.source.name), None)
        return NoValue.PENDING if said is None else float(said.passed is not True)

    def _outcome(self, call: LoggedCall) -> MetricValue:
        said = next(
            (s for s in call.said if s.source == self.outcome_source and s.name == self.source.name), None
        )
        if said is not None and said.value is not None and self._in_time(call, said):
            return self._scaled(said.value)
        return NoValue.NOT_DUE if call.failed and self.metric.missing == "exclude" else NoValue.PENDING

    def _in_time(self, call: LoggedCall, said: CallOutcome) -> bool:
        window = self.metric.window
        return (
            window is None or parse_timestamp(said.occurred_at) <= parse_timestamp(call.started_at) + window
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


def logged_call(row: Any, said: Sequence[CallOutcome], *, dead: bool, timeout: float) -> LoggedCall:
    """From a row of ``observations.calls_after`` or ``calls_before``."""
    return LoggedCall(
        seq=row["seq"],
        run_id=row["run_id"],
        canary=row["arm"] == "canary",
        weight_bp=row["weight_bp"] or 0,
        started_at=row["started_at"],
        failed=bool(row["failed"]) or dead,
        dead=dead,
        columns=row,
        said=said,
        timeout=timeout,
    )


def metric_readers(metrics: Sequence[PlanMetric]) -> dict[str, MetricReader]:
    return {metric.name: MetricReader(metric, parse_source(metric.source)) for metric in metrics}


def range_error(gauge: MetricReader, call: LoggedCall) -> str | None:
    """A sentence about a score that is not within its declared range: an error, never clipped."""
    if gauge.metric.kind != "score" or gauge.metric.scale is None:
        return None
    low, high = gauge.metric.scale
    for said in call.said:
        mine = (
            said.source == gauge.outcome_source and said.name == gauge.source.name and said.value is not None
        )
        if mine and not low <= (said.value or 0.0) <= high:
            return f"{gauge.metric.name} of run {call.run_id} is {said.value:g}, outside {low:g} to {high:g}"
    return None


def _is_in_sample(call: LoggedCall, judge: str, share: float | None) -> bool:
    return share is None or is_sampled(call.run_id, judge, share)

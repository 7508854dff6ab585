"""From a logged call to a metric's value: a loss in [0, 1], larger for worse, or a ratio's amount. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from operator import ge, gt, le, lt
from typing import Any

from promptops.registry.release.observations import Said
from promptops.registry.runs.sampling import drawn
from promptops.release.plan.types import Metric
from promptops.release.plan.values import Source, parse_source
from promptops.release.timestamps import seconds_of

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}


class Lack(Enum):
    PENDING = auto()  # it may yet come
    MISSING = auto()  # it should be there and is not
    APART = auto()  # it was never due: not in the sample, or the call failed and counts in the error rate


Value = float | Lack


@dataclass(frozen=True, slots=True)
class Call:
    """One logged call. ``dead``: it was started and has not ended within ``timeout`` (seconds)."""

    seq: int
    run_id: str
    canary: bool
    weight_bp: int
    started_at: str
    failed: bool
    dead: bool
    columns: Any  # by name, as a row of the log
    said: Sequence[Said] = ()
    timeout: float = 120.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """Reads one metric off calls."""

    metric: Metric
    source: Source

    def value(self, call: Call, *, over: bool) -> Value:
        """``over``: nothing that comes from now on counts."""
        found = self._raw(call)
        if found is Lack.PENDING and over:
            found = Lack.MISSING
        if found is Lack.MISSING and self.metric.missing != "exclude" and self.metric.kind != "ratio":
            return float(self.metric.missing == "bad")
        return found

    @property
    def by_words(self) -> bool:
        """Whether the value is an outcome's, which is read from a table of its own."""
        return self.source.place in ("check", "outcome", "judge")

    @property
    def teller(self) -> str:
        """Who gives an outcome's value: the log's ``source``."""
        return "judge" if self.source.place == "judge" else "person"

    def _raw(self, call: Call) -> Value:
        place = self.source.place
        if place == "run":
            return self._column(call)
        if place in ("checks", "check"):
            return 1.0 if call.failed else self._checked(call)
        if place == "judge" and not _drawn(call, self.source.name, self.metric.sample):
            return Lack.APART
        return self._outcome(call)

    def _column(self, call: Call) -> Value:
        name, higher = self.source.name, self.metric.worse == "higher"
        if name == "error":
            return float(call.failed == higher)
        value = call.columns[name]
        if value is None and call.dead and name == "latency_ms":
            value = call.timeout * 1000
        if value is None:
            return Lack.APART if call.failed else Lack.MISSING
        if self.source.operator:
            return float(_COMPARE[self.source.operator](value, self.source.bound) == higher)
        return self._scaled(float(value))

    def _checked(self, call: Call) -> Value:
        if self.source.place == "checks":
            failed = call.columns["checks_failed"]
            return Lack.PENDING if failed is None else float(failed > 0)
        said = next((s for s in call.said if s.source == "check" and s.name == self.source.name), None)
        return Lack.PENDING if said is None else float(said.passed is not True)

    def _outcome(self, call: Call) -> Value:
        said = next((s for s in call.said if s.source == self.teller and s.name == self.source.name), None)
        if said is not None and said.value is not None and self._in_time(call, said):
            return self._scaled(said.value)
        return Lack.APART if call.failed and self.metric.missing == "exclude" else Lack.PENDING

    def _in_time(self, call: Call, said: Said) -> bool:
        window = self.metric.window
        return window is None or seconds_of(said.occurred_at) <= seconds_of(call.started_at) + window

    def _scaled(self, value: float) -> Value:
        metric = self.metric
        if metric.kind == "ratio":
            return value
        if metric.kind == "binary":
            down = value < 0 if self.source.name == "thumbs" else value <= 0
            return float(down if metric.worse == "lower" else value > 0)
        low, high = metric.scale or (0.0, 1.0)
        if not low <= value <= high:
            return Lack.MISSING
        share = (value - low) / (high - low)
        return share if metric.worse == "higher" else 1.0 - share


def call_of(row: Any, said: Sequence[Said], *, dead: bool, timeout: float) -> Call:
    """From a row of ``observations.calls_after`` or ``calls_before``."""
    return Call(
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


def gauges(metrics: Sequence[Metric]) -> dict[str, Gauge]:
    return {metric.name: Gauge(metric, parse_source(metric.source)) for metric in metrics}


def outside(gauge: Gauge, call: Call) -> str | None:
    """A sentence about a score that is not within its declared range: an error, never clipped."""
    if gauge.metric.kind != "score" or gauge.metric.scale is None:
        return None
    low, high = gauge.metric.scale
    for said in call.said:
        mine = said.source == gauge.teller and said.name == gauge.source.name and said.value is not None
        if mine and not low <= (said.value or 0.0) <= high:
            return f"{gauge.metric.name} of run {call.run_id} is {said.value:g}, outside {low:g} to {high:g}"
    return None


def _drawn(call: Call, judge: str, share: float | None) -> bool:
    return share is None or drawn(call.run_id, judge, share)

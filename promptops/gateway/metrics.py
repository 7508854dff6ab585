"""``GET /metrics``: Prometheus' text format, in OpenTelemetry's names for generative AI where it has one."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, field
from typing import Any

from promptops.dataclass import dataclass
from promptops.providers.types import ModelError
from promptops.registry import StartedRun
from promptops.runner import Run
from promptops.telemetry.prometheus import sample_line

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_MAX_SERIES = 1_000  # of labels; what comes after is counted together
_OTHER: tuple[tuple[str, str], ...] = (("prompt", "other"),)

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _CallSeries:
    """What is counted of the calls with the same labels."""

    durations: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    seconds: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    counted: int = 0  # calls whose tokens these are
    cost_usd: float = 0.0
    checks_passed: int = 0
    checks_failed: int = 0

    def include(self, other: Mapping[str, Any]) -> None:
        """Add the fields of another one."""
        for name, value in other.items():
            own = getattr(self, name)
            if name == "durations":
                own[:] = [one + more for one, more in zip(own, value, strict=True)]
            elif name == "errors":
                own.update({kind: own.get(kind, 0) + count for kind, count in value.items()})
            else:
                setattr(self, name, own + value)


class GatewayMetrics:
    """What one process has counted since it began. Used by one thread."""

    def __init__(self) -> None:
        self._calls: dict[Labels, _CallSeries] = {}
        self._statuses: dict[int, int] = {}
        self._in_flight = 0

    @contextmanager
    def call(self, run: StartedRun) -> Iterator[None]:
        """One call, from when it is about to be made; its failure is counted by its type."""
        series, clock = self._series(run), time.perf_counter()
        self._in_flight += 1
        try:
            yield
        except ModelError as error:
            series.errors[error.type] = series.errors.get(error.type, 0) + 1
            raise
        finally:
            self._in_flight -= 1
            seconds = time.perf_counter() - clock
            series.seconds += seconds
            series.durations[bisect_left(_BUCKETS, seconds)] += 1

    def count(self, run: Run) -> None:
        """What an answered call has used."""
        series = self._series(run.started)
        series.input_tokens += run.input_tokens or 0
        series.output_tokens += run.output_tokens or 0
        series.counted += run.input_tokens is not None or run.output_tokens is not None
        series.cost_usd += run.cost_usd or 0.0
        if run.blocked:
            kind = str(run.finished.error_type)
            series.errors[kind] = series.errors.get(kind, 0) + 1
        for check in run.checks:
            series.checks_passed += check.passed
            series.checks_failed += not check.passed

    def count_answer(self, status: int) -> None:
        self._statuses[status] = self._statuses.get(status, 0) + 1

    @property
    def answers(self) -> int:
        """How many there were."""
        return sum(self._statuses.values())

    def text(self, others: Iterable[Mapping[str, Any]] = ()) -> str:
        """What has been counted here and by ``others``, whose ``counts`` these are."""
        whole = GatewayMetrics()
        for counts in (self.counts(), *others):
            whole.include(counts)
        return "".join(f"{line}\n" for line in whole._lines())

    def counts(self) -> dict[str, Any]:
        """All of it as JSON."""
        calls = [[list(labels), asdict(series)] for labels, series in self._calls.items()]
        return {"in_flight": self._in_flight, "statuses": list(self._statuses.items()), "calls": calls}

    def include(self, counts: Mapping[str, Any], *, ended: bool = False) -> None:
        """Add what another one has counted; of one that has ended nothing is in flight."""
        self._in_flight += 0 if ended else counts["in_flight"]
        for status, count in counts["statuses"]:
            self._statuses[status] = self._statuses.get(status, 0) + count
        for labels, series in counts["calls"]:
            self._of(tuple((name, value) for name, value in labels)).include(series)

    def _series(self, run: StartedRun) -> _CallSeries:
        found = {
            "prompt": run.prompt,
            "channel": run.channel,
            "version": run.version,
            "arm": run.arm,
            "tenant": run.tenant,
        }
        return self._of(tuple((name, value) for name, value in found.items() if value))

    def _of(self, labels: Labels) -> _CallSeries:
        if labels not in self._calls and len(self._calls) >= _MAX_SERIES:
            labels = _OTHER
        return self._calls.setdefault(labels, _CallSeries())

    def _lines(self) -> Iterator[str]:
        yield "# TYPE promptops_gateway_calls_in_flight gauge"
        yield sample_line("promptops_gateway_calls_in_flight", {}, self._in_flight)
        yield "# TYPE promptops_gateway_answers_total counter"
        for status, count in sorted(self._statuses.items()):
            yield sample_line("promptops_gateway_answers_total", {"status": str(status)}, count)
        yield "# TYPE gen_ai_client_operation_duration_seconds histogram"
        for labels, series in self._calls.items():
            yield from _histogram("gen_ai_client_operation_duration_seconds", dict(labels), series)
        yield "# TYPE gen_ai_client_token_usage summary"
        for labels, series in self._calls.items():
            for kind, tokens in (("input", series.input_tokens), ("output", series.output_tokens)):
                of = {**dict(labels), "gen_ai_token_type": kind}
                yield sample_line("gen_ai_client_token_usage_sum", of, tokens)
                yield sample_line("gen_ai_client_token_usage_count", of, series.counted)
        yield "# TYPE promptops_errors_total counter"
        for labels, series in self._calls.items():
            for kind, count in series.errors.items():
                yield sample_line("promptops_errors_total", {**dict(labels), "error_type": kind}, count)
        yield "# TYPE promptops_checks_total counter"
        for labels, series in self._calls.items():
            for result, count in (("passed", series.checks_passed), ("failed", series.checks_failed)):
                yield sample_line("promptops_checks_total", {**dict(labels), "result": result}, count)
        yield "# TYPE promptops_cost_usd_total counter"
        for labels, series in self._calls.items():
            yield sample_line("promptops_cost_usd_total", dict(labels), series.cost_usd)


def _histogram(name: str, labels: Mapping[str, str], series: _CallSeries) -> Iterator[str]:
    total = 0
    for bound, count in zip((*_BUCKETS, "+Inf"), series.durations, strict=True):
        total += count
        yield sample_line(f"{name}_bucket", {**labels, "le": str(bound)}, total)
    yield sample_line(f"{name}_sum", labels, series.seconds)
    yield sample_line(f"{name}_count", labels, total)

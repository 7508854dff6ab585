"""A collector of spans and metrics that calls are sent to."""

from collections.abc import Iterator

import pytest

from promptops.runner.traced_calls import flush_telemetry
from support.otlp_collector import Collector


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("PROMPTOPS_TELEMETRY", "otlp")
        yield found
        flush_telemetry()

"""A loopback collector that takes OTLP over HTTP, and says what it was sent."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class SentSpan:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    seconds: float
    failed: bool
    message: str
    service: str


@dataclass
class Collector:
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    status: int = 200

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.bodies.append((self.path, body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[SentSpan]:
        return [*self._spans()]

    def _spans(self) -> Iterator[SentSpan]:
        for path, body in self.bodies:
            if path != "/v1/traces":
                continue
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = _attributes(of_resource.resource.attributes)["service.name"]
                for scope in of_resource.scope_spans:
                    for span in scope.spans:
                        yield SentSpan(
                            name=span.name,
                            trace_id=span.trace_id.hex(),
                            span_id=span.span_id.hex(),
                            parent_id=span.parent_span_id.hex(),
                            attributes=_attributes(span.attributes),
                            events=[(event.name, _attributes(event.attributes)) for event in span.events],
                            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                            failed=span.status.code == 2,
                            message=span.status.message,
                            service=service,
                        )

    @property
    def metrics(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """By name: the labels of each series, with its sum as it was last sent."""
        found: dict[str, dict[str, tuple[dict[str, Any], float]]] = {}
        for path, body in self.bodies:
            if path != "/v1/metrics":
                continue
            for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in of_resource.scope_metrics:
                    for metric in scope.metrics:
                        points = metric.histogram.data_points or metric.sum.data_points
                        for point in points:
                            labels = _attributes(point.attributes)
                            total = (
                                point.sum if metric.histogram.data_points else point.as_double or point.as_int
                            )
                            found.setdefault(metric.name, {})[repr(sorted(labels.items()))] = labels, total
        return {name: [*series.values()] for name, series in found.items()}


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)

"""Spans and metrics of calls, sent by OpenTelemetry's SDK to the OTLP endpoint that the environment names.

``OTEL_EXPORTER_OTLP_ENDPOINT``, ``…_HEADERS``, ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES`` and the
rest are the SDK's. Spans have the times and ids that calls have had, so they are made when a call has ended.
What cannot be sent is dropped, and said once: no call waits for it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from promptops.errors import Invalid
from promptops.escapes import escape
from promptops.log import PackageLogger, with_hint
from promptops.telemetry.attributes import (
    EVALUATION_EVENT,
    evaluation_attributes,
    metric_attributes,
    provider_and_model,
    span_attributes,
)
from promptops.telemetry.call import ObservedCall

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError as error:
    raise Invalid(
        f"telemetry needs OpenTelemetry's SDK, and its module {error.name} is missing",
        hint="pip install 'git-promptops[otel]'",
    ) from None

_LOG = PackageLogger("promptops.telemetry")
_SDK = "opentelemetry"  # its logger
_MAX_WORDS = 200
_TIMEOUT_S = 3.0  # of one request, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise
_SCOPE = InstrumentationScope("promptops")
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
# Both by https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/


class OtlpExporter:
    """Sends in threads of its own. Made by the process that uses it: a fork has none of the threads."""

    def __init__(self) -> None:
        _say_once_what_the_sdk_logs()
        timeout = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else _TIMEOUT_S
        self._resource = _resource()
        self._spans = BatchSpanProcessor(OTLPSpanExporter(timeout=timeout))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=timeout))
        self._metrics = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        meter = self._metrics.get_meter("promptops")
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Time of a call, with retries and fallbacks.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens sent and received.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._cost = meter.create_counter(
            "promptops.cost_usd", "USD", "What calls cost, where a price is known."
        )
        self._checks = meter.create_counter("promptops.checks", "{check}", "Results of checks on answers.")

    def export(self, call: ObservedCall) -> None:
        """Returns at once."""
        self._count(call)
        if call.trace.sampled:
            self._spans.on_end(self._span(call))

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        until = time.monotonic() + seconds
        for thread in [_begin(self._spans.shutdown), _begin(self._metrics.shutdown)]:
            thread.join(max(0.0, until - time.monotonic()))

    def _count(self, call: ObservedCall) -> None:
        of = metric_attributes(call)
        self._duration.record((call.end_ns - call.start_ns) / 1e9, of)
        for kind, tokens in (("input", call.input_tokens), ("output", call.output_tokens)):
            if tokens is not None:
                self._tokens.record(tokens, {**of, "gen_ai.token.type": kind})
        if call.cost_usd:
            self._cost.add(call.cost_usd, of)
        for check in call.checks:
            self._checks.add(1, {**of, "result": "passed" if check.passed else "failed"})

    def _span(self, call: ObservedCall) -> ReadableSpan:
        events = [
            Event(EVALUATION_EVENT, evaluation_attributes(check, call), call.end_ns) for check in call.checks
        ]
        failed = call.error_type is not None
        words = call.error_message and escape(call.error_message)  # a lone surrogate would cost all that wait
        return ReadableSpan(
            name=f"chat {provider_and_model(call.request_model)[1]}",
            context=_span_context(call.trace.trace_id, call.trace.span_id, remote=False),
            parent=_span_context(call.parent.trace_id, call.parent.span_id, remote=True)
            if call.parent
            else None,
            resource=self._resource,
            attributes=span_attributes(call),
            events=events,
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, words) if failed else Status(StatusCode.UNSET),
            start_time=call.start_ns,
            end_time=call.end_ns,
            instrumentation_scope=_SCOPE,
        )


def _begin(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # which holds up no end of a program
    thread.start()
    return thread


def _resource() -> Resource:
    found = Resource.create()
    unnamed = str(found.attributes.get("service.name", "")).startswith("unknown_service")
    return found.merge(Resource({"service.name": "promptops"})) if unnamed else found


class _Once(logging.Handler):
    """What the SDK says of its own troubles, as one line of ours."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            hint = "see what OTEL_EXPORTER_OTLP_ENDPOINT names, or set PROMPTOPS_TELEMETRY=off"
            _LOG.warning(with_hint(f"telemetry may be lost: {record.getMessage()[:_MAX_WORDS]}", hint))


def _say_once_what_the_sdk_logs() -> None:
    """Only where the application has not said itself what becomes of its libraries' logs."""
    sdk = logging.getLogger(_SDK)
    if not sdk.handlers and not logging.getLogger().handlers:
        sdk.addHandler(_Once())
        sdk.propagate = False


def _span_context(trace_id: str, span_id: str, *, remote: bool) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, TraceFlags(TraceFlags.SAMPLED))

"""Runs as OpenTelemetry's spans and metrics: one of each for an ended run, whatever kind it is of.

The span's id is made of the run's, so the provider can be told before the call is made and the span is sent
after it. Its trace is that of the caller: the ``traceparent`` that the gateway was sent, the span that an
application is in, the environment variable TRACEPARENT; else one of its own.
"""

import atexit
import os
import threading
import time
from dataclasses import replace
from hashlib import sha256
from typing import Any

from promptops.config.settings import LogSettings, TelemetrySettings
from promptops.log import PackageLogger
from promptops.registry import FinishedRun, StartedRun, redact_finished_run, redact_value
from promptops.runner.run import PreparedRun
from promptops.telemetry.call import CallContent, CheckScore, ObservedCall
from promptops.telemetry.otlp import OtlpExporter
from promptops.trace_context import INCOMING, OUTGOING, TraceContext, parse_traceparent

_LOG = PackageLogger("promptops.telemetry")
_CLOSE_S = 1.0  # a command does not wait longer for a collector that is away
_FACTS = ("channel", "arm", "rollout", "kind", "tenant", "batch_id", "eval_id", "case_id", "shadow_of")
_exporters: dict[int, OtlpExporter] = {}  # of this process; a fork makes its own
_making = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release
    )


class TracedCalls:
    """An observer of calls."""

    def __init__(self, telemetry: TelemetrySettings, log: LogSettings) -> None:
        self._telemetry = telemetry
        self._log = log
        self._failed = False

    def begun(self, prepared: PreparedRun) -> None:
        OUTGOING.set(_own_trace(prepared.started.run_id, _parent()))

    def ended(self, prepared: PreparedRun, end: FinishedRun) -> None:
        try:
            _exporter().export(self._observed(prepared, end))
        except Exception as error:  # noqa: BLE001 - an answer is not lost for what is told of it
            if not self._failed:
                self._failed = True
                _LOG.warning(f"telemetry is not sent: {type(error).__name__}: {error}")

    def _observed(self, prepared: PreparedRun, end: FinishedRun) -> ObservedCall:
        run, parent, now = prepared.started, _parent(), time.time_ns()
        # what is kept of the texts takes time to find, and nobody is told of them otherwise
        kept = redact_finished_run(run, end, self._log) if self._telemetry.content else end
        content = self._content(prepared, kept) if self._telemetry.content else None
        quotes = content is not None and end.held is None
        prompt = prepared.version.prompt
        return ObservedCall(
            trace=_own_trace(run.run_id, parent),
            parent=parent,
            start_ns=now - round((end.latency_ms or 0.0) * 1e6),
            end_ns=now,
            request_model=run.request_model,
            response_model=end.response_model,
            response_id=end.response_id,
            finish_reason=end.finish_reason,
            error_type=end.error_type,
            error_message=kept.error_message if quotes else None,
            parameters=run.parameters,
            wants_json=prompt.output is not None,
            prompt=run.prompt,
            version=run.version or f"sha256:{run.digest}",
            input_tokens=end.input_tokens,
            output_tokens=end.output_tokens,
            cached_tokens=end.cached_tokens,
            reasoning_tokens=end.reasoning_tokens,
            first_token_ms=end.first_token_ms,
            cost_usd=end.cost_usd,
            facts=_facts(run, end),
            checks=[
                CheckScore(
                    name=check.name,
                    passed=check.passed,
                    value=check.value if isinstance(check.value, int | float) else None,
                    explanation=check.message or None if quotes else None,
                )
                for check in kept.checks
            ],
            content=content,
        )

    def _content(self, prepared: PreparedRun, kept: FinishedRun) -> CallContent | None:
        """None where the log keeps no texts, a guard rejects the inputs, or they are an answer for a judge.

        Without the answer that a person has to release.
        """
        run = prepared.started
        log = self._log.with_prompt(run.log)
        is_told = log.inputs == log.outputs == "full"
        if not is_told or run.kind == "judge" or kept.error_type == "input_blocked":
            return None
        messages: list[Any] = redact_value(list(prepared.rendered.messages), log) or []
        if kept.held:
            return CallContent(messages=messages, output=None)
        return CallContent(messages=messages, output=kept.output, tool_calls=kept.tool_calls)


def flush_telemetry(seconds: float = _CLOSE_S) -> None:
    """Send what waits, for so long at most; what is told later is sent as well."""
    if exporter := _exporters.pop(os.getpid(), None):
        exporter.close(seconds)


def _exporter() -> OtlpExporter:
    process = os.getpid()
    with _making:  # of calls that end at once in several threads
        if process not in _exporters:
            _exporters.clear()  # those of the process that this one was forked from
            _exporters[process] = OtlpExporter()
            atexit.unregister(flush_telemetry)
            atexit.register(flush_telemetry)
        return _exporters[process]


def _own_trace(run_id: str, parent: TraceContext | None) -> TraceContext:
    digest = sha256(run_id.encode()).hexdigest()
    if parent is None:
        return TraceContext(digest[:32], digest[32:48])
    return replace(parent, span_id=digest[32:48])


def _parent() -> TraceContext | None:
    return INCOMING.get() or _application_span() or parse_traceparent(os.environ.get("TRACEPARENT", ""))


def _application_span() -> TraceContext | None:
    """The span that the calling application is in, if it uses OpenTelemetry."""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    state = context.trace_state.to_header() if context.trace_state else ""
    return TraceContext(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled, state
    )


def _facts(run: StartedRun, end: FinishedRun) -> dict[str, str | bool | int | float]:
    found: dict[str, str | bool | int | float] = {
        "promptops.run.id": run.run_id,
        "promptops.prompt.digest": f"sha256:{run.digest}",
        "promptops.cached": end.cache_source is not None,
        "promptops.attempts": len(end.attempts),
    }
    known = {name: getattr(run, name) for name in _FACTS}
    return found | {f"promptops.{name}": value for name, value in known.items() if value is not None}

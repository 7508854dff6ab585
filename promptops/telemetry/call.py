"""A model call as it is told to OpenTelemetry: plain values, without a text unless content is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.trace_context import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckScore:
    name: str
    passed: bool
    value: float | None = None
    explanation: str | None = None  # content: it may quote the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContent:
    """Texts of a call, redacted as the log's are. Messages are those of the chat completions format."""

    messages: Sequence[Mapping[str, Any]]
    output: str | None
    tool_calls: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """One ended run. Times are nanoseconds since 1970, tokens None where the provider did not say."""

    trace: TraceContext  # its own trace and span
    parent: TraceContext | None  # the span that it was called from
    start_ns: int
    end_ns: int
    request_model: str  # with its provider: openai/gpt-5.4-mini-2026-03-17
    response_model: str | None
    response_id: str | None
    finish_reason: str | None
    error_type: str | None
    error_message: str | None  # content: it may quote the call
    parameters: Mapping[str, Any]
    wants_json: bool
    prompt: str
    version: str  # v12 once released, else sha256:…
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    first_token_ms: float | None
    cost_usd: float | None
    facts: Mapping[str, str | bool | int | float]  # of promptops itself: promptops.run.id, promptops.arm, …
    checks: Sequence[CheckScore] = ()
    content: CallContent | None = field(default=None)

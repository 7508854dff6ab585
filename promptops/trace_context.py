"""W3C Trace Context: the trace that a call belongs to, as callers say it and as providers are told.

Source: https://www.w3.org/TR/trace-context/. Header ``traceparent`` is ``00-TRACE-SPAN-FLAGS`` in hexadecimal
digits; ``tracestate`` goes along unread.
"""

import re
from contextvars import ContextVar

from promptops.dataclass import dataclass

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_STATE = re.compile(r"[ -~]{0,512}", re.ASCII)
_MAX_PARENT = 200  # characters; a later version of the format may be longer than ours, which has 55


@dataclass(frozen=True, slots=True)
class TraceContext:
    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    sampled: bool = True
    state: str = ""

    def headers(self) -> dict[str, str]:
        state = {"tracestate": self.state} if self.state else {}
        return {"traceparent": f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}", **state}


INCOMING: ContextVar[TraceContext | None] = ContextVar("promptops_incoming_trace", default=None)
"""What the caller of a run said, while the run is made."""

OUTGOING: ContextVar[TraceContext | None] = ContextVar("promptops_outgoing_trace", default=None)
"""What the provider is told of a run whose call is traced."""


def parse_traceparent(text: str, state: str = "") -> TraceContext | None:
    """None where it is no context: the run then begins a trace of its own, as the standard says."""
    found = _PARENT.fullmatch(text.strip()) if len(text) <= _MAX_PARENT else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1), state if _STATE.fullmatch(state) else "")


def outgoing_headers() -> dict[str, str]:
    """Of a call to a provider; none where nothing is traced."""
    context = OUTGOING.get()
    return context.headers() if context else {}

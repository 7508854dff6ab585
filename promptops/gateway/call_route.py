"""``POST /v1/chat/completions`` and ``POST /v1/responses``."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.gateway.access import Caller
from promptops.gateway.answering import Answering, ServedRequest
from promptops.gateway.body import read_object
from promptops.trace_context import INCOMING, TraceContext, parse_traceparent

ReadRequest = Callable[[Mapping[str, Any], Mapping[str, str], Caller], ServedRequest]
CompleteBody = Callable[[Mapping[str, Any], Caller], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class CallRoute:
    """Answers requests of one of OpenAI's APIs from what is released."""

    answering: Answering
    read: ReadRequest
    complete: CompleteBody | None = None  # puts in what the body refers to

    async def post(self, request: web.Request) -> web.StreamResponse:
        INCOMING.set(_trace_of(request.headers))
        caller = self.answering.access.caller(request)
        body: Mapping[str, Any] = await read_object(request)
        if self.complete is not None:
            body = await self.complete(body, caller)
        return await self.answering.answer(request, caller, body, self.read(body, request.headers, caller))


def _trace_of(headers: Mapping[str, str]) -> TraceContext | None:
    parent = headers.get("traceparent")
    return parse_traceparent(parent, headers.get("tracestate", "")) if parent else None

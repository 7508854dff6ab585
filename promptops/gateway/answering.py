"""How a request is answered once it has been read, whichever API it came by: whole or streamed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from promptops.config.settings import LogSettings
from promptops.dataclass import dataclass
from promptops.errors import NotFound, PromptopsError
from promptops.gateway.access import Access, Caller
from promptops.gateway.answers import json_answer
from promptops.gateway.errors import NO_RETRY, ApiError, api_error, errors_with
from promptops.gateway.idempotency import PendingRun, RepeatedRequests, digest_of, request_key
from promptops.gateway.metrics import GatewayMetrics
from promptops.gateway.streaming import AnswerStream
from promptops.providers.types import REFUSAL
from promptops.registry import SharedState, StartedRun
from promptops.runner import Run
from promptops.service import CallRequest, Service
from promptops.service.key_usage import Admission
from promptops.service.service import ReadyCall
from promptops.versions.references import suggest_nearest

EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


class AnswerWire(Protocol):
    """How one answer is written: whole, or as lines of an event stream where it has them."""

    def whole(self, run: Run) -> Mapping[str, Any]: ...

    def begin(self) -> bytes:
        return b""

    def piece(self, text: str) -> bytes:  # noqa: ARG002 - most have one
        return b""

    def end(self, run: Run) -> bytes:  # noqa: ARG002 - most have one
        return b""

    def failure(self, error: ApiError) -> bytes:  # noqa: ARG002 - most have one
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request: the call that it asks for, and how the answer is to be sent."""

    call: CallRequest
    wire: Callable[[StartedRun], AnswerWire]
    stream: bool = False
    ignored: tuple[str, ...] = ()
    kept: bool = True  # for a request that is sent again with the same Idempotency-Key


@dataclass(frozen=True, slots=True)
class _AdmittedCall:
    """A call that may be made, and the headers of its answer."""

    call: ReadyCall
    admission: Admission
    headers: Mapping[str, str]


class Answering:
    """Makes the calls of requests."""

    def __init__(
        self,
        service: Service,
        access: Access,
        metrics: GatewayMetrics,
        log: LogSettings,
        shared: SharedState | None = None,
    ) -> None:
        self.access = access
        self._service = service
        self._metrics = metrics
        self._repeated = RepeatedRequests(log, shared)

    async def answer(
        self, request: web.Request, caller: Caller, body: Mapping[str, Any], asked: ServedRequest
    ) -> web.StreamResponse:
        """Once for each ``Idempotency-Key``: who repeats a request gets the answer of the first."""
        key = request_key(request, caller) if asked.kept else None
        if key is None:
            return await self._make(request, caller, asked, PendingRun())
        digest = digest_of(body)
        known = await self._repeated.find(key, digest)
        if known is not None:
            return await self._repeat(request, asked, await known.result())
        pending = self._repeated.begin(key, digest)
        try:
            return await self._make(request, caller, asked, pending)
        finally:
            self._repeated.end(key, pending)

    async def _make(
        self, request: web.Request, caller: Caller, asked: ServedRequest, pending: PendingRun
    ) -> web.StreamResponse:
        headers: dict[str, str] = {}
        with errors_with(headers), pending.failing(), caller.usage.admit(asked.call.unit) as admission:
            call = await self._ready(asked.call)
            pending.rules = call.prepared.started.log
            admission.reserve(call.prepared, call.runner.catalog)
            headers |= _headers(call.prepared.started, asked)
            if asked.call.chat and call.inputs is asked.call.inputs:
                headers["X-Promptops-Ignored"] = ", ".join((*asked.ignored, "messages"))
            with self._metrics.call(call.prepared.started):
                if asked.stream and not call.prepared.is_reviewed:
                    admitted = _AdmittedCall(call, admission, headers)
                    return await self._stream(request, asked, admitted, pending)
                run = await self._service.answer(call)
                self._settle(admission, pending, run)
        apart = _apart(run, headers)
        return apart or json_answer(asked.wire(run.started).whole(run), headers)

    def _settle(self, admission: Admission, pending: PendingRun, run: Run) -> None:
        admission.settle(run)
        pending.succeed(run)
        self._metrics.count(run)

    async def _ready(self, asked: CallRequest) -> ReadyCall:
        """A call that can be made. Raises NotFound with what comes near to a name that is not served."""
        try:
            return await self._service.aready(asked)
        except NotFound as error:
            served = sorted(await self._service.serving())
            near = suggest_nearest(asked.reference, served, error.hint)
            raise NotFound(error.message, hint=near) from None

    async def _stream(
        self, request: web.Request, asked: ServedRequest, admitted: _AdmittedCall, pending: PendingRun
    ) -> web.StreamResponse:
        """An error before the first text has a status of its own; one that comes later is an event."""
        stream, wire = AnswerStream(self._service, admitted.call), asked.wire(admitted.call.prepared.started)
        response = web.StreamResponse(headers={**EVENT_STREAM, **admitted.headers})
        try:
            async for piece in stream.pieces():
                await _open(response, request, wire)
                await response.write(wire.piece(piece))
            run = await stream.run()
            self._settle(admitted.admission, pending, run)
            if apart := _apart(run, admitted.headers):
                return apart
            await _open(response, request, wire)
            await response.write(wire.end(run))
        except PromptopsError as error:
            if not response.prepared:
                raise
            pending.fail(error)
            await response.write(wire.failure(api_error(error)))
        finally:
            await asyncio.shield(stream.close())
        return response

    async def _repeat(self, request: web.Request, asked: ServedRequest, run: Run) -> web.StreamResponse:
        headers = {**_headers(run.started, asked), "X-Promptops-Repeated": "true"}
        if apart := _apart(run, headers):
            return apart
        wire = asked.wire(run.started)
        if not asked.stream:
            return json_answer(wire.whole(run), headers)
        response = web.StreamResponse(headers={**EVENT_STREAM, **headers})
        await response.prepare(request)
        text = wire.piece(run.text) if run.text and run.finish_reason != REFUSAL else b""
        await response.write(wire.begin() + text + wire.end(run))
        return response


def _apart(run: Run, headers: Mapping[str, str]) -> web.Response | None:
    """What callers get in place of an answer: while it is held, or where a guard blocked what they sent."""
    if run.finished.error_type == "input_blocked":
        refused = ApiError(400, run.message, "content_filter")
        return json_answer(refused.as_json(), {**headers, **NO_RETRY}, refused.status)
    return _held_answer(run, headers)


def _held_answer(run: Run, headers: Mapping[str, str]) -> web.Response | None:
    """What callers get while a person has not released the answer; None where nobody has to."""
    if not run.held:
        return None
    where = f"/v1/runs/{run.id}"
    message = f"a person releases this answer first: GET {where} has it then, by `held`"
    content = {"object": "run.held", "run_id": run.id, "held": "waiting", "message": message}
    return json_answer(content, {**headers, "Location": where}, 202)


async def _open(response: web.StreamResponse, request: web.Request, wire: AnswerWire) -> None:
    """Send the headers and what goes before the text, once."""
    if not response.prepared:
        await response.prepare(request)
        if begun := wire.begin():
            await response.write(begun)


def _headers(run: StartedRun, asked: ServedRequest) -> dict[str, str]:
    """Which run an answer is, what answered, and what of the request was not used."""
    found = {
        "X-Promptops-Run-Id": run.run_id,
        "X-Promptops-Prompt": run.prompt,
        "X-Promptops-Version": run.version,
        "X-Promptops-Digest": f"sha256:{run.digest}",
        "X-Promptops-Arm": run.arm,
        "X-Promptops-Ignored": ", ".join(asked.ignored),
    }
    return {name: value for name, value in found.items() if value}

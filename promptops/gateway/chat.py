"""``POST /v1/chat/completions``."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from promptops.errors import NotFound, PromptopsError
from promptops.gateway.access import Access
from promptops.gateway.answers import json_answer
from promptops.gateway.body import read_object
from promptops.gateway.chat_request import ChatRequest, parse_chat_request
from promptops.gateway.chat_response import ChatChunks, chat_completion, event, run_headers
from promptops.gateway.errors import api_error, errors_with
from promptops.gateway.streaming import AnswerStream
from promptops.runner.retry import Limits
from promptops.service import CallRequest, Service
from promptops.service.key_usage import Admission
from promptops.service.service import ReadyCall
from promptops.versions.references import suggest_nearest

EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that may be made, and the headers of its answer."""

    call: ReadyCall
    admission: Admission
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChatCompletions:
    """Answers chat requests from what is released."""

    service: Service
    access: Access
    limits: Limits
    refuse_parameters: bool = False

    async def post(self, request: web.Request) -> web.StreamResponse:
        caller = self.access.caller(request)
        body = await read_object(request)
        asked = parse_chat_request(
            body, request.headers, caller, self.limits, refuse_parameters=self.refuse_parameters
        )
        headers: dict[str, str] = {}
        with errors_with(headers), caller.usage.admit(asked.call.unit) as admission:
            call = await self._ready(asked.call)
            admission.reserve(call.prepared, call.runner.catalog)
            headers |= run_headers(call.prepared.started)
            if asked.ignored:
                headers["X-Promptops-Ignored"] = ", ".join(asked.ignored)
            if asked.stream:
                return await self._stream(request, asked, AdmittedCall(call, admission, headers))
            run = await self.service.answer(call)
            admission.settle(run)
        return json_answer(chat_completion(run), headers)

    async def _ready(self, asked: CallRequest) -> ReadyCall:
        """A call that can be made. Raises NotFound with what comes near to a name that is not served."""
        try:
            return await self.service.aready(asked)
        except NotFound as error:
            served = sorted(await self.service.serving())
            near = suggest_nearest(asked.reference, served, error.hint)
            raise NotFound(error.message, hint=near) from None

    async def _stream(
        self, request: web.Request, asked: ChatRequest, admitted: AdmittedCall
    ) -> web.StreamResponse:
        """An error before the first text has a status of its own; one that comes later is an event."""
        call = admitted.call
        stream, chunks = AnswerStream(self.service, call), ChatChunks(call.prepared.started)
        response = web.StreamResponse(headers={**EVENT_STREAM, **admitted.headers})
        try:
            async for piece in stream.pieces():
                if not response.prepared:
                    await response.prepare(request)
                await response.write(chunks.piece(piece))
            run = await stream.run()
            admitted.admission.settle(run)
            if not response.prepared:
                await response.prepare(request)
            await response.write(b"".join(chunks.end(run, include_usage=asked.include_usage)))
        except PromptopsError as error:
            if not response.prepared:
                raise
            await response.write(event(api_error(error).as_json()))
        finally:
            await stream.close()
        return response

"""Any endpoint that speaks OpenAI's chat completions, called directly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from promptops.providers.endpoints import MARKED_CACHES, api_url
from promptops.providers.errors import error_from_reply, timeout_error
from promptops.providers.http.transport import HttpReply, HttpRequest, Transport, is_event_stream
from promptops.providers.openai.request import build_body, encode_body
from promptops.providers.openai.response import completion_from_body
from promptops.providers.openai.stream import StreamParser, completion_from_stream, looks_like_stream
from promptops.providers.types import Completion, CompletionRequest, ModelError, OnText
from promptops.redaction import add_secret
from promptops.trace_context import outgoing_headers

if TYPE_CHECKING:
    from collections.abc import Callable


class OpenAIClient:
    """One model of one endpoint.

    ``model`` is the name that goes over the wire. ``key_name`` is the environment variable that error
    messages name: with it, a call without ``api_key`` fails; without it, none is sent. ``asks_schema``
    says whether an output schema is asked of the provider (it is validated afterwards either way).
    ``aclose`` closes the transport.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        api_key: str | None,
        model: str,
        transport: Transport,
        key_name: str = "",
        asks_schema: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._url = api_url(self.base_url, "chat/completions")
        self.model = model
        self._place = base_url.partition("?")[0]  # for messages: a query may hold a key
        self._api_key = api_key
        add_secret(api_key)
        self._key_name = key_name
        self._transport = transport
        self._asks_schema = asks_schema

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return self.name, self.base_url, self._body(request)

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        self._check_key()
        stream = StreamParser(on_text, time.perf_counter()) if request.stream else None
        try:
            async with asyncio.timeout(request.timeout):
                reply = await self._transport.send(self._http(request), stream.line if stream else None)
            return self._completion(reply, stream, on_text)
        except TimeoutError:
            failure = timeout_error(self._place, request.timeout)
        except ModelError as error:
            failure = error
        failure.partial = failure.partial or (stream.text if stream else "")
        raise failure

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _check_key(self) -> None:
        name, key = self._key_name, self._api_key
        if name and not key:
            hint = f"put the key into the environment variable {name}"
            raise ModelError("authentication", f"no key for {self.name}: {name} is not set", hint=hint)
        if key and not (key.isascii() and key.isprintable()):
            raise ModelError(
                "authentication", f"{name} holds characters that no key has", hint="set it again"
            )

    def _body(self, request: CompletionRequest) -> bytes:
        if self.name not in request.bodies:
            asked = request.output_schema is not None and self._asks_schema()
            body = build_body(request, self.model, ask_schema=asked, cache_control=self.name in MARKED_CACHES)
            request.bodies[self.name] = encode_body(body)
        return request.bodies[self.name]

    def _http(self, request: CompletionRequest) -> HttpRequest:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "promptops",
            "Accept-Encoding": "identity",
            "Accept": "text/event-stream" if request.stream else "application/json",
        }
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return HttpRequest(self._url, headers | outgoing_headers(), self._body(request))

    def _completion(
        self, reply: HttpReply, stream: StreamParser | None, on_text: OnText | None
    ) -> Completion:
        if reply.status != 200:
            raise error_from_reply(reply, where=self._place, key_name=self._key_name)
        silent = not reply.body and is_event_stream(reply.status, reply.headers)
        if stream is not None and (stream.begun or silent):
            return stream.completion(self.model)
        parse = completion_from_stream if looks_like_stream(reply.body) else completion_from_body
        completion = parse(reply.body, self.model)
        if on_text is not None and completion.text:
            on_text(completion.text)
        return completion

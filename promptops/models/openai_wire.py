"""Any endpoint that speaks OpenAI's chat completions, called directly."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from promptops.models.failures import error_of_reply, strike_out
from promptops.models.openai_body import build_body, encode
from promptops.models.openai_reply import Stream, parse_reply
from promptops.models.request import Completion, ModelError, OnText, Request
from promptops.models.transport import HttpReply, HttpRequest, Transport

if TYPE_CHECKING:
    from collections.abc import Callable


class OpenAIWire:
    """One model of one endpoint.

    ``model`` is the name that goes over the wire; ``api_key`` None sends no Authorization header;
    ``key_name`` is the environment variable that error messages name; ``asks_schema`` says whether
    an output schema is asked of the provider (it is validated afterwards either way).
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
        self.model = model
        self._place = base_url.partition("?")[0]  # for messages: a query may hold a key
        self._api_key = api_key
        self._key_name = key_name
        self._transport = transport
        self._asks_schema = asks_schema

    def identity(self, request: Request) -> tuple[str, str, bytes]:
        return self.name, self.base_url, encode(self._body(request))

    async def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        stream = Stream(on_text, time.perf_counter()) if request.stream else None
        try:
            async with asyncio.timeout(request.timeout):
                reply = await self._transport.send(self._http(request), stream.line if stream else None)
            return self._completion(reply, stream, on_text)
        except TimeoutError:
            raise self._timed_out(request, stream) from None
        except ModelError as error:
            error.partial = error.partial or (stream.text if stream else "")
            raise strike_out(error, self._api_key) from None

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _body(self, request: Request) -> dict[str, Any]:
        asked = request.output_schema is not None and self._asks_schema()
        return build_body(request, self.model, ask_schema=asked)

    def _http(self, request: Request) -> HttpRequest:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "promptops",
            "Accept-Encoding": "identity",
        }
        headers["Accept"] = "text/event-stream" if request.stream else "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return HttpRequest(_chat_url(self.base_url), headers, encode(self._body(request)))

    def _completion(self, reply: HttpReply, stream: Stream | None, on_text: OnText | None) -> Completion:
        if reply.status != 200:  # noqa: PLR2004
            raise error_of_reply(reply, where=self._place, key_name=self._key_name)
        if stream is not None and stream.begun:
            return stream.completion(self.model)
        completion = parse_reply(reply, self.model)
        if on_text is not None and completion.text:
            on_text(completion.text)
        return completion

    def _timed_out(self, request: Request, stream: Stream | None) -> ModelError:
        return ModelError(
            "timeout",
            f"{self._place} did not finish within {request.timeout:g} s",
            partial=stream.text if stream else "",
            hint="a longer --timeout gives it more time",
        )


def _chat_url(base_url: str) -> str:
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/')}/chat/completions{mark}{query}"

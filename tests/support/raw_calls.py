"""One call through a transport to a server that answers with raw bytes."""

import asyncio
from collections.abc import Callable

from promptops.providers.http.network import Network
from promptops.providers.http.transport import Transport
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.raw_server import RawServer

ASK = ({"role": "user", "content": "hello"},)


def call_raw(
    raw: bytes, make: Callable[[Network], Transport], *, stream: bool = False
) -> Completion | ModelError:
    async def go(base_url: str) -> Completion:
        wire = OpenAIClient(
            name="openai", base_url=base_url, api_key="k" * 20, model="m", transport=make(Network())
        )
        request = CompletionRequest(model="openai/m", messages=ASK, stream=stream, timeout=20)
        try:
            return await wire.complete(request)
        finally:
            await wire.aclose()

    with RawServer(raw) as server:
        try:
            return asyncio.run(go(server.base_url))
        except ModelError as error:
            return error

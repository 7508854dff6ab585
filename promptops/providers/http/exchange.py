"""One request and its reply, for programs that wait for it: webhooks, GitHub, a gateway's health."""

import asyncio
import os
from collections.abc import Mapping

from promptops.providers.http.network import Network
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import HttpReply, HttpRequest
from promptops.providers.types import ModelError


def exchange(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, timeout_s: float
) -> HttpReply:
    """Redirects are not followed. Raises ModelError (connection, cut_off, timeout, bad_request)."""
    request = HttpRequest(url, {"User-Agent": "promptops", **(headers or {})}, body, method)
    return exchange_request(request, os.environ, timeout_s=timeout_s)


def exchange_request(request: HttpRequest, env: Mapping[str, str], *, timeout_s: float) -> HttpReply:
    """As ``exchange``, for files that go out or come in."""
    return asyncio.run(_send(request, env, timeout_s))


async def _send(request: HttpRequest, env: Mapping[str, str], timeout_s: float) -> HttpReply:
    transport = SingleTransport(Network.from_env(env))
    try:
        async with asyncio.timeout(timeout_s):
            return await transport.send(request)
    except TimeoutError:
        raise ModelError("timeout", f"no answer within {timeout_s:g} s") from None

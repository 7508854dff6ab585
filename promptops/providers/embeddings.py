"""Vectors of texts, from any endpoint that speaks OpenAI's ``/v1/embeddings``."""

import asyncio
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.providers.endpoints import (
    Endpoint,
    api_url,
    endpoint_model_name,
    is_direct,
    require_key,
    resolve_endpoint,
)
from promptops.providers.errors import error_from_reply, timeout_error
from promptops.providers.http.network import Network
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import HttpReply, HttpRequest, Transport
from promptops.providers.openai.response import as_count, as_list, as_mapping, as_text
from promptops.providers.types import Completion, CompletionRequest, ModelError, OnText
from promptops.redaction import add_secret

Inputs = Sequence[str] | Sequence[Sequence[int]]
"""Texts, or the tokens of each."""

_OK = 200


class EmbeddingCall:
    """Makes one request for vectors as a model's client, so that it is retried, priced and logged as a call.

    Its completion says how many there are; they themselves are in ``vectors``.
    """

    def __init__(self, model: str, inputs: Inputs, dimensions: int | None, transport: Transport) -> None:
        """Raises ModelError where nothing can be asked for vectors."""
        self.endpoint, self._model = embedding_endpoint(model, os.environ)
        self.name = self.endpoint.base_url
        self.vectors: list[list[float]] = []
        self._inputs = inputs
        self._dimensions = dimensions
        self._transport = transport
        add_secret(self.endpoint.key)

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        sent = self._request()
        return request.model, sent.url, sent.body

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:  # noqa: ARG002 - none comes
        try:
            async with asyncio.timeout(request.timeout):
                reply = await self._transport.send(self._request())
        except TimeoutError:
            raise timeout_error(self.name.partition("?")[0], request.timeout) from None
        self.vectors = parse_vectors(reply, len(self._inputs), self.endpoint)
        payload = json.loads(reply.body)
        return Completion(
            text=f"{len(self.vectors)} vectors of {len(self.vectors[0])} numbers",
            response_model=as_text(payload.get("model")) or self._model,
            finish_reason="stop",
            input_tokens=as_count(as_mapping(payload.get("usage")).get("prompt_tokens")),
            output_tokens=0,
        )

    async def aclose(self) -> None:
        """The transport is shared, and not closed here."""

    def _request(self) -> HttpRequest:
        return build_embedding_request(self.endpoint, self._model, self._inputs, self._dimensions)


async def embed(model: str, texts: Sequence[str], env: Mapping[str, str]) -> list[list[float]]:
    """One vector for each text, over a connection of its own. Raises ModelError."""
    endpoint, name = embedding_endpoint(model, env)
    add_secret(endpoint.key)
    transport = SingleTransport(Network.from_env(env))
    reply = await transport.send(build_embedding_request(endpoint, name, texts))
    return parse_vectors(reply, len(texts), endpoint)


def embedding_endpoint(model: str, env: Mapping[str, str]) -> tuple[Endpoint, str]:
    """Where vectors of a model come from, and its name there. Raises ModelError before anything is sent."""
    provider, _, name = model.partition("/")
    if not is_direct(provider):
        raise ModelError(
            "not_found",
            f"{model}: embeddings come from an OpenAI-compatible endpoint, and {provider} is none",
            hint="name one such as openai/text-embedding-3-small",
        )
    endpoint = resolve_endpoint(provider, env)
    require_key(endpoint, provider)
    return endpoint, endpoint_model_name(provider, name)


def build_embedding_request(
    endpoint: Endpoint, model: str, texts: Inputs, dimensions: int | None = None
) -> HttpRequest:
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "promptops",
    }
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "float"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return HttpRequest(api_url(endpoint.base_url, "embeddings"), headers, json.dumps(body).encode())


def parse_vectors(reply: HttpReply, count: int, endpoint: Endpoint) -> list[list[float]]:
    where = endpoint.base_url.partition("?")[0]
    if reply.status != _OK:
        raise error_from_reply(reply, where=where, key_name=endpoint.key_name)
    try:
        rows = sorted(json.loads(reply.body)["data"], key=lambda row: row["index"])
        vectors = [[float(number) for number in as_list(row["embedding"])] for row in rows]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ModelError(
            "malformed_reply", f"{where} answered with something that holds no vectors"
        ) from None
    if len(vectors) != count or not all(_is_finite_vector(vector) for vector in vectors):
        raise ModelError("malformed_reply", f"{where} answered {len(vectors)} vectors for {count} texts")
    return vectors


def _is_finite_vector(vector: Sequence[Any]) -> bool:
    return bool(vector) and all(map(math.isfinite, vector))

"""``POST /v1/embeddings``: vectors of texts, from the models that a key may call without a prompt."""

import base64
import os
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.gateway.access import Caller
from promptops.gateway.answering import Answering, AnswerWire, ServedRequest
from promptops.gateway.body import read_object, text_in, wrong_type
from promptops.gateway.caller_parameters import ignored_parameters
from promptops.gateway.chat_request import MAX_NAME, call_of
from promptops.gateway.chat_wire import run_facts
from promptops.gateway.errors import ApiError
from promptops.gateway.passthrough import Passthrough, model_call
from promptops.prompt.canonical_json import compact_json
from promptops.providers.embeddings import EmbeddingCall, Inputs
from promptops.providers.http.network import Network
from promptops.providers.http.pooled import PooledTransport
from promptops.runner import Run
from promptops.runner.retry import Limits

_OWN = ("model", "input", "encoding_format", "dimensions", "user", "safety_identifier")
_MAX_INPUTS = 2_048
_MAX_DIMENSIONS = 100_000
_NO_ANSWER = {"max_tokens": 1}  # vectors are no tokens: this bounds what a call may cost


class EmbeddingsRoute:
    """Answers requests for vectors."""

    def __init__(self, answering: Answering, models: Passthrough, limits: Limits) -> None:
        self._answering = answering
        self._models = models
        self._limits = limits
        self._transport = PooledTransport(Network.from_env(os.environ))

    async def close(self) -> None:
        await self._transport.aclose()

    async def post(self, request: web.Request) -> web.StreamResponse:
        caller = self._answering.access.caller(request)
        body = await read_object(request)
        return await self._answering.answer(request, caller, body, self._read(body, request.headers, caller))

    def _read(self, body: Mapping[str, Any], headers: Mapping[str, str], caller: Caller) -> ServedRequest:
        given = text_in(body, "model", longest=MAX_NAME) or ""
        model = self._models.find(given, caller)
        if model is None:
            raise NotFound(
                f"no vectors of `{given}` for this key", hint="keys new --models, and serve: passthrough"
            )
        inputs, as_text = _inputs(body.get("input")), _in_base64(body)
        client = EmbeddingCall(model, inputs, _dimensions(body), self._transport)
        messages = [{"role": "user", "content": _shown(each)} for each in inputs]
        call = call_of(body, headers, caller, self._limits, reference=model, client=client)
        return ServedRequest(
            call=model_call(call, model, messages, _NO_ANSWER),
            wire=lambda _: _EmbeddingsWire(client, as_text),
            ignored=ignored_parameters(body, _OWN, refuse=False),
            kept=False,  # the vectors are not: asking for them again does no harm
        )


@dataclass(frozen=True, slots=True)
class _EmbeddingsWire(AnswerWire):
    """The answer of one request: it is never streamed."""

    client: EmbeddingCall
    in_base64: bool

    def whole(self, run: Run) -> Mapping[str, Any]:
        vectors = [_base64(one) if self.in_base64 else one for one in self.client.vectors]
        data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)]
        tokens = run.input_tokens or 0
        return {
            "object": "list",
            "data": data,
            "model": run.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "promptops": run_facts(run),
        }


def _inputs(given: Any) -> Inputs:
    """A text, texts, the tokens of one, or of several."""
    if isinstance(given, str) or (_is_list(given) and type(given[0]) is int):
        given = [given]
    if _is_list(given) and len(given) <= _MAX_INPUTS:
        if all(isinstance(each, str) and each for each in given):
            return [*map(str, given)]
        if all(_is_list(each) and all(type(token) is int for token in each) for each in given):
            return [list(each) for each in given]
    raise wrong_type("input", f"a text, or at most {_MAX_INPUTS:,} texts or lists of tokens")


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _shown(given: str | Sequence[int]) -> str:
    return given if isinstance(given, str) else compact_json(list(given))


def _dimensions(body: Mapping[str, Any]) -> int | None:
    given = body.get("dimensions")
    if given is None or (type(given) is int and 1 <= given <= _MAX_DIMENSIONS):
        return given
    raise wrong_type("dimensions", "a whole number above 0")


def _in_base64(body: Mapping[str, Any]) -> bool:
    given = body.get("encoding_format")
    if given not in (None, "float", "base64"):
        raise ApiError(400, "`encoding_format` must be float or base64", "invalid_value", "encoding_format")
    return bool(given == "base64")


def _base64(vector: Sequence[float]) -> str:
    """Little-endian floats of four bytes, as clients of OpenAI's read them."""
    return base64.b64encode(array("f", vector).tobytes()).decode()

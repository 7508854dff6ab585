"""Models of providers with a wire of their own, through litellm. It is imported at the first call.

What litellm does by itself is switched off: its retries, its telemetry, its fetching of prices, its
printing. What it changes in a request (Anthropic needs ``max_tokens``, say) is its business; a parameter
that it knows the model to lack is an error, as nothing is dropped silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib.util
import json
import logging
import os
import re
import time
import warnings
from typing import TYPE_CHECKING, Any

from promptops.providers.errors import (
    error_hint,
    error_type_of,
    parse_retry_after,
    provider_message,
    sanitize_line,
    timeout_error,
)
from promptops.providers.openai.request import encode_body, response_format
from promptops.providers.openai.response import completion_from_payload
from promptops.providers.openai.stream import StreamParser
from promptops.providers.parameters import check_model_name, check_parameters, check_tools
from promptops.providers.types import Completion, CompletionRequest, ErrorType, ModelError, OnText
from promptops.redaction import add_environment_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INSTALL = "pip install 'git-promptops[providers]'"
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_CONNECTION = frozenset({"ConnectError", "ReadError", "RemoteProtocolError", "ConnectionError", "gaierror"})
_UNREADABLE = frozenset(
    {"JSONDecodeError", "APIResponseValidationError", "IndexError", "KeyError", "ValueError"}
)


class LitellmClient:
    """``model`` is in litellm's notation. litellm itself reads ``os.environ``."""

    name = "litellm"

    def __init__(
        self,
        model: str,
        env: Mapping[str, str] = os.environ,
        *,
        asks_schema: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model = model
        self._env = env
        add_environment_secrets(env)
        self._asks_schema = asks_schema

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return self.name, self._base_url(), encode_body(self.arguments(request))

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        stream = StreamParser(on_text, time.perf_counter()) if request.stream else None
        arguments = self.arguments(request)
        if not installed():
            missing = f"{self.model} is called through litellm, which is not installed"
            raise ModelError("bad_request", missing, hint=INSTALL)
        litellm = await asyncio.to_thread(import_litellm)
        try:
            self._check_keys(litellm)
            arguments["timeout"] = request.timeout
            async with asyncio.timeout(request.timeout):
                return await self._call(litellm, arguments, stream)
        except TimeoutError:
            failure = timeout_error(self.model, request.timeout)
        except ModelError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - litellm lets anything through; it leaves here typed
            failure = to_model_error(error, self.model)
        # Raised out here so that no exception of litellm's, which may hold a key, hangs on it.
        failure.partial = failure.partial or (stream.text if stream else "")
        if failure.type == "connection" and failure.partial:
            failure.type = "cut_off"
        raise failure

    async def aclose(self) -> None:
        import sys

        if sys.modules.get("litellm"):
            await import_litellm().close_litellm_async_clients()

    async def _call(self, litellm: Any, arguments: dict[str, Any], stream: StreamParser | None) -> Completion:
        answer = await litellm.acompletion(**arguments, max_retries=0, num_retries=0)
        if stream is None:
            return completion_from_payload(answer.model_dump(), self.model)
        async for chunk in answer:
            stream.event(chunk.model_dump(exclude_none=True))
        return stream.completion(self.model)

    def arguments(self, request: CompletionRequest) -> dict[str, Any]:
        check_model_name(self.model)
        check_parameters(request.parameters, direct=False)
        check_tools(request.tools)
        arguments: dict[str, Any] = {
            "model": self.model,
            "messages": list(request.messages),
            **copy.deepcopy(dict(request.parameters)),  # litellm writes notes of its own into them
        }
        if request.tools:
            # litellm would look for a gateway of tools first, which needs a package that it does not install.
            arguments |= {"tools": list(request.tools), "_skip_mcp_handler": True}
        if request.output_schema is not None and self._asks_schema():
            arguments.setdefault("response_format", response_format(request.output_schema))
        if request.stream:
            arguments |= {"stream": True, "stream_options": {"include_usage": True}}
        return arguments

    def _base_url(self) -> str:
        provider = self.model.partition("/")[0].upper()
        found = [self._env.get(f"{provider}_{name}") for name in ("API_BASE", "BASE_URL")]
        return next((base for base in found if base), "")

    def _check_keys(self, litellm: Any) -> None:
        missing = litellm.validate_environment(self.model).get("missing_keys") or ()
        if missing:
            names = " and ".join(missing)
            hint = f"put the key into the environment variable {missing[0]}"
            raise ModelError("authentication", f"no key for {self.model}: {names} not set", hint=hint)


def installed() -> bool:
    return importlib.util.find_spec("litellm") is not None


def import_litellm() -> Any:
    """The module, imported quietly. It reads the variable below while it is imported."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    warnings.filterwarnings("ignore", module=r"(litellm|pydantic|openai|httpx|aiohttp)\b")
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = False
    litellm.disable_aiohttp_transport = True  # it sends a request again when its connection was reset
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return litellm


def to_model_error(error: Exception, model: str) -> ModelError:
    """What litellm raised, as the error that it stands for: its own class and status do not always say."""
    chain = _chain(error)
    names = {base.__name__ for link in chain for base in type(link).__mro__}
    if "LLM Provider NOT provided" in str(error) or "LiteLLMUnknownProvider" in names:
        hint = "models are written provider/model, as in openai/gpt-5.4-mini-2026-03-17"
        return ModelError("not_found", f"no provider is known for {sanitize_line(model)}", hint=hint)
    words = str(error).partition("\nTraceback")[0]
    payload = _payload(words)
    kind = _kind(chain, names, payload)
    text = provider_message(payload) or sanitize_line(
        re.sub(r"^(litellm\.)?\w+(Error|Exception): ", "", words)
    )
    headers = getattr(error, "litellm_response_headers", None) or {}
    wait = parse_retry_after({name.lower(): value for name, value in headers.items()})
    return ModelError(
        kind, f"{model}: {text}", status=_status(chain), retry_after=wait, hint=error_hint(kind, payload)
    )


def _kind(chain: list[BaseException], names: set[str], payload: Any) -> ErrorType:
    status = _status(chain)
    if "ContentPolicyViolationError" in names:
        return "content_filter"
    if status is not None:
        return error_type_of(status, payload)
    if "Timeout" in names:
        return "timeout"
    if names & _CONNECTION:
        return "connection"
    raised = getattr(chain[0], "status_code", 500)
    unreadable = raised in {422, 500} and names & _UNREADABLE
    return "malformed_reply" if unreadable else error_type_of(raised, payload)


def _status(chain: list[BaseException]) -> int | None:
    """The status that the provider answered with, if it answered."""
    for link in chain:
        if type(link).__name__ == "HTTPStatusError" or type(link).__module__.startswith("openai"):
            status = getattr(getattr(link, "response", None), "status_code", None)
            if isinstance(status, int) and status != 200:
                return status
    return None


def _payload(words: str) -> Any:
    """The provider's JSON inside litellm's message."""
    start = words.find("{")
    with contextlib.suppress(ValueError):
        return json.JSONDecoder().raw_decode(words, start)[0] if start >= 0 else None
    return None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    while error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__ or error
    return found

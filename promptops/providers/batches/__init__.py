"""Batch services of providers: half the price, an answer within a day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from promptops.errors import Invalid
from promptops.providers.batches.types import BatchLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promptops.config.settings import Settings
    from promptops.providers.batches.types import BatchService
    from promptops.providers.catalog import Catalog
    from promptops.providers.types import CompletionRequest

_MB = 10**6
OPENAI_WIRE: dict[str, BatchLimits] = {
    "openai": BatchLimits(50_000, 200 * _MB),
    "dashscope": BatchLimits(50_000, 100 * _MB),
    "groq": BatchLimits(50_000, 200 * _MB),
    "hosted_vllm": BatchLimits(50_000, 100 * _MB),
    "litellm_proxy": BatchLimits(50_000, 100 * _MB),
    "novita": BatchLimits(50_000, 100 * _MB),
    "parasail": BatchLimits(50_000, 100 * _MB),
}
"""Providers whose batch service is OpenAI's wire, with what one job may hold."""


def create_batch_service(
    model: str,
    settings: Settings,
    env: Mapping[str, str],
    *,
    catalog: Catalog | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> BatchService:
    """The batch service of a pinned model's provider. ``pause`` waits between attempts.

    Raises Invalid where it has none, and ModelError where its address or key is not known.
    """
    from promptops.providers import is_chat_model, split_model
    from promptops.providers.catalog import Catalog

    known = catalog or Catalog.load(settings, env)
    provider, rest = split_model(model, known)
    if not is_chat_model(model, known):
        raise Invalid(f"{model} does not answer chat completions, and has no batch service here")
    if provider in OPENAI_WIRE:
        return _openai_batches(provider, rest, model, env, known, pause)
    if provider == "anthropic":
        return _anthropic_batches(rest, model, env, known, pause)
    if provider == "azure":
        return _azure_batches(rest, model, env, known, pause)
    names = ", ".join(sorted([*OPENAI_WIRE, "anthropic", "azure"]))
    raise Invalid(
        f"{model}: {provider or 'its provider'} has no batch service that promptops knows",
        hint=f"leave out --provider-batch; these have one: {names}",
    )


def _openai_batches(
    provider: str,
    rest: str,
    model: str,
    env: Mapping[str, str],
    known: Catalog,
    pause: Callable[[float], None],
) -> BatchService:
    from promptops.providers import accepts_output_schema
    from promptops.providers.batches.openai import OpenAIBatches
    from promptops.providers.batches.wire import BatchWire
    from promptops.providers.endpoints import endpoint_model_name, require_key, resolve_endpoint
    from promptops.providers.http.network import Network
    from promptops.providers.http.single import SingleTransport
    from promptops.providers.openai.client import OpenAIClient

    endpoint = resolve_endpoint(provider, env)
    require_key(endpoint, provider)
    direct = OpenAIClient(
        name=provider,
        base_url=endpoint.base_url,
        api_key=endpoint.key,
        model=endpoint_model_name(provider, rest),
        transport=SingleTransport(Network.from_env(env)),
        key_name=endpoint.key_name,
        asks_schema=lambda: accepts_output_schema(model, known),
    )
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    return OpenAIBatches(
        name=provider,
        model=direct.model,
        wire=BatchWire(endpoint.base_url, headers, endpoint.key_name, env, pause),
        limits=OPENAI_WIRE[provider],
        body_of=lambda request: direct.identity(request)[2],
    )


def _anthropic_batches(
    rest: str, model: str, env: Mapping[str, str], known: Catalog, pause: Callable[[float], None]
) -> BatchService:
    from promptops.providers import asks_output_schema
    from promptops.providers.batches.anthropic import AnthropicBatches
    from promptops.providers.batches.wire import BatchWire
    from promptops.providers.endpoints import Endpoint, require_key
    from promptops.providers.litellm_client import LitellmClient
    from promptops.redaction import add_secret

    endpoint = Endpoint(_anthropic_base(env), env.get("ANTHROPIC_API_KEY") or None, "ANTHROPIC_API_KEY")
    require_key(endpoint, "anthropic")
    add_secret(endpoint.key)
    direct = LitellmClient(model, env, asks_schema=lambda: asks_output_schema(model, known))
    headers = {"x-api-key": endpoint.key or "", "anthropic-version": "2023-06-01"}
    return AnthropicBatches(
        model=rest,
        wire=BatchWire(endpoint.base_url, headers, endpoint.key_name, env, pause),
        arguments_of=direct.arguments,
    )


def _azure_batches(
    rest: str, model: str, env: Mapping[str, str], known: Catalog, pause: Callable[[float], None]
) -> BatchService:
    """Of a deployment: litellm knows the ways in which one signs in there."""
    from promptops.providers import asks_output_schema
    from promptops.providers.batches.litellm_wire import LitellmWire, chat_body
    from promptops.providers.batches.openai import OpenAIBatches
    from promptops.providers.litellm_client import LitellmClient

    direct = LitellmClient(model, env, asks_schema=lambda: asks_output_schema(model, known))

    def body_of(request: CompletionRequest) -> bytes:
        if model not in request.bodies:  # it takes litellm a while
            request.bodies[model] = chat_body("azure", rest, direct.arguments(request))
        return request.bodies[model]

    return OpenAIBatches(
        name="azure",
        model=rest,
        wire=LitellmWire("azure", pause),
        limits=BatchLimits(100_000, 200 * _MB),
        body_of=body_of,
        path="/chat/completions",
    )


def _anthropic_base(env: Mapping[str, str]) -> str:
    """What litellm calls: the variables may hold the address with or without the path of a call."""
    base = env.get("ANTHROPIC_API_BASE") or env.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
    return base.rstrip("/").removesuffix("/messages").removesuffix("/v1") + "/v1"

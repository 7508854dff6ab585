"""LLM clients, their errors and prices; ``create_client`` picks the client that a model is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promptops.config.settings import Settings
    from promptops.providers.catalog import Catalog
    from promptops.providers.http.transport import Transport
    from promptops.providers.types import ModelClient


def create_client(
    model: str,
    settings: Settings | None,
    env: Mapping[str, str],
    *,
    pooled: bool = False,
    catalog: Catalog | None = None,
) -> ModelClient:
    """The adapter for a model in litellm's notation; ``pooled`` when several calls will be in flight.

    ``settings`` say what ``catalog`` is where none is given.
    Missing keys are errors of the call, not of the adapter: a kept reply needs none.
    """
    from promptops.providers.catalog import Catalog
    from promptops.providers.endpoints import is_direct

    if model.startswith("local/"):
        from promptops.providers.local.server import EmbeddedClient

        return EmbeddedClient(model, env)
    known = catalog or Catalog.load(settings, env)
    provider, rest = split_model(model, known)
    if is_direct(provider) and is_chat_model(model, known):
        return _direct_client(
            provider, rest, env, _transport(env, pooled=pooled), lambda: accepts_output_schema(model, known)
        )
    from promptops.providers.litellm_client import LitellmClient

    return LitellmClient(model, env, asks_schema=lambda: asks_output_schema(model, known))


def split_model(model: str, catalog: Catalog) -> tuple[str, str]:
    """Provider and its name for the model; a bare name that the catalogue knows has a provider too."""
    provider, slash, rest = model.partition("/")
    return (provider, rest) if slash else (catalog.provider(model) or "", model)


def is_chat_model(model: str, catalog: Catalog) -> bool:
    """Whether a model answers chat completions, and not another interface that litellm would choose."""
    return not model.startswith("openai/responses/") and catalog.mode(model) in {None, "chat"}


def accepts_output_schema(model: str, catalog: Catalog) -> bool:
    """An unknown model is asked for a schema: servers that people run themselves take one."""
    return catalog.supports(model, "response_schema") is not False


def asks_output_schema(model: str, catalog: Catalog) -> bool:
    """Whether an output schema goes out with a call: litellm is trusted with it only where it is known."""
    from promptops.providers.endpoints import is_direct

    provider, _ = split_model(model, catalog)
    if provider == "local" or (is_direct(provider) and is_chat_model(model, catalog)):
        return accepts_output_schema(model, catalog)
    return catalog.supports(model, "response_schema") is True


def _transport(env: Mapping[str, str], *, pooled: bool) -> Transport:
    from promptops.providers.http.network import Network

    if pooled:
        from promptops.providers.http.pooled import PooledTransport

        return PooledTransport(Network.from_env(env))
    from promptops.providers.http.single import SingleTransport

    return SingleTransport(Network.from_env(env))


def _direct_client(
    provider: str, rest: str, env: Mapping[str, str], transport: Transport, asks_schema: Callable[[], bool]
) -> ModelClient:
    from promptops.providers.endpoints import endpoint_model_name, resolve_endpoint
    from promptops.providers.openai.client import OpenAIClient

    endpoint = resolve_endpoint(provider, env)
    return OpenAIClient(
        name=provider,
        base_url=endpoint.base_url,
        api_key=endpoint.key,
        model=endpoint_model_name(provider, rest),
        transport=transport,
        key_name=endpoint.key_name,
        asks_schema=asks_schema,
    )

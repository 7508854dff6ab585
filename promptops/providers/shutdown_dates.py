"""When a provider says that it ends its models: ``shutdown_date`` in the list that OpenAI's API has."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from promptops.providers.endpoints import api_url, is_direct, require_key, resolve_endpoint
from promptops.providers.errors import error_from_reply
from promptops.providers.http.exchange import exchange
from promptops.providers.types import ModelError
from promptops.redaction import add_secret

_TIMEOUT_S = 15.0
_MOST = 5_000  # models
_MAX_NAME = 200


def fetch_shutdown_dates(provider: str, env: Mapping[str, str]) -> dict[str, str]:
    """ISO dates by model (``openai/gpt-…``), of those that have one. Raises ModelError."""
    if not is_direct(provider):
        raise ModelError("not_found", f"{provider} has no list of models in OpenAI's format")
    endpoint = resolve_endpoint(provider, env)
    require_key(endpoint, provider)
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    add_secret(endpoint.key)
    url = api_url(endpoint.base_url, "models")
    reply = exchange("GET", url, headers, timeout_s=_TIMEOUT_S)
    if reply.status != 200:
        raise error_from_reply(reply, where=url.partition("?")[0], key_name=endpoint.key_name)
    try:
        models = json.loads(reply.body)["data"]
        return {f"{provider}/{name}": day for name, day in _dates(models)}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelError("malformed_reply", f"{provider} answers with no list of models") from None


def _dates(models: Any) -> Iterator[tuple[str, str]]:
    for model in models[:_MOST]:
        name, day = model["id"], _date(model.get("shutdown_date"))
        if isinstance(name, str) and len(name) <= _MAX_NAME and day:
            yield name, day


def _date(value: Any) -> str | None:
    """An ISO date or time, or seconds since 1970; None for anything else."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10]).isoformat()
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None
    return None

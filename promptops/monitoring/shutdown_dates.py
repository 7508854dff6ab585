"""Ends of models as their providers say them: asked for where somebody wants that, and kept for a day."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from promptops.config.clock import utc_text
from promptops.errors import PromptopsError
from promptops.providers.shutdown_dates import fetch_shutdown_dates
from promptops.registry import RegistryDatabase, read_meta, save_meta

_FRESH_S = 86_400.0


def refresh_shutdown_dates(
    registry: RegistryDatabase, models: Iterable[str], env: Mapping[str, str], now: float
) -> dict[str, PromptopsError]:
    """Ask the providers of models that were not asked within a day; why one did not answer, by its name."""
    failed = {}
    for provider in sorted({model.partition("/")[0] for model in models}):
        if _known(registry, provider).get("at", "") > utc_text(now - _FRESH_S):
            continue
        try:
            dates = fetch_shutdown_dates(provider, env)
        except PromptopsError as error:
            failed[provider] = error
        else:
            save_meta(registry, _key(provider), json.dumps({"at": utc_text(now), "dates": dates}))
    return failed


def shutdown_date(registry: RegistryDatabase, model: str) -> str | None:
    """What the provider said when it was last asked; None where it was not, or named no date."""
    dates: Mapping[str, str] = _known(registry, model.partition("/")[0]).get("dates", {})
    return dates.get(model)


def _known(registry: RegistryDatabase, provider: str) -> Mapping[str, Any]:
    kept = read_meta(registry, _key(provider))
    return dict(json.loads(kept)) if kept else {}


def _key(provider: str) -> str:
    return f"shutdown_dates {provider[:100]}"

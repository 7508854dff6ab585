"""Texts of runs erased when ``retention`` of promptops.yaml, a prompt file or a tenant says so."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.retention_limits import RETENTION_TEXTS, shortest_limit
from promptops.config.settings import Settings
from promptops.console import note
from promptops.dataclass import dataclass
from promptops.errors import NotFound, PromptopsError
from promptops.registry import (
    RegistryDatabase,
    erase_old_texts,
    last_runs,
    open_with_waiting_runs,
    parse_time,
    shrink_registry,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedTexts:
    """``texts``: inputs or outputs, of the runs of a prompt, or of a tenant."""

    texts: str
    runs: int
    limit: str
    prompt: str = ""
    tenant: str = ""


def erase_by_retention(settings: Settings, *, dry_run: bool) -> list[ErasedTexts]:
    """What was erased, or would be: by prompt, then by tenant."""
    with open_with_waiting_runs(settings) as registry:
        erased = [
            each for each in _by_rule(registry, settings, dry_run=dry_run) if each is not None and each.runs
        ]
        if erased and not dry_run:
            shrink_registry(registry)
    return erased


def _by_rule(
    registry: RegistryDatabase, settings: Settings, *, dry_run: bool
) -> Iterator[ErasedTexts | None]:
    for prompt in last_runs(registry):
        rules = (settings.retention, _prompt_rule(prompt, settings))
        for texts in RETENTION_TEXTS:
            yield _erase(registry, texts, shortest_limit(texts, rules), dry_run=dry_run, prompt=prompt)
    for tenant, rule in settings.retention.get("tenants", {}).items():
        for texts in RETENTION_TEXTS:
            yield _erase(registry, texts, rule.get(texts), dry_run=dry_run, tenant=tenant)


def _prompt_rule(name: str, settings: Settings) -> Mapping[str, Any]:
    """What the prompt file says now, as rules are no part of a version."""
    from promptops.versions.resolve import resolve_version

    try:
        return resolve_version(name, settings).prompt.retention
    except NotFound:
        return {}
    except PromptopsError as error:
        note(f"{name}: its own retention is not known, that of promptops.yaml holds: {error.message}")
        return {}


def _erase(
    registry: RegistryDatabase, texts: str, limit: str | None, *, dry_run: bool, **whose: str
) -> ErasedTexts | None:
    if limit is None:
        return None
    before = parse_time(limit, "retention")
    runs = erase_old_texts(registry, before, inputs=texts == "inputs", dry_run=dry_run, **whose)
    return ErasedTexts(texts=texts, runs=runs, limit=limit, **whose)

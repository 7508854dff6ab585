"""A session with one project: the models that it has reached so far, and the journal of its runs."""

import os
from collections.abc import Mapping
from functools import cached_property
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, Self

from promptops import runner
from promptops.config.settings import Settings
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelClient, OnText
from promptops.registry import NoJournal, RegistryJournal
from promptops.runner import Run, RunContext, Runner
from promptops.runner.retry import Limits
from promptops.versions.resolve import Version


class ClosableJournal(runner.JournalProtocol, Protocol):
    """A journal that ends with its session."""

    def close(self) -> None: ...


class Session:
    """One project: its settings, its registry and the models it has reached so far. Use as a context."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: bool = True,
        pooled: bool = False,
        journal: ClosableJournal | None = None,
    ) -> None:
        self.settings = settings
        self._pooled = pooled
        self._adapters: dict[str, ModelClient] = {}
        self._lock = Lock()
        self._journal: ClosableJournal = journal or (RegistryJournal(settings) if log else NoJournal())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for adapter in self._adapters.values():
            await adapter.aclose()
        self._journal.close()

    async def run(
        self,
        version: Version,
        inputs: Mapping[str, Any],
        *,
        origin: RunContext | None = None,
        limits: Limits | None = None,
        on_text: OnText | None = None,
    ) -> Run:
        """Make one logged run; see ``Runner.run``."""
        return await self.runner(limits).run(version, inputs, origin, on_text)

    def runner(self, limits: Limits | None = None) -> Runner:
        """What makes runs here, a step at a time where somebody needs that."""
        return Runner(
            self._adapter,
            self._catalog,
            self._journal,
            limits or Limits(),
            root=self.settings.root,
        )

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog.load(self.settings)

    def _adapter(self, model: str) -> ModelClient:
        with self._lock:  # threads may get runs ready at once
            if model not in self._adapters:
                self._adapters[model] = create_client(model, self.settings, os.environ, pooled=self._pooled)
            return self._adapters[model]

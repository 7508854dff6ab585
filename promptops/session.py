"""A session with one project: the models that it has reached so far, and the journal of its runs."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from promptops.calling import Limits
from promptops.models import adapter_for
from promptops.models.catalog import Catalog
from promptops.models.request import Adapter, OnText
from promptops.registry.journal import Journal, NoJournal
from promptops.runner import Origin, Run, Runner
from promptops.settings import Settings
from promptops.versions import Version


class Session:
    """One project: its settings, its registry and the models it has reached so far. Use as a context."""

    def __init__(self, settings: Settings, *, log: bool = True, many: bool = False) -> None:
        self.settings = settings
        self._many = many
        self._adapters: dict[str, Adapter] = {}
        self._journal = Journal(settings) if log else NoJournal()

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
        origin: Origin | None = None,
        limits: Limits | None = None,
        on_text: OnText | None = None,
    ) -> Run:
        """Make one logged run; see ``Runner.run``."""
        runner = Runner(
            self._adapter,
            Catalog.load(self.settings),
            self._journal,
            limits or Limits(),
            root=self.settings.root,
        )
        return await runner.run(version, inputs, origin, on_text)

    def _adapter(self, model: str) -> Adapter:
        if model not in self._adapters:
            self._adapters[model] = adapter_for(model, self.settings, os.environ, many=self._many)
        return self._adapters[model]

"""A session with one project: the models that it has reached so far, and the journal of its runs."""

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from promptops import runner
from promptops.config.settings import Settings
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelClient, OnText
from promptops.registry import NoJournal, RegistryJournal
from promptops.runner import Run, RunContext, Runner
from promptops.runner.observer import observer_for
from promptops.runner.retry import GUARD_LIMITS, Limits
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # loaded where guards ask a model
    from promptops.runner.model_graded import JudgeResolver, LoggedGraderClient

_MAX_JUDGES = 1_000


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
        written: Callable[[str], Awaitable[None]] | None = None,
        find_judge: Callable[[str], Version] | None = None,
    ) -> None:
        """``written`` waits for a row, of a journal that logs in groups.

        ``find_judge`` gives the judges of guards as they are now; without it they are looked up once.
        """
        self.settings = settings
        self._find_judge = find_judge
        self._written = written
        self._judges: dict[str, JudgeResolver] = {}  # of guards, by the digest of their prompt
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
            observer=observer_for(self.settings),
            grader=self._guard_grader,
        )

    def _guard_grader(self, version: Version, run_id: str, origin: RunContext) -> "LoggedGraderClient":
        from promptops.runner.model_graded import JudgeResolver, guard_grader

        digest = version.prompt.digest
        judges = self._judges.get(digest)
        if judges is None:
            judges = JudgeResolver(self.settings, self._find_judge)
            if self._find_judge is None and len(self._judges) < _MAX_JUDGES:
                self._judges[digest] = judges
        return guard_grader(self.settings, self._guard_call, version, (run_id, origin), judges)

    async def _guard_call(self, version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Run:
        """One call that a guard asks for, logged as any other."""
        runner = self.runner(GUARD_LIMITS)
        prepared = runner.prepare(version, inputs, origin)
        written = self._written or _at_once
        await written(prepared.started.run_id)
        try:
            return await runner.answer(prepared)
        finally:
            await written(prepared.started.run_id)

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog.load(self.settings)

    def _adapter(self, model: str) -> ModelClient:
        with self._lock:  # threads may get runs ready at once
            if model not in self._adapters:
                self._adapters[model] = create_client(model, self.settings, os.environ, pooled=self._pooled)
            return self._adapters[model]


def session_runs(
    session: Session, limits: Limits
) -> Callable[[Version, Mapping[str, Any], RunContext], Awaitable[Run]]:
    """Makes one logged run of a session, for those who grade."""

    def run(version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Awaitable[Run]:
        return session.run(version, inputs, origin=origin, limits=limits)

    return run


async def _at_once(_: str) -> None:
    """The row of a journal that logs run by run is on disk."""

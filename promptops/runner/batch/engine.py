"""Many runs at once: bounded, paced, within a budget, answered from the cache where that may be, logged.

    async with Engine(settings, Options(concurrency=32)) as engine:
        async with engine.runs(items) as runs:
            async for run in runs: ...

A run that comes out is on disk. Runs come out in the order of the items, and so do their errors: a failed
call is a Run with its error.
"""

import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, ModelClient, ModelError
from promptops.registry import GroupJournal, RegistryDatabase, ReplyCache
from promptops.runner import PreparedRun, Run, RunContext, Runner
from promptops.runner.batch.budget import Budget, Prices
from promptops.runner.batch.ordered_map import OrderedMap, Pending
from promptops.runner.batch.rate_limiter import AdaptiveLimiter, Permit
from promptops.runner.failure_streak import FailureStreak
from promptops.runner.retry import Limits, RateLimiter
from promptops.versions.resolve import Version

CacheUse = Literal["use", "refresh", "off"]
Result = TypeVar("Result")
Thing = TypeVar("Thing")
_WINDOW = 4  # results that may wait for a slow one, for each call in flight


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    concurrency: int = 16  # calls in flight at most
    limits: Limits = Limits(retries=5)
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None  # dollars
    assume_cost: float | None = None  # dollars a call, where the price is unknown
    cache: CacheUse = "use"  # refresh: ask again, and let later runs find that; off: neither
    wait_on_rate_limit: bool = (
        True  # wait when the provider says that it is too much (429), and go on; else stop
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One run to make."""

    version: Version
    inputs: Mapping[str, Any]
    origin: RunContext = field(default_factory=RunContext)
    on_call: Callable[[], None] | None = None  # called before the first call, not for a cached answer
    ready: Callable[[Runner], PreparedRun] | None = (
        None  # makes a channel's call ready; it has a row before it
    )
    on_end: Callable[[Run], None] | None = None  # called with the run on disk


@dataclass(slots=True)
class RunTally:
    """What has come of a batch so far."""

    done: int = 0
    failed: int = 0
    failed_checks: int = 0
    cached: int = 0
    truncated: int = 0  # answers that were cut off at the most tokens they may have
    spent_usd: float = 0.0
    unpriced: int = 0  # calls of unknown cost
    since: float = field(default_factory=time.monotonic)

    def add(self, run: Run) -> None:
        end = run.finished
        self.done += 1
        self.failed += run.error is not None
        self.failed_checks += run.error is None and not run.passed
        self.truncated += run.truncated
        self.cached += end.cache_source is not None
        self.spent_usd += end.spent_usd or 0.0
        self.unpriced += run.error is None and end.spent_usd is None


OnProgress = Callable[[RunTally, int], None]
"""Called with what has come of it so far, and the number of runs there will be at most."""


class BatchEngine:
    """Makes many runs of one project. Use as an asynchronous context."""

    def __init__(self, settings: Settings, options: BatchOptions, *, spent: float = 0.0) -> None:
        self.settings = settings
        self.options = options
        self.catalog = Catalog.load(settings)
        self.tally = RunTally()
        self.aborted_by: ModelError | None = None  # why no further run was begun, when call after call failed
        self._adapters: dict[str, ModelClient] = {}
        self._spent = spent
        self._failure_streak = FailureStreak(options.concurrency)
        self._under_way: OrderedMap[Any, Any] | None = None

    async def __aenter__(self) -> Self:
        options = self.options
        self._registry = RegistryDatabase.open(self.settings.registry)  # for reading beside the writer
        self._journal = GroupJournal(self.settings)
        replies = ReplyCache(self._registry) if options.cache == "use" else None
        self.budget = self._budget()
        self._limiter = AdaptiveLimiter(
            options.concurrency, rpm=options.rpm, tpm=options.tpm, budget=self.budget
        )
        self._limiter.wait_on_rate_limit = options.wait_on_rate_limit
        self._runner = Runner(
            self._adapter,
            self.catalog,
            self._journal,
            options.limits,
            replies,
            options.cache != "off",
            self.settings.root,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._journal.close()
        self._registry.close()
        for adapter in self._adapters.values():
            await adapter.aclose()

    def runs(self, items: Iterable[BatchItem]) -> AsyncGenerator[Run, None]:
        """The runs of all items. Close the generator (``aclosing``) when leaving it early."""
        return self.each(items, self.call)

    def each(
        self, things: Iterable[Thing], work: Callable[[Thing], Awaitable[Result | Pending[Result]]]
    ) -> AsyncGenerator[Result, None]:
        """As ``runs``, for work that is more than one run."""
        width = self.options.concurrency
        self._under_way = OrderedMap(things, work, width=width, window=width * _WINDOW)
        return self._under_way.results()

    def stop(self) -> int:
        """Begin no further run; says how many are under way."""
        if self._under_way is None:
            return 0
        self._under_way.stop()
        return self._under_way.in_flight

    async def run(self, item: BatchItem) -> Run:
        """Make one run and see it on disk. Raises OverBudget, and what keeps it from being logged."""
        return await (await self.call(item)).wait()

    async def call(self, item: BatchItem) -> Pending[Run]:
        """As ``run``, but come back when the call has ended: its row is on its way to the disk."""
        ready = item.ready or (lambda runner: runner.ready(item.version, item.inputs, item.origin))
        prepared = self._runner.begin(ready(self._runner))
        run = await self._runner.answer(prepared, limiter=self._item_limiter(item, prepared.started.run_id))
        return Pending(self._journal.written(run.started.run_id), lambda: self._ended(item, run))

    def _ended(self, item: BatchItem, run: Run) -> Run:
        if item.on_end:
            item.on_end(run)
        self.tally.add(run)
        self._watch(run.error)
        return run

    async def run_version(self, version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Run:
        """As ``run``, for those who know nothing of batches."""
        return await self.run(BatchItem(version=version, inputs=inputs, origin=origin))

    def _item_limiter(self, item: BatchItem, run_id: str) -> RateLimiter:
        if item.on_call is None and item.ready is None:
            return self._limiter

        async def begin() -> None:
            if item.ready is not None:
                await self._journal.begin(run_id)
            if item.on_call is not None:
                item.on_call()

        return _NotifyingLimiter(self._limiter, begin)

    def _watch(self, error: ModelError | None) -> None:
        """Stop when call after call fails: the rest would only fail as well."""
        exhausted = self._failure_streak.add(error.type if error else None)
        if error is None:
            return
        refused = error.type == "rate_limit" and not self.options.wait_on_rate_limit
        if exhausted or refused:
            self.aborted_by = error
            self.stop()

    def _budget(self) -> Budget | None:
        most = self.options.max_cost
        if most is None:
            return None
        return Budget(most, Prices(self.catalog, self.options.assume_cost), self._spent)

    def _adapter(self, model: str) -> ModelClient:
        if model not in self._adapters:
            self._adapters[model] = create_client(
                model, self.settings, os.environ, pooled=True, catalog=self.catalog
            )
        return self._adapters[model]


class _NotifyingLimiter:
    """A limiter that says when the first call of a run is about to be made."""

    def __init__(self, limiter: AdaptiveLimiter, on_call: Callable[[], Awaitable[None]]) -> None:
        self._limiter = limiter
        self._on_call: Callable[[], Awaitable[None]] | None = on_call

    async def acquire(self, request: CompletionRequest) -> Permit:
        permit = await self._limiter.acquire(request)
        on_call, self._on_call = self._on_call, None
        if on_call is not None:
            try:
                await on_call()
            except BaseException:
                self._limiter.release(permit, ModelError("interrupted", "never sent"))
                raise
        return permit

    def release(self, permit: Permit, ended: Completion | ModelError | None) -> None:
        self._limiter.release(permit, ended)

"""Many runs at once: bounded, paced, within a budget, answered from the cache where that may be, logged.

    async with Engine(settings, Options(concurrency=32)) as engine:
        async with engine.runs(items) as runs:
            async for run in runs: ...

A run that comes out is on disk. Runs come out in the order of the items, and so do their errors: a failed
call is a Run with its error.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import OverBudget
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, ModelClient, ModelError
from promptops.registry import GroupJournal, RegistryDatabase, ReplyCache
from promptops.runner import PreparedRun, Run, RunContext, Runner
from promptops.runner.batch.budget import Budget, Prices
from promptops.runner.batch.grouped_lookup import GroupedLookup
from promptops.runner.batch.options import BatchOptions
from promptops.runner.batch.ordered_map import NO_RESULT, OrderedMap, Pending
from promptops.runner.batch.provider_jobs.parked import CallParked
from promptops.runner.batch.rate_limiter import AdaptiveLimiter, Permit
from promptops.runner.failure_streak import FailureStreak
from promptops.runner.observer import observer_for
from promptops.runner.retry import RateLimiter
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # loaded where guards ask a model, and where calls go to a batch service or to Ray
    from promptops.runner.batch.provider_jobs.work import ProviderWork
    from promptops.runner.batch.ray.pool import RayWorkers
    from promptops.runner.model_graded import JudgeResolver, LoggedGraderClient

Result = TypeVar("Result")
Thing = TypeVar("Thing")
_WINDOW = 4  # results that may wait for a slow one, for each call in flight


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
    failed_checks: int = 0  # blocked ones among them
    blocked: int = 0  # by guards
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
        self.blocked += run.blocked
        self.truncated += run.truncated
        self.cached += end.cache_source is not None
        self.spent_usd += end.spent_usd or 0.0
        self.unpriced += run.error is None and end.spent_usd is None


OnProgress = Callable[[RunTally, int], None]
"""Called with what has come of it so far, and the number of runs there will be at most."""


class BatchEngine:
    """Makes many runs of one project. Use as an asynchronous context.

    With ``work`` this is one pass over it: calls that have no answer yet come to no result.
    """

    def __init__(
        self,
        settings: Settings,
        options: BatchOptions,
        *,
        spent: float = 0.0,
        work: "ProviderWork | None" = None,
    ) -> None:
        self.settings = settings
        self.work = work
        self.options = options
        self.catalog = Catalog.load(settings)
        self.tally = RunTally()
        self.over_budget: OverBudget | None = None  # of a pass, which goes on
        self.aborted_by: ModelError | None = None  # why no further run was begun, when call after call failed
        self._adapters: dict[str, ModelClient] = {}
        self._spent = spent
        self._failure_streak = FailureStreak(options.concurrency)
        self._under_way: OrderedMap[Any, Any] | None = None
        self._judges: dict[str, JudgeResolver] = {}  # of guards, by the digest of their prompt
        self._workers: RayWorkers | None = None
        self._opened = ExitStack()

    async def __aenter__(self) -> Self:
        options = self.options
        if options.on is not None:
            from promptops.runner.batch.ray.pool import RayWorkers

            self._workers = self._opened.enter_context(RayWorkers(options.on, self.settings))
        self._registry = RegistryDatabase.open(self.settings.registry)  # for reading beside the writer
        self._journal = GroupJournal(self.settings, again=self.work is not None)
        newest = self.work.stored.newest_run if self.work else None
        replies = ReplyCache.open(self._registry, newest) if options.cache == "use" else None
        self.budget = self._budget()
        self._limiter = AdaptiveLimiter(
            options.concurrency,
            rpm=options.rpm,
            tpm=options.tpm,
            budget=self.budget,
            embedded=len(self._workers) if self._workers else 1,
        )
        self._limiter.wait_on_rate_limit = options.wait_on_rate_limit
        self._runner = Runner(
            self._adapter,
            self.catalog,
            self._journal,
            options.limits,
            look_up=GroupedLookup(replies).find if replies else None,
            cacheable=options.cache != "off",
            root=self.settings.root,
            observer=observer_for(self.settings),
            grader=self._guard_grader,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._journal.close()
        self._registry.close()
        for adapter in self._adapters.values():
            await adapter.aclose()
        self._opened.close()

    def runs(self, items: Iterable[BatchItem]) -> AsyncGenerator[Run, None]:
        """The runs of all items. Close the generator (``aclosing``) when leaving it early."""
        return self.each(items, self.call)

    def each(
        self, things: Iterable[Thing], work: Callable[[Thing], Awaitable[Result | Pending[Result]]]
    ) -> AsyncGenerator[Result, None]:
        """As ``runs``, for work that is more than one run."""
        width = self.options.concurrency
        whole = self._unless_parked(work) if self.work else work
        self._under_way = OrderedMap(things, whole, width=width, window=width * _WINDOW)
        return self._under_way.results()

    def _unless_parked(
        self, work: Callable[[Thing], Awaitable[Result | Pending[Result]]]
    ) -> Callable[[Thing], Awaitable[Result | Pending[Result]]]:
        """What is parked has no result in this pass. A spent budget keeps no answer from being read."""

        async def one(thing: Thing) -> Any:
            try:
                return await work(thing)
            except CallParked:
                return NO_RESULT
            except OverBudget as error:
                self.over_budget = error
                return NO_RESULT

        return one

    def stop(self) -> int:
        """Begin no further run; says how many are under way."""
        if self.work is not None:  # answers that were submitted for are read all the same
            self.work.stopped = True
            return 0
        if self._under_way is None:
            return 0
        self._under_way.stop()
        return self._under_way.in_flight

    async def run(self, item: BatchItem) -> Run:
        """Make one run and see it on disk. Raises OverBudget, and what keeps it from being logged."""
        return await (await self.call(item)).wait()

    async def call(self, item: BatchItem) -> Pending[Run]:
        """As ``run``, but come back when the call has ended: its row is on its way to the disk."""
        # All answers that have come are dealt with before the next calls begin: like with like takes a fifth
        # less processor time, as fewer pieces of code and fewer replies take turns.
        await asyncio.sleep(0)
        if self.work is not None:
            run = await self._run_in_pass(self.work, item.version, item.inputs, item.origin)
        else:
            ready = item.ready or (lambda runner: runner.ready(item.version, item.inputs, item.origin))
            prepared = self._runner.begin(ready(self._runner))
            limiter = self._item_limiter(item, prepared.started.run_id)
            run = await self._runner.answer(prepared, limiter=limiter)
        return Pending(self._journal.written(run.started.run_id), lambda: self._ended(item, run))

    async def _run_in_pass(
        self, work: "ProviderWork", version: Version, inputs: Mapping[str, Any], origin: RunContext
    ) -> Run:
        """A run whose calls jobs have answered. Raises CallParked where one is not answered yet."""
        identity = work.identity(version, inputs, origin)
        calls = work.run_calls(identity.run_id, self._adapter)
        asked = work.answers.knows(identity.run_id)  # and not to be answered by what others were
        look_up = None if asked else self._runner.look_up
        runner = replace(
            self._runner,
            adapter_for=calls.client,
            look_up=look_up,
            timed=False,
            observer=None,  # who would hear of the same call in each pass
        )
        prepared = runner.begin(runner.ready(version, inputs, replace(origin, identity=identity)))
        try:
            return await runner.answer(prepared)
        except CallParked as call:
            self._journal.forget(identity.run_id)
            work.park(prepared.started, call)
            raise CallParked from None  # the run that this one was made for has nothing to submit

    def _ended(self, item: BatchItem, run: Run) -> Run:
        if item.on_end:
            item.on_end(run)
        self.tally.add(run)
        self._watch(run.error)
        return run

    async def run_version(self, version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Run:
        """As ``run``, for those who know nothing of batches."""
        return await self.run(BatchItem(version=version, inputs=inputs, origin=origin))

    def _guard_grader(self, version: Version, run_id: str, origin: RunContext) -> "LoggedGraderClient":
        from promptops.runner.model_graded import guard_grader

        digest = version.prompt.digest
        started, judges = (run_id, origin), self._judges.get(digest)
        found = guard_grader(self.settings, self._guard_call, version, started, judges)
        self._judges[digest] = found.judges
        return found

    async def _guard_call(self, version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Run:
        """One call that a guard asks for, within the pace and the budget; it is no run of the batch."""
        if self.work is not None:
            run = await self._run_in_pass(self.work, version, inputs, origin)
        else:
            prepared = self._runner.begin(self._runner.ready(version, inputs, origin))
            run = await self._runner.answer(prepared, limiter=self._limiter)
        await self._journal.written(run.started.run_id)
        self.tally.spent_usd += run.finished.spent_usd or 0.0
        return run

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
            client = create_client(model, self.settings, os.environ, pooled=True, catalog=self.catalog)
            self._adapters[model] = self._workers.client(client) if self._workers else client
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

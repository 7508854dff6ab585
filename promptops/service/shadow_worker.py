"""Answers calls of a long-running program too, with whatever shadows their channels.

It has a thread and an event loop of its own, and a bounded number of calls that may wait. What does not fit
is dropped, counted and said once: a shadow is worth nothing that users would wait for.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget, PromptopsError
from promptops.evaluation.shadow.live.candidate import (
    CONCURRENCY,
    ShadowCandidate,
    find_shadow_candidate,
    shadow_batch_options,
)
from promptops.evaluation.shadow.live.drain import NOT_CALLED
from promptops.log import PackageLogger
from promptops.providers.types import ModelError
from promptops.registry import (
    INCOMPATIBLE,
    FollowedRegistry,
    LiveShadowKey,
    RegistryDatabase,
    StartedRun,
    add_job,
    add_skipped_job,
    job_note,
    live_shadow_spent_usd,
    without_quotes,
)
from promptops.runner.batch import BatchEngine
from promptops.runner.routing import ReleaseSource
from promptops.service.background_loop import BackgroundLoop
from promptops.versions.release_state import ShadowState

_LOG = PackageLogger("promptops.service")

MAX_QUEUED = 200
_START_DELAY_S = 0.01  # in which the user's answer is on its way
_PROVIDER_BACKOFF_S = 30.0  # after a provider has refused, or failed call after call
_BUDGET_CHECK_S = 10.0  # how often it is looked what others have spent
_SHUTDOWN_TIMEOUT_S = 2.0
_POLL_INTERVAL_S = 0.02
_BUSY_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class _QueuedCall:
    run: StartedRun
    inputs: Mapping[str, Any]
    shadow: ShadowState

    @property
    def shadowing(self) -> LiveShadowKey:
        return LiveShadowKey(self.run.prompt, str(self.run.channel), self.shadow.released.digest)


@dataclass(slots=True)
class _ActiveShadow:
    """One shadow at work."""

    candidate: ShadowCandidate
    engine: BatchEngine
    paused_until: float = 0.0
    next_budget_check: float = 0.0
    over: bool = False


class ShadowWorker:
    """Its ``offer`` and ``close`` are one thread's. ``dropped``: how many calls found no place."""

    def __init__(self, settings: Settings, source: ReleaseSource) -> None:
        self.dropped = 0
        self._settings = settings
        self._source = source
        self._waiting: dict[str, _QueuedCall] = {}
        self._active_shadows: dict[tuple[LiveShadowKey, ShadowState], _ActiveShadow | None] = {}
        self._warned: set[str] = set()
        self._registry = FollowedRegistry(
            lambda: RegistryDatabase.open(settings.registry, busy_s=_BUSY_TIMEOUT_S)
        )
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._lock = asyncio.Lock()
        self._loop = BackgroundLoop("promptops-shadow")

    def offer(self, run: StartedRun, inputs: Mapping[str, Any], shadow: ShadowState) -> None:
        """Have a call answered too, some time, unless too many wait. Returns at once and raises nothing."""
        call = _QueuedCall(run, inputs, shadow)
        if len(self._waiting) >= MAX_QUEUED:
            self._drop(call, "cannot keep up")
            return
        self._waiting[run.run_id] = call
        with suppress(PromptopsError):  # it is being closed
            self._loop.submit(self._take(call))

    def close(self) -> None:
        """Wait a moment for what is under way; the rest waits in the registry, for a drain."""
        until = time.monotonic() + _SHUTDOWN_TIMEOUT_S
        while self._waiting and time.monotonic() < until:
            time.sleep(_POLL_INTERVAL_S)
        self._loop.close(self._end)
        if self.dropped:
            _LOG.warning(f"shadows left out {self.dropped:,} calls")

    async def _end(self) -> None:
        for active in self._active_shadows.values():
            if active:
                await active.engine.__aexit__(None, None, None)
        if self._waiting and self._settings.log.inputs == "full":
            with suppress(PromptopsError):  # it could not be read all the while
                for call in self._waiting.values():
                    add_job(self._registry.current(), call.run.run_id, call.shadowing)
        self._registry.close()

    async def _take(self, call: _QueuedCall) -> None:
        await asyncio.sleep(_START_DELAY_S)
        async with self._turns:
            try:
                if active := await self._activate(call):
                    await self._answer(active, call)
            except Exception as error:  # noqa: BLE001 - its failure must not reach the caller
                self._say(call, getattr(error, "message", repr(error)))
        del self._waiting[call.run.run_id]

    async def _answer(self, active: _ActiveShadow, call: _QueuedCall) -> None:
        if active.over:
            return
        if time.monotonic() < active.paused_until:
            self._drop(call, "rests, as its provider refuses")
        elif problem := active.candidate.input_problem(call.inputs):
            self._leave_out(call, INCOMPATIBLE, problem)
        else:
            self._refresh_budget(active)
            item = active.candidate.item(call.run.run_id, call.inputs, call.run.metadata, call.run.tenant)
            try:
                run = await active.engine.run(item)
            except OverBudget:
                active.over = True
                self._say(call, "has spent what it may")
            except Invalid as error:
                self._leave_out(call, NOT_CALLED, error.message)
                self._say(call, error.message)
            else:
                self._notice(active, call, run.error)

    def _leave_out(self, call: _QueuedCall, why: str, details: str) -> None:
        note = job_note(why, without_quotes(details, self._settings.log.with_prompt(call.run.log)))
        add_skipped_job(self._registry.current(), call.run.run_id, call.shadowing, note)

    def _notice(self, active: _ActiveShadow, call: _QueuedCall, error: ModelError | None) -> None:
        refused = error is not None and error.type == "rate_limit"
        if refused or active.engine.aborted_by:
            active.paused_until = time.monotonic() + _PROVIDER_BACKOFF_S
            active.engine.aborted_by = None
        if refused:
            self._drop(call, "rests, as its provider refuses")

    async def _activate(self, call: _QueuedCall) -> _ActiveShadow | None:
        """None where that version does not shadow the channel any more."""
        key = call.shadowing, call.shadow
        async with self._lock:
            if key not in self._active_shadows:
                found = await asyncio.to_thread(find_shadow_candidate, self._source, call.shadowing)
                self._active_shadows[key] = await self._opened(found) if found else None
            return self._active_shadows[key]

    async def _opened(self, candidate: ShadowCandidate) -> _ActiveShadow:
        spent = live_shadow_spent_usd(self._registry.current(), candidate.shadowing)
        engine = BatchEngine(self._settings, shadow_batch_options(candidate.shadow), spent=spent)
        await engine.__aenter__()
        return _ActiveShadow(candidate, engine, next_budget_check=time.monotonic() + _BUDGET_CHECK_S)

    def _refresh_budget(self, active: _ActiveShadow) -> None:
        """Other processes spend from it as well."""
        budget, now = active.engine.budget, time.monotonic()
        if budget and now >= active.next_budget_check:
            budget.spent = max(
                budget.spent, live_shadow_spent_usd(self._registry.current(), active.candidate.shadowing)
            )
            active.next_budget_check = now + _BUDGET_CHECK_S

    def _drop(self, call: _QueuedCall, why: str) -> None:
        self.dropped += 1
        self._say(call, f"{why}: calls are left out")

    def _say(self, call: _QueuedCall, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _LOG.warning(f"the shadow of {call.run.prompt}:{call.run.channel} {what}")

"""Answers what waits for the shadows of this registry's channels, and ends."""

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import field

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget, PromptopsError
from promptops.evaluation.shadow.live.candidate import (
    CONCURRENCY,
    SHADOW_LIMITS,
    ShadowCandidate,
    find_shadow_candidate,
    shadow_batch_options,
)
from promptops.evaluation.shadow.live.lock import exclusive_lock
from promptops.registry import (
    INCOMPATIBLE,
    LiveShadowKey,
    RegistryDatabase,
    ShadowJob,
    finish_all_jobs,
    finish_job,
    job_note,
    lease_jobs,
    live_shadow_spent_usd,
    new_lease_holder,
    next_live_shadow,
    release_leases,
    without_quotes,
)
from promptops.runner import Run
from promptops.runner.batch import BatchEngine, Pending, run_interruptibly
from promptops.runner.batch.budget import Budget
from promptops.runner.retry import Limits
from promptops.runner.routing import GitSource

OVER_BUDGET = "over budget"
GONE = "no longer in shadow"
NOT_KEPT = "inputs not kept"
NOT_CALLED = "cannot be called"
_TURNS = 5  # a job waits for so many others at most before it is begun
_JUST_STARTED_S = 1.0  # for so long somebody may only be looking whether one drains


@dataclass(slots=True)
class DrainResult:
    """What one drain has done. ``left``: why jobs of a prompt were left for later."""

    answered: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    left: dict[LiveShadowKey, PromptopsError] = field(default_factory=dict)
    elsewhere: bool = False  # another process drains

    def leave_out(self, why: str, jobs: int = 1) -> None:
        if jobs:
            self.left_out[why] = self.left_out.get(why, 0) + jobs


def drain(
    settings: Settings,
    *,
    concurrency: int = CONCURRENCY,
    limits: Limits = SHADOW_LIMITS,
    wait: bool = False,
) -> DrainResult:
    """Go on until nothing waits that can be answered. ``wait``: also for another drain to end."""
    drained = DrainResult()
    with RegistryDatabase.open(settings.registry) as registry:
        work = _DrainRun(settings, registry, concurrency, limits, drained)
        while True:
            with exclusive_lock(settings.registry, None if wait else _JUST_STARTED_S) as held:
                drained.elsewhere = not held
                if not held:
                    return drained
                work.perform()
            if next_live_shadow(registry, drained.left) is None:  # also what came while the lock was let go
                return drained


@dataclass(slots=True)
class _DrainRun:
    settings: Settings
    registry: RegistryDatabase
    concurrency: int
    limits: Limits
    drained: DrainResult
    lease_holder: str = field(default_factory=new_lease_holder)

    def perform(self) -> None:
        source = GitSource(self.settings)
        try:
            while shadowing := next_live_shadow(self.registry, self.drained.left):
                source.refresh()
                self._answer_all(source, shadowing)
        finally:
            release_leases(self.registry, self.lease_holder)

    def _answer_all(self, source: GitSource, shadowing: LiveShadowKey) -> None:
        try:
            candidate = find_shadow_candidate(source, shadowing)
            if candidate is None:
                self.drained.leave_out(GONE, finish_all_jobs(self.registry, shadowing, GONE))
                return
            run_interruptibly(_CandidateJobs(self, candidate).perform())
        except Invalid as error:  # the version can't be had here
            self.drained.left[shadowing] = error


@dataclass(slots=True)
class _CandidateJobs:
    """The jobs of one candidate."""

    work: _DrainRun
    candidate: ShadowCandidate

    async def perform(self) -> None:
        work, shadowing = self.work, self.candidate.shadowing
        options = shadow_batch_options(self.candidate.shadow, work.concurrency, work.limits)
        spent = live_shadow_spent_usd(work.registry, shadowing)
        async with BatchEngine(work.settings, options, spent=spent) as engine:
            if engine.budget:
                engine.budget.prices.check(self.candidate.version.prompt)

            async def answer(job: ShadowJob) -> Pending[None] | None:
                return await self._answer(engine, job)

            async with aclosing(engine.each(self._jobs(engine.budget), answer)) as answers:
                async for _ in answers:
                    pass
        if engine.aborted_by:
            work.drained.left[shadowing] = engine.aborted_by
        release_leases(work.registry, work.lease_holder)

    def _jobs(self, budget: Budget | None) -> Iterator[ShadowJob]:
        work, shadowing = self.work, self.candidate.shadowing
        seconds = _TURNS * (60 + work.limits.timeout * (1 + work.limits.retries))
        while jobs := lease_jobs(
            work.registry, shadowing, work.lease_holder, most=work.concurrency, seconds=seconds
        ):
            if budget:  # other hosts spend from it as well
                budget.spent = max(budget.spent, live_shadow_spent_usd(work.registry, shadowing))
            yield from jobs

    async def _answer(self, engine: BatchEngine, job: ShadowJob) -> Pending[None] | None:
        """Comes back when the call has ended: the job is finished when its answer is on disk."""
        drained, shadowing = self.work.drained, self.candidate.shadowing
        if job.inputs is None:
            self._leave_out(job, NOT_KEPT)
        elif problem := self.candidate.input_problem(job.inputs):
            self._leave_out(job, INCOMPATIBLE, problem)
        elif shadowing not in drained.left:
            try:
                ended = await engine.call(
                    self.candidate.item(job.run_id, job.inputs, job.metadata, job.tenant)
                )
                return ended.then(lambda run: self._finish(job, run))
            except OverBudget as error:
                drained.left[shadowing] = error
                drained.leave_out(OVER_BUDGET, finish_all_jobs(self.work.registry, shadowing, OVER_BUDGET))
                engine.stop()
            except Invalid as error:
                self._leave_out(job, NOT_CALLED, error.message)
        return None

    def _finish(self, job: ShadowJob, run: Run) -> None:
        if run.error is None or run.error.type != "rate_limit":
            finish_job(self.work.registry, job.id)
            self.work.drained.answered += 1

    def _leave_out(self, job: ShadowJob, why: str, more: str = "") -> None:
        log = self.work.settings.log.with_prompt(self.candidate.version.prompt.log)
        note = job_note(why, without_quotes(more, log))
        finish_job(self.work.registry, job.id, note)
        self.work.drained.leave_out(why)

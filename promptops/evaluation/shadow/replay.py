"""A shadow run from its request to its comparison: inputs chosen, answered by both versions, looked at."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from promptops.checks import compile_checks, validate_checks
from promptops.checks.judge import judge_from_prompt
from promptops.config.settings import Settings
from promptops.errors import Invalid, OverBudget
from promptops.evaluation.check_calls import BatchGraderClient
from promptops.evaluation.shadow.failure_streak import FailureStreak
from promptops.evaluation.shadow.input_sampling import SampledInputs
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.pair_runner import PairRunner
from promptops.evaluation.shadow.preflight import ReplayPlan, plan_replay, shadow_metadata
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.evaluation.shadow.running_comparison import RunningComparison, ShadowRunInfo
from promptops.evaluation.shadow.stored import side_infos, summarize_comparison
from promptops.evaluation.variants import CaseChecks, with_shared_checks
from promptops.providers.embeddings import embedding_endpoint
from promptops.providers.types import ModelError
from promptops.registry import (
    BatchCallLog,
    RegistryDatabase,
    end_shadow_run,
    record_counted_pairs,
    shadow_run_spent_usd,
)
from promptops.runner.batch import BatchEngine, BatchOptions, CostEstimator, RunTally, interruptible
from promptops.runner.model_graded import JudgeResolver
from promptops.stats.verdicts import Verdict

_RECORD_INTERVAL_S = 1.0  # how far it has counted is noted so often, for those who read the pairs meanwhile
OnProgress = Callable[[RunTally, int], None]
"""Called with what has come of it so far, and the number of calls there will be at most."""


@dataclass(slots=True)
class ReplayOutcome:
    """What came of it, with what kept it from its end."""

    comparison: ShadowComparison
    tally: RunTally
    earlier: int = 0  # pairs that were complete before
    over_budget: OverBudget | None = None
    failure: ModelError | None = None


def replay(
    settings: Settings, options: BatchOptions, request: ShadowRequest, on_progress: OnProgress | None = None
) -> ReplayOutcome:
    """Every input is looked at before anything is called; the comparison tells of those left out."""
    judges = JudgeResolver(settings)
    reference_prompt = request.candidate.prompt
    control, candidate = with_shared_checks((request.control, request.candidate), reference_prompt)
    request = replace(request, control=control, candidate=candidate)
    _check_versions(settings, options, request, judges)
    checks = CaseChecks(reference_prompt.checks, lambda name: judges.version(name).prompt)
    with RegistryDatabase.open(settings.registry) as registry:
        planned = plan_replay(registry, request, checks)
        with _exclusive_lock(registry, planned.shadow_id):
            work = _ReplayRun(settings, options, request, planned, judges, checks, registry, on_progress)
            try:
                asyncio.run(work.perform())
            except asyncio.CancelledError:  # the second Ctrl-C
                raise KeyboardInterrupt from None
            return work.outcome()


@contextmanager
def _exclusive_lock(registry: RegistryDatabase, shadow_id: str) -> Iterator[None]:
    """No other process makes the same pairs meanwhile. Raises Unavailable where one does."""
    calls = BatchCallLog.open(registry.path, shadow_id)
    try:
        yield
    finally:
        calls.remove()
        calls.close()


def _check_versions(
    settings: Settings, options: BatchOptions, request: ShadowRequest, judges: JudgeResolver
) -> None:
    """Raise Invalid for what would fail every time."""
    engine = BatchEngine(settings, options)
    version = request.candidate.version
    asking = BatchGraderClient(engine=engine, judges=judges, version=version, eval_id="", run_id="", trial=0)
    for variant in (request.control, request.candidate):
        prompt = variant.prompt
        compiled = compile_checks(prompt.checks, prompt.path, settings.root)
        validate_checks(compiled, prompt.output.schema if prompt.output else None, asking)
    if request.judge and not judge_from_prompt(judges.version(request.judge).prompt).pairwise:
        raise Invalid(
            f"{request.judge} does not compare: it takes no `a` and `b`",
            hint="a judge of one output is a check of the prompt: `checks: [{judge: NAME}]`",
        )
    if request.semantic:
        embedding_endpoint(request.semantic.model, os.environ)
    if options.max_cost is not None:
        with CostEstimator(settings, options) as estimate:
            for variant in (request.control, request.candidate):
                estimate.check(variant.prompt)


@dataclass(slots=True)
class _ReplayRun:
    """The part that runs in an event loop."""

    settings: Settings
    options: BatchOptions
    request: ShadowRequest
    planned: ReplayPlan
    judges: JudgeResolver
    checks: CaseChecks
    registry: RegistryDatabase
    on_progress: OnProgress | None
    running_comparison: RunningComparison = field(init=False)
    failure_streak: FailureStreak = field(init=False)
    tally: RunTally = field(default_factory=RunTally)
    answered: int = 0
    interrupted: bool = False
    over_budget: OverBudget | None = None
    earlier: int = 0
    counted: int = 0  # the number of the last pair; pairs come in the order of the inputs
    next_record: float = 0.0

    def __post_init__(self) -> None:
        self.running_comparison = RunningComparison(
            self.planned.primary, self.request.margin, self.request.semantic
        )
        self.failure_streak = FailureStreak(self.options.concurrency)

    async def perform(self) -> None:
        planned = self.planned
        async with BatchEngine(self.settings, self.options, spent=planned.spent) as engine:
            self.tally = engine.tally
            answering = PairRunner(
                engine=engine,
                judges=self.judges,
                registry=self.registry,
                checks=self.checks,
                shadow_id=planned.shadow_id,
                request=self.request,
                known=planned.known,
            )
            self.earlier = sum(answering.complete(source.number) for source in planned.sources)
            with interruptible(engine, self):
                try:
                    await self._count(engine, answering)
                except OverBudget as error:
                    self.over_budget = error
            self.failure_streak.failure = self.failure_streak.failure or engine.aborted_by

    async def _count(self, engine: BatchEngine, answering: PairRunner) -> None:
        async with aclosing(engine.each(self.planned.sources, answering.pair)) as pairs:
            async for pair in pairs:
                self._add(pair, engine)
                if time.monotonic() >= self.next_record:
                    await asyncio.to_thread(self._record_counted)
                if self.on_progress:
                    sides = 1 if self.request.recorded else 2
                    self.on_progress(engine.tally, sides * (len(self.planned.sources) - self.earlier))

    def _add(self, pair: ShadowPair, engine: BatchEngine) -> None:
        self.answered += 1
        self.counted = pair.number
        self.running_comparison.add(pair)
        self.failure_streak.add(pair)
        if self.failure_streak.failure or self._decided:
            engine.stop()  # what is under way still counts: the evidence may be looked at at any time

    def _record_counted(self) -> None:
        self.next_record = time.monotonic() + _RECORD_INTERVAL_S
        record_counted_pairs(self.registry, self.planned.shadow_id, self.counted)

    @property
    def _decided(self) -> bool:
        request, found = self.request, self.running_comparison
        if request.full or request.aa or not found.decided or not self.failure_streak.both_have_answered:
            return False
        return found.pairs >= request.min_pairs or found.primary_test.verdict is Verdict.WORSE

    @property
    def stopped(self) -> str:
        if self.failure_streak.failure:
            return "failures"
        if self.answered == len(self.planned.sources):
            return "all"
        if self.interrupted:
            return "interrupted"
        return "budget" if self.over_budget and not self._decided else "verdict"

    def outcome(self) -> ReplayOutcome:
        planned, request = self.planned, self.request
        stopped = self.stopped
        unanswered = any(self.running_comparison.unanswered.values())
        whole = stopped == "verdict" or (stopped == "all" and not unanswered)
        control, candidate = side_infos(
            shadow_metadata(request, SampledInputs(), planned.left, planned.primary)
        )
        frame = ShadowRunInfo(
            shadow_id=planned.shadow_id,
            prompt=request.candidate.prompt.name,
            control=control,
            candidate=candidate,
            planned=len(planned.sources),
            seed=request.seed,
            left=planned.left,
            mode=request.mode,
        )
        spent = shadow_run_spent_usd(self.registry, planned.shadow_id)
        comparison = self.running_comparison.result(frame, stopped=stopped, spent_usd=spent)
        end_shadow_run(
            self.registry,
            planned.shadow_id,
            stopped,
            summarize_comparison(comparison),
            counted=self.counted,
            whole=whole,
        )
        failure = self.failure_streak.failure if stopped == "failures" else None
        return ReplayOutcome(comparison, self.tally, self.earlier, self.over_budget, failure)

"""A shadow run from its request to its comparison: inputs chosen, answered by both versions, looked at."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace

from promptops.checks.judge import judge_from_prompt
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget, Unavailable
from promptops.evaluation.comparison_loop import ComparisonLoop
from promptops.evaluation.preflight import validate_variant
from promptops.evaluation.run_grader import RunGrader, batch_grader_client
from promptops.evaluation.shadow.aggregator import ShadowAggregator, ShadowRunInfo
from promptops.evaluation.shadow.input_sampling import SampledInputs
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.pair_runner import PairMemory, PairRunner
from promptops.evaluation.shadow.preflight import ReplayPlan, plan_replay, shadow_metadata
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.evaluation.shadow.side_failures import SideFailures
from promptops.evaluation.shadow.stored import side_infos, summarize_comparison
from promptops.evaluation.variants import CaseChecks, equality_note, with_shared_checks
from promptops.providers.embeddings import embedding_endpoint
from promptops.providers.types import ModelError
from promptops.registry import (
    BatchCallLog,
    RegistryDatabase,
    end_shadow_run,
    record_counted_pairs,
    shadow_run_spent_usd,
)
from promptops.runner.batch import (
    BatchEngine,
    BatchOptions,
    CostEstimator,
    OnProgress,
    RunTally,
    Shard,
    run_interruptibly,
)
from promptops.runner.batch.provider_jobs.passes import run_in_passes
from promptops.runner.batch.provider_jobs.work import (
    LOOK_CALLS,
    WorkScope,
    called_models,
    open_work,
    refuse_while_waiting,
    require_batch_services,
)
from promptops.runner.model_graded import JudgeResolver
from promptops.stats.verdicts import Verdict

_RECORD_INTERVAL_S = 1.0  # how far it has counted is noted so often, for those who read the pairs meanwhile


@dataclass(slots=True)
class ReplayOutcome:
    """What came of it, with what kept it from its end."""

    comparison: ShadowComparison
    tally: RunTally
    earlier: int = 0  # pairs that were complete before
    over_budget: OverBudget | None = None
    failure: ModelError | None = None
    notes: tuple[str, ...] = ()


def replay(
    settings: Settings, options: BatchOptions, request: ShadowRequest, on_progress: OnProgress | None = None
) -> ReplayOutcome:
    """Every input is looked at before anything is called; the comparison tells of those left out."""
    judges = JudgeResolver(settings)
    reference_prompt = request.candidate.prompt
    control, candidate = with_shared_checks((request.control, request.candidate), reference_prompt)
    request = replace(request, control=control, candidate=candidate)
    _check_versions(settings, options, request, judges)
    checks = CaseChecks(reference_prompt.checks, judges.prompt)
    with RegistryDatabase.open(settings.registry) as registry:
        plan = plan_replay(registry, request, checks, settings.log)
        memory = PairMemory()

        def one_pass() -> _ReplayRun:
            engine = BatchEngine(settings, options, spent=plan.spent, work=work)
            grader = RunGrader(engine=engine, judges=judges, registry=registry, eval_id=plan.shadow_id)
            runner = PairRunner(
                grader=grader, checks=checks, request=request, known=plan.known, memory=memory
            )
            run = _ReplayRun(request, plan, runner, on_progress)
            run_interruptibly(run.perform())
            return run

        with ExitStack() as stack:
            stack.enter_context(_exclusive_lock(registry, plan.shadow_id, request.shard))
            scope = _work_scope(request, plan)
            if options.provider is None:
                refuse_while_waiting(registry, scope.key)
            work = open_work(stack, settings, options, scope)
            return run_in_passes(work, one_pass, lambda run: run.loop.interrupted).outcome()


def _work_scope(request: ShadowRequest, plan: ReplayPlan) -> WorkScope:
    part = request.shard.suffix if request.shard else ""
    return WorkScope(
        verb="shadow run",
        key=f"shadow:{plan.shadow_id}{part}",
        prompt=request.candidate.prompt.name,
        spent=plan.spent,
        look=None if request.one_look or request.shard else LOOK_CALLS,
    )


@contextmanager
def _exclusive_lock(registry: RegistryDatabase, shadow_id: str, shard: Shard | None) -> Iterator[None]:
    """No other process makes the same pairs meanwhile. Raises Unavailable where one does."""
    calls = BatchCallLog.open(registry.path, shadow_id, shard.suffix if shard else None)
    try:
        yield
    finally:
        calls.remove()
        calls.close()


def _check_versions(
    settings: Settings, options: BatchOptions, request: ShadowRequest, judges: JudgeResolver
) -> None:
    """Raise Invalid for what would fail every time."""
    called = [request.candidate, *([] if request.recorded else [request.control])]
    require_batch_services(settings, options, called_models(each.prompt for each in called))
    engine = BatchEngine(settings, options)
    client = batch_grader_client(engine, judges, request.candidate.version)
    for variant in (request.control, request.candidate):
        validate_variant(settings, variant, variant.prompt.checks, client)
    if request.judge and not judge_from_prompt(judges.prompt(request.judge)).pairwise:
        raise Invalid(
            f"{request.judge} does not compare: it takes no `a` and `b`",
            hint="a judge of one output is a check of the prompt: `checks: [{judge: NAME}]`",
        )
    require_batch_services(settings, options, called_models(judges.prompts()))
    if request.semantic:
        embedding_endpoint(request.semantic.model, os.environ)
    if options.max_cost is not None:
        with CostEstimator(settings, options) as estimate:
            for variant in (request.control, request.candidate):
                estimate.check(variant.prompt)


@dataclass(slots=True)
class _ReplayRun:
    """The pairs of one shadow run, in the order of the inputs.

    ``counted``: the number of the last; ``complete``: none before it waits for a provider.
    """

    request: ShadowRequest
    plan: ReplayPlan
    runner: PairRunner
    on_progress: OnProgress | None
    aggregator: ShadowAggregator = field(init=False)
    failures: SideFailures = field(init=False)
    loop: ComparisonLoop = field(init=False)
    earlier: int = 0
    answered: int = 0
    counted: int = 0
    complete: bool = True
    next_record: float = 0.0

    def __post_init__(self) -> None:
        request, plan, engine = self.request, self.plan, self.runner.grader.engine
        self.aggregator = ShadowAggregator(
            plan.primary, request.margin, request.semantic, one_look=request.one_look
        )
        self.failures = SideFailures(engine.options.concurrency)
        self.earlier = sum(self.runner.is_complete(source.number) for source in plan.sources)
        sides = 1 if request.recorded else 2
        self.loop = ComparisonLoop(engine, sides * (len(plan.sources) - self.earlier), self.on_progress)

    async def perform(self) -> None:
        engine = self.runner.grader.engine
        async with engine:
            await self.loop.consume(engine.each(self.plan.sources, self.runner.pair), self._count)
        self.failures.failure = self.failures.failure or engine.aborted_by

    async def _count(self, pair: ShadowPair) -> bool:
        self.complete = self.complete and pair.number == self.plan.sources[self.answered].number
        self.answered += 1
        self.counted = pair.number
        self.aggregator.add(pair)
        self.failures.add(pair)
        if time.monotonic() >= self.next_record and self.complete and self.request.shard is None:
            await asyncio.to_thread(self._record_counted)
        return self.failures.failure is not None or (self.complete and self._decided)

    def _record_counted(self) -> None:
        """What cannot be noted now is noted the next time, or at the end."""
        self.next_record = time.monotonic() + _RECORD_INTERVAL_S
        with suppress(Unavailable):
            record_counted_pairs(self.runner.grader.registry, self.plan.shadow_id, self.counted)

    @property
    def _decided(self) -> bool:
        request, aggregator = self.request, self.aggregator
        if request.one_look or request.shard:
            return False
        if not aggregator.decided or not self.failures.both_have_answered:
            return False
        return aggregator.pairs >= request.min_pairs or aggregator.primary_test.verdict is Verdict.WORSE

    def _stop_reason(self) -> str:
        if self.failures.failure:
            return "failures"
        if self.answered == len(self.plan.sources):
            return "shard" if self.request.shard else "all"
        if self.loop.interrupted:
            return "interrupted"
        if self.loop.over_budget and not self._decided:
            return "budget"
        work = self.loop.engine.work
        return "cancelled" if work is not None and work.is_closed else "verdict"

    def outcome(self) -> ReplayOutcome:
        plan, request, grader = self.plan, self.request, self.runner.grader
        stopped = self._stop_reason()
        unanswered = any(self.aggregator.unanswered.values())
        whole = stopped == "verdict" or (stopped == "all" and not unanswered)
        control, candidate = side_infos(shadow_metadata(request, SampledInputs(), plan.left, plan.primary))
        info = ShadowRunInfo(
            shadow_id=plan.shadow_id,
            prompt=request.candidate.prompt.name,
            control=control,
            candidate=candidate,
            planned=plan.planned,
            seed=request.seed,
            left=plan.left,
            mode=request.mode,
        )
        spent = shadow_run_spent_usd(grader.registry, plan.shadow_id)
        comparison = self.aggregator.result(info, stopped=stopped, spent_usd=spent)
        if request.shard is None:
            end_shadow_run(
                grader.registry,
                plan.shadow_id,
                stopped,
                summarize_comparison(comparison),
                counted=self.counted,
                whole=whole,
            )
        failure = self.failures.failure if stopped == "failures" else None
        return ReplayOutcome(
            comparison,
            grader.engine.tally,
            self.earlier,
            self.loop.over_budget,
            failure,
            equality_note(plan.implied),
        )

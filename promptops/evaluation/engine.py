"""An eval from its request to its result: surveyed, answered, counted, recorded."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from itertools import chain

from promptops.config.clock import utc_now
from promptops.config.settings import Settings
from promptops.errors import Invalid, OverBudget
from promptops.evaluation.case_listing import CaseListing
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.check_calls import BatchGraderClient
from promptops.evaluation.comparison import PairedComparison, SequentialPairedTest
from promptops.evaluation.preflight import Preflight, PreflightResult
from promptops.evaluation.record import eval_records
from promptops.evaluation.result import EvalResult
from promptops.evaluation.summary import VariantSummary, mark_pareto_front
from promptops.evaluation.trials import CaseTrials, TrialPlan, TrialRunner
from promptops.evaluation.variants import CaseChecks, Variant, checks_hash, with_shared_checks
from promptops.prompt import Prompt
from promptops.prompt.cases import Case
from promptops.prompt.diff import compare_prompts
from promptops.providers.types import ModelError
from promptops.registry import RegistryDatabase, new_run_id, save_evals
from promptops.runner.batch import BatchEngine, BatchOptions, RunTally, interruptible
from promptops.runner.model_graded import JudgeResolver

SEED = 20_260_311  # of the order in which pairs are drawn: the same for everybody
DEFAULT_MARGIN = 0.03
OnProgress = Callable[[RunTally, int], None]
"""Called with what has come of it so far, and the number of runs there will be at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """What is asked for. With ``against`` the first variant is the control, the second the candidate."""

    variants: tuple[Variant, ...]
    against: bool = False
    trials: int = 1
    margin: float = DEFAULT_MARGIN
    sequential: bool = False

    @property
    def reference_checks(self) -> Prompt:
        """Whose checks all are measured by."""
        return self.variants[int(self.against)].prompt


@dataclass(slots=True)
class EvalOutcome:
    """What came of it, with what kept it from its end."""

    result: EvalResult
    tally: RunTally
    over_budget: OverBudget | None = None
    aborted_by: ModelError | None = None
    every_call_failed: ModelError | None = None


def evaluate(
    settings: Settings,
    options: BatchOptions,
    request: EvalRequest,
    cases: Iterable[Case],
    on_progress: OnProgress | None = None,
) -> EvalOutcome:
    """Every case is looked at before anything is called."""
    eval_id, started_at = new_run_id(), utc_now()
    judges = JudgeResolver(settings)
    contenders = with_shared_checks(request.variants, request.reference_checks)
    checks = CaseChecks(request.reference_checks.checks, lambda name: judges.version(name).prompt)
    with ExitStack() as stack:
        kept = stack.enter_context(CaseStore())
        engine = BatchEngine(settings, options)
        candidate = contenders[int(request.against)].version
        looking = BatchGraderClient(
            engine=engine, judges=judges, version=candidate, eval_id=eval_id, run_id="", trial=0
        )
        surveyor = Preflight(
            settings=settings,
            options=options,
            variants=contenders,
            checks=checks,
            trials=request.trials,
            grader=looking,
            refuse=not request.sequential,
        )
        survey = surveyor.look(cases, kept)
        if not len(kept):
            raise Invalid("there are no cases to evaluate", hint="promptops cases list shows them")
        plan = TrialPlan(
            eval_id=eval_id,
            variants=contenders,
            cases=kept,
            checks=checks,
            trials=request.trials,
            order=_random_order(len(kept)) if request.sequential else None,
            unfit=survey.unfit,
        )
        counting = EvalAggregator(request, plan)
        with RegistryDatabase.open(settings.registry) as registry:
            work = _EvalRun(plan, counting, judges, registry, on_progress)
            try:
                asyncio.run(work.perform(engine))
            except asyncio.CancelledError:  # the second Ctrl-C
                raise KeyboardInterrupt from None
            stopped = work.stopped(engine)
            result = counting.result(_EvalRunInfo(survey, started_at, utc_now(), stopped))
            save_evals(registry, list(eval_records(result)))
    return EvalOutcome(result, engine.tally, work.over_budget, engine.aborted_by, counting.every_call_failed)


def _random_order(cases: int) -> Sequence[int]:
    """Drawn at random, so that whatever prefix was looked at stands for the rest."""
    order = list(range(cases))
    random.Random(SEED).shuffle(order)  # noqa: S311 - an order, no secret
    return order


@dataclass(frozen=True, slots=True)
class _EvalRunInfo:
    survey: PreflightResult
    started_at: str
    finished_at: str
    stopped: str | None


@dataclass(slots=True)
class EvalAggregator:
    """All that is kept of answers."""

    request: EvalRequest
    plan: TrialPlan
    summaries: list[VariantSummary] = field(init=False)
    paired_comparison: PairedComparison | None = field(init=False)
    listing: CaseListing = field(default_factory=CaseListing)
    cases: int = 0
    failure: ModelError | None = None  # the first call's
    any_answer: bool = False

    def __post_init__(self) -> None:
        request = self.request
        self.summaries = [VariantSummary(variant) for variant in self.plan.variants]
        evidence = SequentialPairedTest(request.margin) if request.sequential else None
        self.paired_comparison = (
            PairedComparison(request.trials, request.margin, evidence) if request.against else None
        )

    def add(self, answered: CaseTrials) -> None:
        self.cases += 1
        for summary, answers in zip(self.summaries, answered.sides, strict=True):
            summary.add(answered.case, answers)
        if self.paired_comparison:
            self.paired_comparison.add(answered)
        self.listing.add(answered)
        for answer in chain.from_iterable(answered.sides):
            self.any_answer = self.any_answer or (answer.run is not None and answer.run.error is None)
            self.failure = self.failure or (answer.run.error if answer.run else None)

    @property
    def every_call_failed(self) -> ModelError | None:
        return None if self.any_answer else self.failure

    @property
    def decided(self) -> bool:
        evidence = self.paired_comparison.evidence if self.paired_comparison else None
        return evidence is not None and evidence.decided

    def result(self, about: _EvalRunInfo) -> EvalResult:
        plan, request = self.plan, self.request
        sides = mark_pareto_front([summary.side() for summary in self.summaries])
        labels = [side.label for side in sides]
        comparison = (
            self.paired_comparison.comparison(labels[0], labels[1]) if self.paired_comparison else None
        )
        return EvalResult(
            eval_id=plan.eval_id,
            sides=sides,
            cases=self.listing.by_side(len(sides)),
            comparison=comparison,
            trials=request.trials,
            cases_total=len(plan.cases),
            cases_run=self.cases,
            cases_hash=plan.cases.hash,
            checks_hash=checks_hash(plan.checks.own),
            changed=_describe_changes(request) if request.against else (),
            stopped=about.stopped,
            started_at=about.started_at,
            finished_at=about.finished_at,
            unlisted=self.listing.left_out,
            seed=SEED if request.sequential else None,
            notes=tuple(self._notes(about.survey)),
        )

    def _notes(self, survey: PreflightResult) -> list[str]:
        found = []
        for variant, marks in zip(self.plan.variants, survey.unfit, strict=True):
            if number := sum(marks):
                found.append(f"{variant.label} does not accept the inputs of {_case_count(number)}")
        if survey.unchecked:
            found.append(f"{_case_count(survey.unchecked)} without any check or expected answer: all pass")
        if self.request.sequential:
            calls = self.cases * self.request.trials * len(self.plan.variants)
            found.append(
                f"pairs in random order (seed {SEED}): {calls:,} of {self.plan.runs:,} runs until the end"
            )
        if self.listing.left_out:
            found.append(f"{_case_count(self.listing.left_out)} that are counted are not listed")
        if self.paired_comparison:
            for name, flips in (
                ("broke", self.paired_comparison.broke),
                ("were fixed", self.paired_comparison.fixed),
            ):
                if flips.total > flips.limit:
                    found.append(f"of {flips.total:,} cases that {name} the worst {flips.limit} are listed")
        return found


def _case_count(number: int) -> str:
    return f"{number:,} case{'' if number == 1 else 's'}"


def _describe_changes(request: EvalRequest) -> tuple[str, ...]:
    """What differs between control and candidate, in words."""
    control, candidate = request.variants
    return tuple(
        f"{change.kind}: {line}"
        for change in compare_prompts(control.prompt, candidate.prompt)
        for line in (*change.lines, *map(str, change.texts))
    )


@dataclass(slots=True)
class _EvalRun:
    """The part that runs in an event loop."""

    plan: TrialPlan
    aggregator: EvalAggregator
    judges: JudgeResolver
    registry: RegistryDatabase
    on_progress: OnProgress | None
    interrupted: bool = False
    over_budget: OverBudget | None = None

    async def perform(self, engine: BatchEngine) -> None:
        async with engine:
            answering = TrialRunner(self.plan, engine, self.judges, self.registry)
            with interruptible(engine, self):
                try:
                    await self._count(engine, answering)
                except OverBudget as error:
                    self.over_budget = error

    async def _count(self, engine: BatchEngine, answering: TrialRunner) -> None:
        async with aclosing(answering.cases()) as cases:
            async for answered in cases:
                self.aggregator.add(answered)
                if self.aggregator.decided:
                    engine.stop()  # what is under way still counts: the evidence may be looked at at any time
                if self.on_progress:
                    self.on_progress(engine.tally, self.plan.runs)

    def stopped(self, engine: BatchEngine) -> str | None:
        if self.aggregator.cases == len(self.plan.cases):
            return None
        if self.interrupted:
            return "interrupted"
        if self.over_budget:
            return "budget"
        return "failures" if engine.aborted_by else "verdict"

"""An eval from its request to its result: checked, answered, counted, recorded."""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import field, replace
from itertools import chain

from promptops.config.clock import utc_now
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget
from promptops.evaluation.case_listing import CaseListing
from promptops.evaluation.case_pairs import add_case, eval_comparison
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.comparison import PairedComparison
from promptops.evaluation.comparison_loop import ComparisonLoop
from promptops.evaluation.preflight import Preflight
from promptops.evaluation.record import eval_records
from promptops.evaluation.result import CaseFlip, EvalResult
from promptops.evaluation.run_grader import RunGrader, batch_grader_client
from promptops.evaluation.summary import VariantSummary, mark_pareto_front
from promptops.evaluation.trials import CaseTrials, TrialPlan, TrialRunner
from promptops.evaluation.variants import CaseChecks, Variant, checks_hash, equality_note, with_shared_checks
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json, sha256_hex
from promptops.prompt.cases import Case
from promptops.prompt.diff import compare_prompts
from promptops.providers.types import ModelError
from promptops.registry import RegistryDatabase, new_run_id, save_evals
from promptops.runner.batch import (
    BatchEngine,
    BatchOptions,
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
    require_batch_services,
)
from promptops.runner.model_graded import JudgeResolver
from promptops.stats.sequential_pairs import SequentialPairedTest

SEED = 20_260_311  # of the order in which pairs are drawn: the same for everybody
DEFAULT_MARGIN = 0.03
_MAX_THIN = 3  # slices with too few pairs that are spoken of


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRequest:
    """What is asked for. With ``against`` the first variant is the control, the second the candidate."""

    variants: tuple[Variant, ...]
    against: bool = False
    trials: int = 1
    margin: float = DEFAULT_MARGIN
    sequential: bool = False
    shard: Shard | None = None  # the part of the cases that is answered; the verdict is of all

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
    judges, engine = JudgeResolver(settings), BatchEngine(settings, options)
    variants = with_shared_checks(request.variants, request.reference_checks)
    require_batch_services(settings, options, called_models(each.prompt for each in variants))
    every_case = _CountedCases(cases)
    with ExitStack() as stack:
        plan = Preflight(
            eval_id=eval_id,
            settings=settings,
            options=options,
            variants=variants,
            checks=CaseChecks(request.reference_checks.checks, judges.prompt),
            trials=request.trials,
            client=batch_grader_client(engine, judges, variants[int(request.against)].version),
            refuse=not request.sequential,
        ).check(every_case.of(request.shard), stack.enter_context(CaseStore()))
        if not len(plan.cases):
            if every_case.number:
                hint = "a shard each for so many machines as there are cases, at most"
                raise Invalid(f"shard {request.shard} has none of the {every_case.number:,} cases", hint=hint)
            raise Invalid("there are no cases to evaluate", hint="promptops cases list shows them")
        if request.sequential:
            plan = replace(plan, order=random_order(len(plan.cases)))
        registry = stack.enter_context(RegistryDatabase.open(settings.registry))
        require_batch_services(settings, options, called_models(judges.prompts()))
        work = open_work(stack, settings, options, _work_scope(request, plan, options))
        plan = replace(plan, eval_id=work.id) if work else plan

        def one_pass() -> EvalOutcome:
            engine = BatchEngine(settings, options, work=work)
            grader = RunGrader(engine=engine, judges=judges, registry=registry, eval_id=plan.eval_id)
            aggregator = EvalAggregator(request, plan, every_case.number)
            loop = ComparisonLoop(engine, plan.runs, on_progress)
            run_interruptibly(_evaluate_cases(loop, TrialRunner(plan, grader), aggregator))
            return _outcome(loop, aggregator, started_at)

        return run_in_passes(
            work,
            one_pass,
            lambda outcome: outcome.result.stopped == "interrupted",
            lambda outcome: save_evals(registry, list(eval_records(outcome.result))),
        )


async def _evaluate_cases(loop: ComparisonLoop, runner: TrialRunner, aggregator: "EvalAggregator") -> None:
    order = aggregator.plan.order
    complete = True  # so far: a verdict rests on the cases in their order, whatever was answered first

    async def count(answered: CaseTrials) -> bool:
        nonlocal complete
        place = aggregator.cases
        complete = complete and answered.index == (place if order is None else order[place])
        aggregator.add(answered)
        return complete and aggregator.decided

    async with loop.engine:
        await loop.consume(runner.cases(), count)


def _outcome(loop: ComparisonLoop, aggregator: "EvalAggregator", started_at: str) -> EvalOutcome:
    engine = loop.engine
    result = aggregator.result(started_at, _stop_reason(loop, aggregator))
    return EvalOutcome(
        result, engine.tally, loop.over_budget, engine.aborted_by, aggregator.every_call_failed
    )


def _work_scope(request: EvalRequest, plan: TrialPlan, options: BatchOptions) -> WorkScope:
    """The same versions, cases, checks and kind of eval are the same work."""
    what = {
        "variants": [[each.prompt.digest, each.prompt.model, dict(each.overrides)] for each in plan.variants],
        "cases": plan.cases.hash,
        "checks": checks_hash(plan.checks.own),
        "trials": request.trials,
        "against": request.against,
        "sequential": request.sequential,
        "shard": str(request.shard),
        "cache": options.cache,
    }
    return WorkScope(
        verb="eval",
        key=f"eval:{sha256_hex(compact_json(what).encode())}",
        prompt=request.reference_checks.name,
        look=LOOK_CALLS if request.sequential else None,
    )


@dataclass(slots=True)
class _CountedCases:
    """The cases of a golden set, and how many have been read."""

    cases: Iterable[Case]
    number: int = 0

    def of(self, shard: Shard | None) -> Iterator[Case]:
        """Those of one part; all are read."""
        for place, case in enumerate(self.cases):
            self.number += 1
            if shard is None or shard.has(place):
                yield case


def _stop_reason(loop: ComparisonLoop, aggregator: "EvalAggregator") -> str | None:
    if aggregator.cases == len(aggregator.plan.cases):
        return "shard" if aggregator.request.shard else None
    if loop.interrupted:
        return "interrupted"
    if loop.over_budget:
        return "budget"
    if loop.engine.work is not None and loop.engine.work.is_closed:
        return "cancelled"
    return "failures" if loop.engine.aborted_by else "verdict"


def random_order(cases: int) -> Sequence[int]:
    """Drawn at random, so that whatever prefix was looked at stands for the rest."""
    order = list(range(cases))
    random.Random(SEED).shuffle(order)  # noqa: S311 - an order, no secret
    return order


@dataclass(slots=True)
class EvalAggregator:
    """All that is kept of answers."""

    request: EvalRequest
    plan: TrialPlan
    cases_total: int  # of all shards
    summaries: list[VariantSummary] = field(init=False)
    comparison: PairedComparison[CaseFlip] | None = field(init=False)
    listing: CaseListing = field(default_factory=CaseListing)
    cases: int = 0
    failure: ModelError | None = None  # the first call's
    any_answer: bool = False

    def __post_init__(self) -> None:
        request = self.request
        self.summaries = [VariantSummary(variant) for variant in self.plan.variants]
        evidence = SequentialPairedTest(request.margin) if request.sequential else None
        self.comparison = (
            PairedComparison(request.margin, request.trials, evidence) if request.against else None
        )

    def add(self, answered: CaseTrials) -> None:
        self.cases += 1
        for summary, answers in zip(self.summaries, answered.sides, strict=True):
            summary.add(answered.case, answers)
        if self.comparison:
            add_case(self.comparison, answered)
        self.listing.add(answered)
        for answer in chain.from_iterable(answered.sides):
            self.any_answer = self.any_answer or (answer.run is not None and answer.run.error is None)
            self.failure = self.failure or (answer.run.error if answer.run else None)

    @property
    def every_call_failed(self) -> ModelError | None:
        return None if self.any_answer else self.failure

    @property
    def decided(self) -> bool:
        return self.comparison is not None and self.comparison.decided

    def result(self, started_at: str, stopped: str | None) -> EvalResult:
        plan, request = self.plan, self.request
        sides = mark_pareto_front([summary.side() for summary in self.summaries])
        labels = [side.label for side in sides]
        at_end = self.cases == self.cases_total
        comparison = eval_comparison(self.comparison, *labels, at_end=at_end) if self.comparison else None
        return EvalResult(
            eval_id=plan.eval_id,
            sides=sides,
            cases=self.listing.by_side(len(sides)),
            comparison=comparison,
            trials=request.trials,
            cases_total=self.cases_total,
            cases_run=self.cases,
            cases_hash=plan.cases.hash,
            checks_hash=checks_hash(plan.checks.own),
            changed=_describe_changes(request) if request.against else (),
            stopped=stopped,
            started_at=started_at,
            finished_at=utc_now(),
            unlisted=self.listing.left_out,
            seed=SEED if request.sequential else None,
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        notes = []
        for variant, marks in zip(self.plan.variants, self.plan.unfit, strict=True):
            if number := sum(marks):
                notes.append(f"{variant.label} does not accept the inputs of {_case_count(number)}")
        if self.plan.unchecked:
            notes.append(f"{_case_count(self.plan.unchecked)} without any check or expected answer: all pass")
        notes += equality_note(self.plan.implied)
        if self.request.sequential:
            calls = self.cases * self.request.trials * len(self.plan.variants)
            notes.append(
                f"pairs in random order (seed {SEED}): {calls:,} of {self.plan.runs:,} runs until the end"
            )
        if self.listing.left_out:
            notes.append(f"{_case_count(self.listing.left_out)} that are counted are not listed")
        if self.comparison:
            notes += self.comparison.slices().thin[:_MAX_THIN]
            flips = {"broke": self.comparison.regressed, "were fixed": self.comparison.improved}
            notes += [
                f"of {each.total:,} cases that {name} the worst {each.limit} are listed"
                for name, each in flips.items()
                if each.total > each.limit
            ]
        return notes


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

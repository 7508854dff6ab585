"""An eval from its request to its result: surveyed, answered, counted, recorded."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from itertools import chain

from promptops.config.settings import Settings
from promptops.errors import Invalid, OverBudget
from promptops.evaluation.case_listing import Listing
from promptops.evaluation.case_store import CaseSet
from promptops.evaluation.check_calls import Asking
from promptops.evaluation.comparison import Contrast, Evidence
from promptops.evaluation.preflight import Survey, Surveyor
from promptops.evaluation.record import records
from promptops.evaluation.result import EvalResult
from promptops.evaluation.summary import Summary, with_front
from promptops.evaluation.trials import Answered, Answering, Plan
from promptops.evaluation.variants import CaseChecks, Contender, checks_hash, measured_alike
from promptops.prompt import Prompt
from promptops.prompt.cases import Case
from promptops.prompt.diff import compare_prompts
from promptops.providers.types import ModelError
from promptops.registry.evals import save_evals
from promptops.registry.records import utc_now
from promptops.registry.store import Registry
from promptops.registry.ulid import new_run_id
from promptops.runner.batch import Engine, Options, Tally, interruptible
from promptops.runner.model_graded import Judges

SEED = 20_260_311  # of the order in which pairs are drawn: the same for everybody
MARGIN = 0.03
OnProgress = Callable[[Tally, int], None]
"""Called with what has come of it so far, and the number of runs there will be at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. With ``against`` the first contender is the control, the second the candidate."""

    contenders: tuple[Contender, ...]
    against: bool = False
    trials: int = 1
    margin: float = MARGIN
    sequential: bool = False

    @property
    def yardstick(self) -> Prompt:
        """Whose checks all are measured by."""
        return self.contenders[int(self.against)].prompt


@dataclass(slots=True)
class Outcome:
    """What came of it, with what kept it from its end."""

    result: EvalResult
    tally: Tally
    over_budget: OverBudget | None = None
    given_up: ModelError | None = None
    every_call_failed: ModelError | None = None


def evaluate(
    settings: Settings,
    options: Options,
    request: Request,
    cases: Iterable[Case],
    on_progress: OnProgress | None = None,
) -> Outcome:
    """Every case is looked at before anything is called."""
    eval_id, started_at = new_run_id(), utc_now()
    judges = Judges(settings)
    contenders = measured_alike(request.contenders, request.yardstick)
    checks = CaseChecks(request.yardstick.checks, lambda name: judges.version(name).prompt)
    with ExitStack() as stack:
        kept = stack.enter_context(CaseSet())
        engine = Engine(settings, options)
        candidate = contenders[int(request.against)].version
        looking = Asking(engine=engine, judges=judges, version=candidate, eval_id=eval_id, run_id="", trial=0)
        surveyor = Surveyor(
            settings=settings,
            options=options,
            contenders=contenders,
            checks=checks,
            trials=request.trials,
            asking=looking,
            refuse=not request.sequential,
        )
        survey = surveyor.look(cases, kept)
        if not len(kept):
            raise Invalid("there are no cases to evaluate", hint="promptops cases list shows them")
        plan = Plan(
            eval_id=eval_id,
            contenders=contenders,
            cases=kept,
            checks=checks,
            trials=request.trials,
            order=_order(len(kept)) if request.sequential else None,
            unfit=survey.unfit,
        )
        counting = Counting(request, plan)
        with Registry.open(settings.registry) as registry:
            work = _Work(plan, counting, judges, registry, on_progress)
            try:
                asyncio.run(work.perform(engine))
            except asyncio.CancelledError:  # the second Ctrl-C
                raise KeyboardInterrupt from None
            stopped = work.stopped(engine)
            result = counting.result(_Circumstances(survey, started_at, utc_now(), stopped))
            save_evals(registry, list(records(result)))
    return Outcome(result, engine.tally, work.over_budget, engine.given_up, counting.every_call_failed)


def _order(cases: int) -> Sequence[int]:
    """Drawn at random, so that whatever prefix was looked at stands for the rest."""
    order = list(range(cases))
    random.Random(SEED).shuffle(order)  # noqa: S311 - an order, no secret
    return order


@dataclass(frozen=True, slots=True)
class _Circumstances:
    survey: Survey
    started_at: str
    finished_at: str
    stopped: str | None


@dataclass(slots=True)
class Counting:
    """All that is kept of answers."""

    request: Request
    plan: Plan
    summaries: list[Summary] = field(init=False)
    contrast: Contrast | None = field(init=False)
    listing: Listing = field(default_factory=Listing)
    cases: int = 0
    failure: ModelError | None = None  # the first call's
    any_answer: bool = False

    def __post_init__(self) -> None:
        request = self.request
        self.summaries = [Summary(contender) for contender in self.plan.contenders]
        evidence = Evidence(request.margin) if request.sequential else None
        self.contrast = Contrast(request.trials, request.margin, evidence) if request.against else None

    def add(self, answered: Answered) -> None:
        self.cases += 1
        for summary, answers in zip(self.summaries, answered.sides, strict=True):
            summary.add(answered.case, answers)
        if self.contrast:
            self.contrast.add(answered)
        self.listing.add(answered)
        for answer in chain.from_iterable(answered.sides):
            self.any_answer = self.any_answer or (answer.run is not None and answer.run.error is None)
            self.failure = self.failure or (answer.run.error if answer.run else None)

    @property
    def every_call_failed(self) -> ModelError | None:
        return None if self.any_answer else self.failure

    @property
    def decided(self) -> bool:
        evidence = self.contrast.evidence if self.contrast else None
        return evidence is not None and evidence.decided

    def result(self, about: _Circumstances) -> EvalResult:
        plan, request = self.plan, self.request
        sides = with_front([summary.side() for summary in self.summaries])
        labels = [side.label for side in sides]
        comparison = self.contrast.comparison(labels[0], labels[1]) if self.contrast else None
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
            changed=_changed(request) if request.against else (),
            stopped=about.stopped,
            started_at=about.started_at,
            finished_at=about.finished_at,
            unlisted=self.listing.left_out,
            seed=SEED if request.sequential else None,
            notes=tuple(self._notes(about.survey)),
        )

    def _notes(self, survey: Survey) -> list[str]:
        found = []
        for contender, marks in zip(self.plan.contenders, survey.unfit, strict=True):
            if number := sum(marks):
                found.append(f"{contender.label} does not accept the inputs of {_cases(number)}")
        if survey.unchecked:
            found.append(f"{_cases(survey.unchecked)} without any check or expected answer: all pass")
        if self.request.sequential:
            calls = self.cases * self.request.trials * len(self.plan.contenders)
            found.append(
                f"pairs in random order (seed {SEED}): {calls:,} of {self.plan.runs:,} runs until the end"
            )
        if self.listing.left_out:
            found.append(f"{_cases(self.listing.left_out)} that are counted are not listed")
        if self.contrast:
            for name, flips in (("broke", self.contrast.broke), ("were fixed", self.contrast.fixed)):
                if flips.total > flips.limit:
                    found.append(f"of {flips.total:,} cases that {name} the worst {flips.limit} are listed")
        return found


def _cases(number: int) -> str:
    return f"{number:,} case{'' if number == 1 else 's'}"


def _changed(request: Request) -> tuple[str, ...]:
    """What differs between control and candidate, in words."""
    control, candidate = request.contenders
    return tuple(
        f"{change.kind}: {line}"
        for change in compare_prompts(control.prompt, candidate.prompt)
        for line in (*change.lines, *map(str, change.texts))
    )


@dataclass(slots=True)
class _Work:
    """The part that runs in an event loop."""

    plan: Plan
    counting: Counting
    judges: Judges
    registry: Registry
    on_progress: OnProgress | None
    interrupted: bool = False
    over_budget: OverBudget | None = None

    async def perform(self, engine: Engine) -> None:
        async with engine:
            answering = Answering(self.plan, engine, self.judges, self.registry)
            with interruptible(engine, self):
                try:
                    await self._count(engine, answering)
                except OverBudget as error:
                    self.over_budget = error

    async def _count(self, engine: Engine, answering: Answering) -> None:
        async with aclosing(answering.cases()) as cases:
            async for answered in cases:
                self.counting.add(answered)
                if self.counting.decided:
                    engine.stop()  # what is under way still counts: the evidence may be looked at at any time
                if self.on_progress:
                    self.on_progress(engine.tally, self.plan.runs)

    def stopped(self, engine: Engine) -> str | None:
        if self.counting.cases == len(self.plan.cases):
            return None
        if self.interrupted:
            return "interrupted"
        if self.over_budget:
            return "budget"
        return "failures" if engine.given_up else "verdict"

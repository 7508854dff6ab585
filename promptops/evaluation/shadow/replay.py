"""A shadow run from its request to its comparison: inputs chosen, answered by both versions, looked at."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from promptops.checks import compile_checks, prepare_checks
from promptops.checks.judge import judge_of
from promptops.config.settings import Settings
from promptops.errors import Invalid, OverBudget
from promptops.evaluation.check_calls import Asking
from promptops.evaluation.shadow.failure_streak import Misfortune
from promptops.evaluation.shadow.input_sampling import Sources
from promptops.evaluation.shadow.pair import Pair
from promptops.evaluation.shadow.pair_runner import Answering
from promptops.evaluation.shadow.preflight import Planned, about_of, plan
from promptops.evaluation.shadow.request import Request
from promptops.evaluation.shadow.result import Comparison
from promptops.evaluation.shadow.running_comparison import Comparing, Frame
from promptops.evaluation.shadow.stored import parties, summary
from promptops.evaluation.variants import CaseChecks, measured_alike
from promptops.providers.embeddings import embedding_endpoint
from promptops.providers.types import ModelError
from promptops.registry.runs.batches import Calls
from promptops.registry.shadow.runs import end_shadow, spent_on
from promptops.registry.store import Registry
from promptops.runner.batch import Engine, Estimate, Options, Tally, interruptible
from promptops.runner.model_graded import Judges
from promptops.stats.verdicts import Verdict

OnProgress = Callable[[Tally, int], None]
"""Called with what has come of it so far, and the number of calls there will be at most."""


@dataclass(slots=True)
class Outcome:
    """What came of it, with what kept it from its end."""

    comparison: Comparison
    tally: Tally
    earlier: int = 0  # pairs that were complete before
    over_budget: OverBudget | None = None
    failure: ModelError | None = None


def replay(
    settings: Settings, options: Options, request: Request, on_progress: OnProgress | None = None
) -> Outcome:
    """Every input is looked at before anything is called; the comparison tells of those left out."""
    judges = Judges(settings)
    yardstick = request.candidate.prompt
    control, candidate = measured_alike((request.control, request.candidate), yardstick)
    request = replace(request, control=control, candidate=candidate)
    _look_at_versions(settings, options, request, judges)
    checks = CaseChecks(yardstick.checks, lambda name: judges.version(name).prompt)
    with Registry.open(settings.registry) as registry:
        planned = plan(registry, request, checks)
        with _alone(registry, planned.shadow_id):
            work = _Work(settings, options, request, planned, judges, checks, registry, on_progress)
            try:
                asyncio.run(work.perform())
            except asyncio.CancelledError:  # the second Ctrl-C
                raise KeyboardInterrupt from None
            return work.outcome()


@contextmanager
def _alone(registry: Registry, shadow_id: str) -> Iterator[None]:
    """No other process makes the same pairs meanwhile. Raises Unavailable where one does."""
    calls = Calls.open(registry.path, shadow_id)
    try:
        yield
    finally:
        calls.remove()
        calls.close()


def _look_at_versions(settings: Settings, options: Options, request: Request, judges: Judges) -> None:
    """Raise Invalid for what would fail every time."""
    engine = Engine(settings, options)
    version = request.candidate.version
    asking = Asking(engine=engine, judges=judges, version=version, eval_id="", run_id="", trial=0)
    for contender in (request.control, request.candidate):
        prompt = contender.prompt
        compiled = compile_checks(prompt.checks, prompt.path, settings.root)
        prepare_checks(compiled, prompt.output.schema if prompt.output else None, asking)
    if request.judge and not judge_of(judges.version(request.judge).prompt).pairwise:
        raise Invalid(
            f"{request.judge} does not compare: it takes no `a` and `b`",
            hint="a judge of one output is a check of the prompt: `checks: [{judge: NAME}]`",
        )
    if request.semantic:
        embedding_endpoint(request.semantic.model, os.environ)
    if options.max_cost is not None:
        with Estimate(settings, options) as estimate:
            for contender in (request.control, request.candidate):
                estimate.check(contender.prompt)


@dataclass(slots=True)
class _Work:
    """The part that runs in an event loop."""

    settings: Settings
    options: Options
    request: Request
    planned: Planned
    judges: Judges
    checks: CaseChecks
    registry: Registry
    on_progress: OnProgress | None
    comparing: Comparing = field(init=False)
    misfortune: Misfortune = field(init=False)
    tally: Tally = field(default_factory=Tally)
    answered: int = 0
    interrupted: bool = False
    over_budget: OverBudget | None = None
    earlier: int = 0

    def __post_init__(self) -> None:
        self.comparing = Comparing(self.planned.primary, self.request.margin, self.request.semantic)
        self.misfortune = Misfortune(self.options.concurrency)

    async def perform(self) -> None:
        planned = self.planned
        async with Engine(self.settings, self.options, spent=planned.spent) as engine:
            self.tally = engine.tally
            answering = Answering(
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
            self.misfortune.failure = self.misfortune.failure or engine.given_up

    async def _count(self, engine: Engine, answering: Answering) -> None:
        async with aclosing(engine.each(self.planned.sources, answering.pair)) as pairs:
            async for pair in pairs:
                self._add(pair, engine)
                if self.on_progress:
                    sides = 1 if self.request.recorded else 2
                    self.on_progress(engine.tally, sides * (len(self.planned.sources) - self.earlier))

    def _add(self, pair: Pair, engine: Engine) -> None:
        self.answered += 1
        self.comparing.add(pair)
        self.misfortune.add(pair)
        if self.misfortune.failure or self._decided:
            engine.stop()  # what is under way still counts: the evidence may be looked at at any time

    @property
    def _decided(self) -> bool:
        request, found = self.request, self.comparing
        if request.full or request.aa or not found.decided or not self.misfortune.both_have_answered:
            return False
        return found.pairs >= request.min_pairs or found.decisive.verdict is Verdict.WORSE

    @property
    def stopped(self) -> str:
        if self.misfortune.failure:
            return "failures"
        if self.answered == len(self.planned.sources):
            return "all"
        if self.interrupted:
            return "interrupted"
        return "budget" if self.over_budget and not self._decided else "verdict"

    def outcome(self) -> Outcome:
        planned, request = self.planned, self.request
        stopped = self.stopped
        unanswered = any(self.comparing.unanswered.values())
        whole = stopped == "verdict" or (stopped == "all" and not unanswered)
        control, candidate = parties(about_of(request, Sources(), planned.left, planned.primary))
        frame = Frame(
            shadow_id=planned.shadow_id,
            prompt=request.candidate.prompt.name,
            control=control,
            candidate=candidate,
            planned=len(planned.sources),
            seed=request.seed,
            left=planned.left,
            mode=request.mode,
        )
        spent = spent_on(self.registry, planned.shadow_id)
        comparison = self.comparing.result(frame, stopped=stopped, spent_usd=spent)
        end_shadow(self.registry, planned.shadow_id, stopped, summary(comparison), whole=whole)
        failure = self.misfortune.failure if stopped == "failures" else None
        return Outcome(comparison, self.tally, self.earlier, self.over_budget, failure)

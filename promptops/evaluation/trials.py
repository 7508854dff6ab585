"""Every case, trial and side as one run each, handed on case by case in the order asked for."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import field

from promptops.checks import CompiledCheck
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.run_grader import RunGrader
from promptops.evaluation.variants import MODEL_GRADED_KINDS, CaseChecks, Variant
from promptops.prompt import Check
from promptops.prompt.cases import Case
from promptops.prompt.render import render_prompt
from promptops.registry import CheckResult
from promptops.runner import Run, RunContext
from promptops.runner.batch import BatchItem, Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """What is to be answered.

    ``unfit``: for each side, a byte a case, 1 where its inputs are not accepted. ``unchecked``: the number of
    cases that any answer passes; ``implied``: of those compared by a check that nobody wrote.
    """

    eval_id: str
    variants: tuple[Variant, ...]
    cases: CaseStore
    checks: CaseChecks
    trials: int = 1
    order: Sequence[int] | None = None
    unfit: tuple[bytearray, ...] = ()
    unchecked: int = 0
    implied: int = 0

    @property
    def runs(self) -> int:
        return len(self.cases) * self.trials * len(self.variants)


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One trial of one case on one side. Without a run, ``problem`` says why there could be none."""

    run: Run | None
    judged_usd: float = 0.0  # spent by its checks
    problem: str = ""

    @property
    def checks(self) -> Sequence[CheckResult]:
        return self.run.finished.checks if self.run else ()

    @property
    def error(self) -> str | None:
        if self.run is None:
            return "invalid_input"
        return self.run.finished.error_type or ("check" if any(each.error for each in self.checks) else None)

    @property
    def passed(self) -> bool:
        return self.run is not None and self.run.passed

    @property
    def weighted(self) -> float | None:
        """The share of the weights whose checks passed; None where all weigh the same and it says no more."""
        weights = [check.weight for check in self.checks]
        if len(set(weights)) < 2 or not sum(weights):  # two different ones
            return None
        return sum(check.weight for check in self.checks if check.passed) / sum(weights)


@dataclass(frozen=True, slots=True)
class CaseTrials:
    """One case with all its answers: by side, then by trial."""

    index: int
    case: Case
    sides: tuple[tuple[TrialRun, ...], ...]


@dataclass(frozen=True, slots=True)
class _TrialTask:
    index: int
    case: Case
    added: tuple[Check, ...]
    side: int
    trial: int


@dataclass(slots=True)
class TrialRunner:
    """Makes the runs of a plan."""

    plan: TrialPlan
    grader: RunGrader
    _graded_by_side: list[tuple[CompiledCheck, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._graded_by_side = [
            self.grader.graded_checks(each.prompt.checks, each) for each in self.plan.variants
        ]

    async def cases(self) -> AsyncGenerator[CaseTrials, None]:
        """Cases of which every answer is there, in order; one that was cut short is left out."""
        plan, total = self.plan, self.plan.trials * len(self.plan.variants)
        answers: list[TrialRun] = []
        at = -1
        async with aclosing(self.grader.engine.each(self._tasks(), self._one)) as results:
            async for task, answer in results:
                if task.index != at:
                    at, answers = task.index, []
                answers.append(answer)
                if len(answers) == total:
                    sides = tuple(
                        tuple(answers[first : first + plan.trials]) for first in range(0, total, plan.trials)
                    )
                    yield CaseTrials(at, task.case, sides)

    def _tasks(self) -> Iterator[_TrialTask]:
        for index, case in self.plan.cases.cases(self.plan.order):
            added = self.plan.checks.of(case)
            for side in range(len(self.plan.variants)):
                for trial in range(self.plan.trials):
                    yield _TrialTask(index, case, added, side, trial)

    async def _one(
        self, task: _TrialTask
    ) -> tuple[_TrialTask, TrialRun] | Pending[tuple[_TrialTask, TrialRun]]:
        answer = await self._call(task.index, task.case, task.added, task.side, task.trial)
        return answer.then(lambda run: (task, run)) if isinstance(answer, Pending) else (task, answer)

    async def begin(
        self, index: int, case: Case, added: tuple[Check, ...], side: int, trial: int
    ) -> Pending[TrialRun]:
        """Make one call: its result counts once it is on disk."""
        answer = await self._call(index, case, added, side, trial)
        return answer if isinstance(answer, Pending) else Pending.done(answer)

    async def _call(
        self, index: int, case: Case, added: tuple[Check, ...], side: int, trial: int
    ) -> TrialRun | Pending[TrialRun]:
        """An answer whose row may be on its way to the disk; one that a model grades has its row first."""
        variant = self.plan.variants[side]
        if self.plan.unfit and self.plan.unfit[side][index]:
            return TrialRun(None, problem=input_problem(variant, case))
        origin = RunContext(
            kind="eval",
            overrides=variant.overrides,
            case_id=case.id,
            trial=trial,
            expected=case.expected,
            checks=added,
            eval_id=self.plan.eval_id,
            arm=variant.arm,
        )
        pending = await self.grader.engine.call(
            BatchItem(version=variant.version, inputs=case.inputs, origin=origin)
        )
        graded = self._graded_by_side[side]
        if any(each.kind in MODEL_GRADED_KINDS for each in added):
            graded = (*graded, *self.grader.graded_checks(added, variant))
        if not graded:
            return pending.then(TrialRun)
        run = await pending.wait()
        client = self.grader.client(variant, run.started.run_id, trial)
        run = await self.grader.grade(run, graded, client, variant.prompt, case.expected)
        return TrialRun(run, client.spent_usd)


def input_problem(variant: Variant, case: Case) -> str:
    """Why a side does not accept the inputs of a case; empty when it does."""
    try:
        render_prompt(variant.prompt, case.inputs)
    except Invalid as error:
        return error.message
    return ""

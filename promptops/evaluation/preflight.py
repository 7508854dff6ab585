"""Everything that can be wrong with an eval, found before anything is called."""

from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from promptops.checks import compile_checks, prepare_checks
from promptops.config.settings import Settings
from promptops.errors import Invalid
from promptops.evaluation.case_store import CaseSet
from promptops.evaluation.check_calls import Asking
from promptops.evaluation.variants import CaseChecks, Contender
from promptops.prompt import Check, Prompt
from promptops.prompt.cases import Case
from promptops.prompt.render import Rendered, render
from promptops.runner.batch import Estimate, Options, refuse_above


@dataclass(frozen=True, slots=True)
class Survey:
    """``unfit``: for each side, a byte a case, 1 where its inputs are not accepted."""

    unfit: tuple[bytearray, ...]
    unchecked: int  # cases that any answer passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyor:
    settings: Settings
    options: Options
    contenders: tuple[Contender, ...]
    checks: CaseChecks
    trials: int
    asking: Asking  # of which only the judges' prompts are asked for
    refuse: bool = True  # what may cost more than --max-cost

    def look(self, cases: Iterable[Case], into: CaseSet) -> Survey:
        """Read every case, and render it on every side. Raises Invalid at the first that could not be run.

        A case that one side accepts and another does not is that side's failure; one that none accepts is
        a mistake in the golden set.
        """
        unfit = tuple(bytearray() for _ in self.contenders)
        costs = array("d")
        unchecked = 0
        for contender in self.contenders:
            self._prepare(contender, contender.prompt.checks)
        with ExitStack() as stack:
            estimate = self._estimate(stack)
            for case in cases:
                added = self.checks.of(case)
                self._check(case, added)
                rendered = self._rendered(case)
                for side, found in enumerate(rendered):
                    unfit[side].append(found is None)
                    if found is not None and estimate:
                        costs.extend(self._costs(estimate, self.contenders[side].prompt, found))
                unchecked += not (self.checks.own or added)
                into.add(case)
        if self.options.max_cost is not None and self.refuse:
            refuse_above(self.options.max_cost, 0.0, list(costs))
        return Survey(unfit, unchecked)

    def _estimate(self, stack: ExitStack) -> Estimate | None:
        if self.options.max_cost is None:
            return None
        estimate = stack.enter_context(Estimate(self.settings, self.options))
        for contender in self.contenders:
            estimate.check(contender.prompt)
        return estimate

    def _costs(self, estimate: Estimate, prompt: Prompt, rendered: Rendered) -> list[float]:
        return [estimate.of(prompt, rendered, trial) for trial in range(self.trials)]

    def _check(self, case: Case, added: Sequence[Check]) -> None:
        for contender in self.contenders if case.checks else ():
            try:
                self._prepare(contender, added)
            except Invalid as error:
                raise Invalid(f"{case.where}: {_without_place(error.message)}", hint=error.hint) from None

    def _prepare(self, contender: Contender, checks: Sequence[Check]) -> None:
        prompt = contender.prompt
        compiled = compile_checks(checks, prompt.path, self.settings.root)
        prepare_checks(compiled, prompt.output.schema if prompt.output else None, self.asking)

    def _rendered(self, case: Case) -> list[Rendered | None]:
        found: list[Rendered | None] = []
        problems: list[Invalid] = []
        for contender in self.contenders:
            try:
                found.append(render(contender.prompt, case.inputs))
            except Invalid as error:
                found.append(None)
                problems.append(error)
        if len(problems) == len(self.contenders):
            raise Invalid(f"{case.where}: {problems[-1].message}", hint=problems[-1].hint)
        return found


def _without_place(message: str) -> str:
    """A message of a check's, whose place is the prompt it was added to."""
    return message.partition(": ")[2] or message

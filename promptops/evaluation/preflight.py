"""Everything that can be wrong with an eval, found before anything is called."""

from array import array
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from promptops.checks import GraderClient, compile_checks, validate_checks
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.evaluation.case_store import CaseStore
from promptops.evaluation.trials import TrialPlan
from promptops.evaluation.variants import CaseChecks, Variant
from promptops.prompt import Check, Prompt
from promptops.prompt.cases import Case
from promptops.prompt.render import RenderedPrompt, render_prompt
from promptops.runner.batch import BatchOptions, CostEstimator, check_max_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """``client``: of which only the judges' prompts are asked for."""

    eval_id: str
    settings: Settings
    options: BatchOptions
    variants: tuple[Variant, ...]
    checks: CaseChecks
    trials: int
    client: GraderClient
    refuse: bool = True  # what may cost more than --max-cost

    def check(self, cases: Iterable[Case], store: CaseStore) -> TrialPlan:
        """Read every case, and render it on every side. Raises Invalid at the first that could not be run.

        A case that one side accepts and another does not is that side's failure; one that none accepts is
        a mistake in the golden set.
        """
        unfit = tuple(bytearray() for _ in self.variants)
        costs = array("d")
        unchecked = implied = 0
        for variant in self.variants:
            validate_variant(self.settings, variant, variant.prompt.checks, self.client)
        with ExitStack() as stack:
            estimate = self._estimate(stack)
            for case in cases:
                added = self.checks.of(case)
                self._validate_checks(case, added)
                for side, rendered in enumerate(self._rendered(case)):
                    unfit[side].append(rendered is None)
                    if rendered is not None and estimate:
                        costs.extend(self._costs(estimate, self.variants[side].prompt, rendered))
                unchecked += not (self.checks.own or added)
                implied += bool(self.checks.own or case.checks) and self.checks.implies_equality(case)
                store.add(case)
        if self.options.max_cost is not None and self.refuse:
            check_max_cost(self.options.max_cost, 0.0, list(costs))
        return TrialPlan(
            eval_id=self.eval_id,
            variants=self.variants,
            cases=store,
            checks=self.checks,
            trials=self.trials,
            unfit=unfit,
            unchecked=unchecked,
            implied=implied,
        )

    def _estimate(self, stack: ExitStack) -> CostEstimator | None:
        if self.options.max_cost is None:
            return None
        estimate = stack.enter_context(CostEstimator(self.settings, self.options))
        for variant in self.variants:
            estimate.check(variant.prompt)
        return estimate

    def _costs(self, estimate: CostEstimator, prompt: Prompt, rendered: RenderedPrompt) -> list[float]:
        return [estimate.of(prompt, rendered, trial) for trial in range(self.trials)]

    def _validate_checks(self, case: Case, added: Sequence[Check]) -> None:
        for variant in self.variants if case.checks else ():
            try:
                validate_variant(self.settings, variant, added, self.client)
            except Invalid as error:
                raise Invalid(f"{case.where}: {_without_location(error.message)}", hint=error.hint) from None

    def _rendered(self, case: Case) -> list[RenderedPrompt | None]:
        rendered: list[RenderedPrompt | None] = []
        problems: list[Invalid] = []
        for variant in self.variants:
            try:
                rendered.append(render_prompt(variant.prompt, case.inputs))
            except Invalid as error:
                rendered.append(None)
                problems.append(error)
        if len(problems) == len(self.variants):
            raise Invalid(f"{case.where}: {problems[-1].message}", hint=problems[-1].hint)
        return rendered


def validate_variant(
    settings: Settings, variant: Variant, checks: Sequence[Check], client: GraderClient
) -> None:
    """Raises Invalid for checks that could not be made on this version's answers."""
    prompt = variant.prompt
    compiled = compile_checks(checks, prompt.path, settings.root)
    validate_checks(compiled, prompt.output_schema, client)


def _without_location(message: str) -> str:
    """A message of a check's, whose place is the prompt it was added to."""
    return message.partition(": ")[2] or message

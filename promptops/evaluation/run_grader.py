"""Checks that ask a model about the runs of a comparison: within its budget and pace, and logged with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from promptops.checks import CheckSubject, CompiledCheck, compile_checks, run_graded_checks
from promptops.dataclass import dataclass
from promptops.evaluation.variants import Variant
from promptops.prompt import Check, Prompt
from promptops.registry import CheckResult, RegistryDatabase, add_check_outcomes
from promptops.runner import Run
from promptops.runner.batch import BatchEngine
from promptops.runner.batch.provider_jobs.parked import CallParked
from promptops.runner.model_graded import JudgeResolver, LoggedGraderClient, check_subject, loggable_checks
from promptops.versions.resolve import Version


def batch_grader_client(
    engine: BatchEngine, judges: JudgeResolver, version: Version, eval_id: str = ""
) -> LoggedGraderClient:
    return LoggedGraderClient(make_run=engine.run_version, judges=judges, version=version, eval_id=eval_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGrader:
    """``registry``: where the results of these checks are added to runs."""

    engine: BatchEngine
    judges: JudgeResolver
    registry: RegistryDatabase
    eval_id: str

    def client(self, variant: Variant, run_id: str, trial: int = 0) -> LoggedGraderClient:
        client = batch_grader_client(self.engine, self.judges, variant.version, self.eval_id)
        return replace(client, run_id=run_id, trial=trial)

    def graded_checks(self, checks: Sequence[Check], variant: Variant) -> tuple[CompiledCheck, ...]:
        compiled = compile_checks(checks, variant.prompt.path, self.engine.settings.root)
        return tuple(each for each in compiled if each.needs_model)

    async def grade(
        self,
        run: Run,
        graded: Sequence[CompiledCheck],
        client: LoggedGraderClient,
        prompt: Prompt,
        expected: object,
    ) -> Run:
        """The run with these checks beside the others. Raises OverBudget: that is not about the answer."""
        if run.error is not None or not graded:
            return run
        results = await _all_results(graded, check_subject(prompt, run, expected), client)
        if client.over_budget:
            raise client.over_budget
        logged = loggable_checks(self.engine.settings, prompt, results)
        await asyncio.to_thread(add_check_outcomes, self.registry, run.started.run_id, logged)
        return replace(run, finished=replace(run.finished, checks=(*run.finished.checks, *results)))


async def _all_results(
    graded: Sequence[CompiledCheck], subject: CheckSubject, client: LoggedGraderClient
) -> list[CheckResult]:
    """Of all checks. Where calls of one are parked, those of the others are parked as well."""
    results: list[CheckResult] = []
    parked: CallParked | None = None
    for each in graded:
        try:
            results += await run_graded_checks([each], subject, client)
        except CallParked as call:
            parked = call
    if parked:
        raise parked
    return results

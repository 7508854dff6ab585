"""The calls that checks ask for: a judge's verdict, the same version with other inputs, vectors of texts.

They are made once the run they belong to has ended and is on disk, and each is logged as a run of kind
``judge`` whose metadata names that run.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from promptops.checks import (
    CheckSubject,
    CompiledCheck,
    GraderCall,
    GraderReply,
    compile_checks,
    run_graded_checks,
    validate_checks,
)
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import OverBudget, PromptopsError
from promptops.log import PackageLogger, with_hint
from promptops.prompt import Prompt
from promptops.prompt.tool_calls import comparable_calls
from promptops.providers.types import REFUSAL
from promptops.registry import CheckResult, without_quotes
from promptops.runner import Run, RunContext
from promptops.runner.retry import Limits
from promptops.runner.session import Session
from promptops.versions.resolve import Version, resolve_version, with_provenance

_LOG = PackageLogger("promptops.runner")
_MAX_VOTES = 101  # on one answer


class JudgeResolver:
    """The judges of one command, each resolved once: both sides of a comparison meet the same one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._versions: dict[str, Version] = {}

    def version(self, reference: str) -> Version:
        if reference not in self._versions:
            self._versions[reference] = with_provenance(
                resolve_version(reference, self.settings), self.settings
            )
        return self._versions[reference]

    def prompt(self, reference: str) -> Prompt:
        return self.version(reference).prompt


MakeRun = Callable[[Version, Mapping[str, Any], RunContext], Awaitable[Run]]
"""Makes one logged run: a session's, or a batch engine's within its budget and pace."""


def session_runs(session: Session, limits: Limits) -> MakeRun:
    def run(version: Version, inputs: Mapping[str, Any], origin: RunContext) -> Awaitable[Run]:
        return session.run(version, inputs, origin=origin, limits=limits)

    return run


@dataclass(slots=True, kw_only=True)
class LoggedGraderClient:
    """Makes the calls that the checks of one answer ask for. A judge never learns which side that was.

    ``version`` is what answers when a check asks it again; ``trial`` keeps the votes on one answer to a case
    apart from those on the next in the cache.
    """

    make_run: MakeRun
    judges: JudgeResolver
    version: Version | None = None
    run_id: str = ""
    eval_id: str | None = None
    trial: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spent_usd: float = 0.0
    over_budget: OverBudget | None = None  # a check that cannot say is an error; this is none of the case's

    def prompt(self, reference: str) -> Prompt:
        return self.judges.prompt(reference)

    async def ask(self, call: GraderCall) -> GraderReply:
        version = self.version if call.reference is None else self.judges.version(call.reference)
        assert version is not None  # noqa: S101 - only a check of a run asks its version again
        subject = {"judged_run": self.run_id} if self.run_id else {}
        origin = RunContext(
            kind="judge",
            trial=self.trial * _MAX_VOTES + call.trial,
            metadata={**subject, "check": call.check, **self.metadata},
            eval_id=self.eval_id,
            log=self.version.prompt.log if self.version else {},
        )
        try:
            run = await self.make_run(version, call.inputs, origin)
        except OverBudget as error:
            self.over_budget = error
            raise
        end = run.finished
        self.spent_usd += end.spent_usd or 0.0
        problem = f"{end.error_type}: {end.error_message}" if end.error_type else ""
        return GraderReply(output=end.output or comparable_calls(end.tool_calls), error=problem)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        from promptops.providers.embeddings import embed

        return await embed(model, texts, os.environ)


@dataclass(frozen=True, slots=True)
class ModelGradedChecks:
    """The checks of a version that cost calls, found fit to be run."""

    version: Version
    compiled: tuple[CompiledCheck, ...]
    client: LoggedGraderClient

    async def finish(self, run: Run, expected: Any = None, *, log: bool = True) -> Run:
        """The run with these checks beside the others. A call that failed has nothing to check."""
        graded = [each for each in self.compiled if each.needs_model]
        if not graded or run.error is not None:
            return run
        client = replace(self.client, version=self.version, run_id=run.started.run_id)
        results = await run_graded_checks(graded, check_subject(self.version.prompt, run, expected), client)
        if log:
            _log(client.judges.settings, self.version.prompt, run.started.run_id, results)
        order = {each.check.name: place for place, each in enumerate(self.compiled)}
        checks = sorted((*run.finished.checks, *results), key=lambda check: order.get(check.name, len(order)))
        return replace(run, finished=replace(run.finished, checks=tuple(checks)))


def prepare_model_graded_checks(version: Version, client: LoggedGraderClient) -> ModelGradedChecks:
    """Look the checks and their judges up. Raises Invalid before anything is spent."""
    prompt = version.prompt
    compiled = compile_checks(prompt.checks, prompt.path, client.judges.settings.root)
    validate_checks(compiled, prompt.output_schema, client)
    return ModelGradedChecks(version, compiled, client)


def check_subject(prompt: Prompt, run: Run, expected: Any = None) -> CheckSubject:
    return CheckSubject(
        output=run.text or comparable_calls(run.tool_calls),
        inputs=run.started.inputs or {},
        expected=expected,
        schema=prompt.output_schema,
        latency_ms=run.finished.latency_ms,
        cost_usd=run.finished.cost_usd,
        refused=run.finished.finish_reason == REFUSAL,
        truncated=run.truncated,
    )


def loggable_checks(
    settings: Settings, prompt: Prompt, results: Sequence[CheckResult]
) -> Sequence[CheckResult]:
    """Without their messages, which quote inputs and outputs, where those are not logged whole."""
    log = settings.log.with_prompt(prompt.log)
    return [replace(each, message=without_quotes(each.message, log)) for each in results]


def _log(settings: Settings, prompt: Prompt, run_id: str, results: Sequence[CheckResult]) -> None:
    """Add to the run's row; the answer goes on its way where that cannot be."""
    from promptops.registry import RegistryDatabase, add_check_outcomes

    try:
        with RegistryDatabase.open(settings.registry) as registry:
            add_check_outcomes(registry, run_id, loggable_checks(settings, prompt, results))
    except PromptopsError as error:
        message = f"these checks of run {run_id} have not been logged: {error.message}"
        _LOG.warning(with_hint(message, error.hint))

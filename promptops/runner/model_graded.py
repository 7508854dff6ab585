"""The calls that checks ask for: a judge's verdict, the same version with other inputs, vectors of texts.

They are made once the run they belong to has ended and is on disk, and each is logged as a run of kind
``judge`` whose metadata names that run.
"""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from typing import Any

from promptops.checks import (
    CheckSubject,
    CompiledCheck,
    GraderCall,
    GraderReply,
    compile_checks,
    judge_reference,
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
from promptops.versions.resolve import Version, resolve_version, with_provenance

_LOG = PackageLogger("promptops.runner")
_MAX_VOTES = 101  # on one answer


class JudgeResolver:
    """The judges of one command, each resolved once: both sides of a comparison meet the same one."""

    def __init__(self, settings: Settings, find: Callable[[str], Version] | None = None) -> None:
        """Without ``find`` they are looked for in the repository."""
        self.settings = settings
        self._find = find or self._in_repository
        self._versions: dict[str, Version] = {}

    def version(self, reference: str) -> Version:
        if reference not in self._versions:
            self._versions[reference] = self._find(reference)
        return self._versions[reference]

    def _in_repository(self, reference: str) -> Version:
        return with_provenance(resolve_version(reference, self.settings), self.settings)

    def prompt(self, reference: str) -> Prompt:
        return self.version(reference).prompt

    def prompts(self) -> list[Prompt]:
        """Those that have been asked for so far."""
        return [version.prompt for version in self._versions.values()]


MakeRun = Callable[[Version, Mapping[str, Any], RunContext], Awaitable[Run]]
"""Makes one logged run: a session's, or a batch engine's within its budget and pace."""


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
    api_key: str | None = None  # that pays
    spent_usd: float = 0.0
    unpriced: int = 0  # calls of unknown cost
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
            api_key=self.api_key,
            log=self.version.prompt.log if self.version else {},
        )
        try:
            run = await self.make_run(version, call.inputs, origin)
        except OverBudget as error:
            self.over_budget = error
            raise
        end = run.finished
        self.spent_usd += end.spent_usd or 0.0
        self.unpriced += end.spent_usd is None
        problem = f"{end.error_type}: {end.error_message}" if end.error_type else ""
        return GraderReply(output=end.output or comparable_calls(end.tool_calls), error=problem)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        from promptops.providers.embeddings import embed

        return await embed(model, texts, os.environ)


def guard_grader(
    settings: Settings,
    make_run: MakeRun,
    version: Version,
    started: tuple[str, RunContext],
    judges: JudgeResolver | None = None,
) -> LoggedGraderClient:
    """Who makes the calls that the guards of a run (its id, and how it came about) ask for.

    Their judges are found on this thread.

    One that cannot be found is a check that cannot say, once it is asked.
    """
    run_id, origin = started
    judges = judges or JudgeResolver(settings)
    for guard in version.prompt.guards:
        if reference := judge_reference(guard.check):
            with suppress(PromptopsError):
                judges.version(reference)
    return LoggedGraderClient(
        make_run=make_run,
        judges=judges,
        version=version,
        run_id=run_id,
        metadata={"guard": True},
        api_key=origin.api_key,
    )


@dataclass(frozen=True, slots=True)
class ModelGradedChecks:
    """The checks of a version that cost calls, found fit to be run."""

    version: Version
    compiled: tuple[CompiledCheck, ...]
    client: LoggedGraderClient

    async def finish(self, run: Run, expected: Any = None, *, log: bool = True) -> Run:
        """The run with these checks beside the others. A call that failed has nothing to check."""
        graded = [each for each in self.compiled if each.needs_model]
        if not graded or run.error is not None or run.blocked:
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
        tool_calls=run.tool_calls,
        tools=prompt.tools,
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

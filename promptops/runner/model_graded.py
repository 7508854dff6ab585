"""The calls that checks ask for: a judge's verdict, the same version with other inputs, vectors of texts.

They are made once the run they belong to has ended and is on disk, and each is logged as a run of kind
``judge`` whose metadata names that run.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from promptops.errors import PromptopsError
from promptops.log import PackageLogger, with_hint
from promptops.prompt import Check, Prompt
from promptops.registry import CheckResult
from promptops.runner import Run, RunContext
from promptops.runner.retry import Limits
from promptops.runner.session import Session
from promptops.versions.resolve import Version, resolve_version, with_provenance

_LOG = PackageLogger("promptops.runner")


class JudgeResolver:
    """The judges of one command, each resolved once: both sides of a comparison meet the same one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._versions: dict[str, Version] = {}

    def version(self, reference: str) -> Version:
        if reference not in self._versions:
            self._versions[reference] = with_provenance(
                resolve_version(reference, self._settings), self._settings
            )
        return self._versions[reference]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGraderClient:
    """Makes further calls for one run. ``version`` is what answers when a check asks it again."""

    session: Session
    judges: JudgeResolver
    version: Version | None = None
    run_id: str | None = None
    limits: Limits = field(default_factory=Limits)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, reference: str) -> Prompt:
        return self.judges.version(reference).prompt

    async def ask(self, call: GraderCall) -> GraderReply:
        version = self.version if call.reference is None else self.judges.version(call.reference)
        assert version is not None  # noqa: S101 - only a check of a run asks its version again
        about = {"judged_run": self.run_id} if self.run_id else {}
        metadata = {**about, "check": call.check, **self.metadata}
        origin = RunContext(kind="judge", trial=call.trial, metadata=metadata)
        run = await self.session.run(version, call.inputs, origin=origin, limits=self.limits)
        end = run.finished
        error = f"{end.error_type}: {end.error_message}" if end.error_type else ""
        return GraderReply(output=end.output or "", error=error)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        from promptops.providers.embeddings import embed

        return await embed(model, texts, os.environ)


@dataclass(frozen=True, slots=True)
class ModelGradedChecks:
    """The checks of a version that cost calls, found fit to be run."""

    version: Version
    compiled: tuple[CompiledCheck, ...]
    grader: SessionGraderClient

    async def finish(self, run: Run, expected: Any = None, *, log: bool = True) -> Run:
        """The run with these checks beside the others. A call that failed has nothing to check."""
        asked = [each for each in self.compiled if each.needs_model]
        if not asked or run.error is not None:
            return run
        asking = replace(self.grader, version=self.version, run_id=run.started.run_id)
        found = await run_graded_checks(asked, check_subject(self.version.prompt, run, expected), asking)
        if log:
            _log(self.grader.session.settings, run.started.run_id, found)
        order = {each.check.name: place for place, each in enumerate(self.compiled)}
        checks = sorted((*run.finished.checks, *found), key=lambda check: order.get(check.name, len(order)))
        return replace(run, finished=replace(run.finished, checks=tuple(checks)))


def prepare_model_graded_checks(
    version: Version, asking: SessionGraderClient, more: Sequence[Check] = (), *, root: Any = None
) -> ModelGradedChecks:
    """Look the checks and their judges up. Raises Invalid before anything is spent."""
    prompt = version.prompt
    compiled = compile_checks((*prompt.checks, *more), prompt.path, root or asking.session.settings.root)
    validate_checks(compiled, prompt.output.schema if prompt.output else None, asking)
    return ModelGradedChecks(version, compiled, asking)


def check_subject(prompt: Prompt, run: Run, expected: Any = None) -> CheckSubject:
    return CheckSubject(
        output=run.finished.output or "",
        inputs=run.started.inputs or {},
        expected=expected,
        schema=prompt.output.schema if prompt.output else None,
        latency_ms=run.finished.latency_ms,
        cost_usd=run.finished.cost_usd,
    )


def _log(settings: Settings, run_id: str, found: Sequence[CheckResult]) -> None:
    """Add to the run's row; the answer goes on its way where that cannot be."""
    from promptops.registry import RegistryDatabase, add_check_outcomes

    if settings.log.outputs != "full":  # messages quote the output
        found = [replace(each, message="") for each in found]
    try:
        with RegistryDatabase.open(settings.registry) as registry:
            add_check_outcomes(registry, run_id, found)
    except PromptopsError as error:
        message = f"these checks of run {run_id} have not been logged: {error.message}"
        _LOG.warning(with_hint(message, error.hint))

"""Runs that one process has begun and another one finishes: by callers with a model client of their own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.config.clock import utc_moment, utc_seconds
from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.log import PackageLogger
from promptops.prompt import Prompt, with_overrides
from promptops.prompt.json_schema import unknown_name_message
from promptops.prompt.render import RenderedPrompt
from promptops.providers.catalog import Catalog
from promptops.registry import RegistryDatabase, RegistryJournal, StartedRun, stored_prompt
from promptops.runner.observer import observer_for
from promptops.runner.run import PreparedRun, ReportedResult, Run, RunContext
from promptops.runner.runner import Runner, project_checks
from promptops.versions.resolve import Version, resolve_version

_LOG = PackageLogger("promptops.runner")

KEYS: Mapping[str, tuple[type, ...]] = {
    "output": (str,),
    "tool_calls": (list,),
    "input_tokens": (int,),
    "output_tokens": (int,),
    "error": (str, dict),
}
EXPECTED_KEYS = "{output?, tool_calls?, input_tokens?, output_tokens?, error?}"


def parse_reported_result(data: Any, where: str) -> ReportedResult:
    """What ``EXPECTED_KEYS`` says; an error is a text, or ``{type?, message}``."""
    if not isinstance(data, dict):
        raise Invalid(f"{where}: not a JSON object", hint=f"say what came of the call: {EXPECTED_KEYS}")
    given = {key: value for key, value in data.items() if value is not None}
    for key, value in given.items():
        if key not in KEYS:
            message, hint = unknown_name_message("key", key, tuple(KEYS))
            raise Invalid(f"{where}: {message}", hint=hint or f"known: {EXPECTED_KEYS}")
        if not isinstance(value, KEYS[key]) or isinstance(value, bool) or (type(value) is int and value < 0):
            raise Invalid(f"{where}: `{key}` cannot be {value!r}", hint=f"known: {EXPECTED_KEYS}")
    if not given.keys() & {"output", "tool_calls", "error"}:
        raise Invalid(
            f"{where}: neither output nor tool_calls nor error",
            hint=f"say what came of the call: {EXPECTED_KEYS}",
        )
    error = given.pop("error", None)
    if isinstance(error, dict):
        reason, kind = error.get("message"), error.get("type", "call_failed")
        if not isinstance(reason, str) or not isinstance(kind, str):
            raise Invalid(f"{where}: `error` must be a text, or an object of type and message")
        return ReportedResult(**given, error=reason, error_type=kind)
    return ReportedResult(**given, error=error)


def finish_external_run(settings: Settings, run_id: str, reported: ReportedResult) -> Run:
    """Log how a run of another process ended: checked, priced, its latency counted since it began.

    Raises Invalid when it has ended already, NotFound when there is none.
    """
    journal = RegistryJournal(settings)
    try:
        started = journal.resume(run_id)
        prompt, compiled = _prompt_of(settings, started)
        journal.add_rules(started.run_id, prompt.log)
        prepared = PreparedRun(
            version=_version(prompt, started),
            origin=RunContext(),
            rendered=RenderedPrompt((), started.inputs or {}),
            checks=project_checks(prompt, settings.root) if compiled else (),
            started=started,
        )
        runner = Runner(
            _no_model, Catalog.load(settings), journal, root=settings.root, observer=observer_for(settings)
        )
        return runner.finish(prepared, reported, _ms_since(started.started_at))
    finally:
        journal.close()


def _prompt_of(settings: Settings, run: StartedRun) -> tuple[Prompt, bool]:
    """The version that ran, and whether its checks are at hand: git has them, the registry has not."""
    for reference in _references(run):
        try:
            prompt = resolve_version(reference, settings).prompt
            if run.overrides:
                prompt = _apply_overrides(prompt, run.overrides)
        except PromptopsError:  # it is not there, or no longer as it was
            continue
        recorded = prompt.with_digest(run.digest)
        if recorded is not None:
            return recorded, True
    with RegistryDatabase.open_existing(settings.registry) as registry:
        stored = stored_prompt(registry, run.prompt, run.digest)
    if stored is None:
        raise NotFound(
            f"the version of run {run.run_id} is neither in git nor in the registry",
            hint=f"it was {run.prompt}@sha256:{run.digest[:12]}",
        )
    _LOG.warning(f"the files of run {run.run_id} are not in git, so its checks have not been made")
    return stored, False


def _references(run: StartedRun) -> list[str]:
    known = [rev for rev in (run.version, run.commit_sha) if rev]
    return [*(f"{run.prompt}@{rev}" for rev in known), run.prompt]


def _apply_overrides(prompt: Prompt, overrides: Mapping[str, Any]) -> Prompt:
    settings = {key: value for key, value in overrides.items() if key != "model"}
    return with_overrides(prompt, model=overrides.get("model"), settings=settings)


def _version(prompt: Prompt, run: StartedRun) -> Version:
    version = Version(prompt=prompt, reference=run.reference, source="registry", pasteable=run.reference)
    return replace(version, commit_sha=run.commit_sha, version=run.version, channel=run.channel)


def _ms_since(started_at: str) -> float:
    """Milliseconds until now; a clock that was set back meanwhile has not gone below zero."""
    return max(0.0, round((utc_moment() - utc_seconds(started_at)) * 1000, 3))


def _no_model(model: str) -> Any:
    raise Invalid(f"{model} is not called here")

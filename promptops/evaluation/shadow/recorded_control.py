"""The control's side as it was answered then: a row of its own, checked as the candidate's, for nothing."""

from dataclasses import replace
from typing import Any

from promptops.config.clock import utc_now
from promptops.config.settings import Settings
from promptops.evaluation.shadow.input_sampling import ReplayInput
from promptops.providers.catalog import Catalog
from promptops.registry import (
    FinishedRun,
    NoJournal,
    RegistryDatabase,
    redact_finished_run,
    redact_started_run,
)
from promptops.runner import Run, RunContext, Runner
from promptops.runner.results import with_checks
from promptops.versions.resolve import Version

_FINISHED_FIELDS = (
    "response_model", "finish_reason", "response_id", "latency_ms", "first_token_ms", "input_tokens",
    "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "cost_list_usd",
)  # fmt: skip
_STARTED_FIELDS = (
    "reference",
    "source",
    "commit_sha",
    "dirty",
    "version",
    "request_model",
    "messages_hash",
    "parameters",
)


def record_control_run(
    registry: RegistryDatabase,
    settings: Settings,
    reference_prompt: Version,
    source: ReplayInput,
    origin: RunContext,
) -> Run:
    """Log what the source run was answered, under the checks of ``reference_prompt``."""
    assert source.run is not None  # noqa: S101 - only inputs of the log were answered
    before = source.run
    runner = Runner(_no_adapter, Catalog.load(settings), NoJournal(), root=settings.root)
    alone = replace(reference_prompt, prompt=replace(reference_prompt.prompt, guards=()))  # it was answered
    prepared = runner.ready(alone, source.case.inputs, origin, called=False)
    started = replace(
        prepared.started,
        digest=before["digest"].removeprefix("sha256:"),
        **{name: before[name] for name in _STARTED_FIELDS},
    )
    end = FinishedRun(
        finished_at=utc_now(),
        state="finished",
        output=before["output"],
        tool_calls=before["tool_calls"],
        spent_usd=0.0,
        cache_source=before["run_id"],
        error_type=(before["error"] or {}).get("type"),
        error_message=(before["error"] or {}).get("message"),
        **{name: before[name] for name in _FINISHED_FIELDS},
    )
    end = with_checks(replace(prepared, started=started), end)
    row = redact_started_run(started, settings.log)
    registry.record([(row, redact_finished_run(started, end, settings.log))])
    return Run(started=started, finished=end)


def _no_adapter(model: str) -> Any:
    raise AssertionError(model)

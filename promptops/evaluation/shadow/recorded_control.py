"""The control's side as it was answered then: a row of its own, checked as the candidate's, for nothing."""

from dataclasses import replace
from typing import Any

from promptops.config.settings import Settings
from promptops.evaluation.shadow.input_sampling import Source
from promptops.providers.catalog import Catalog
from promptops.registry.records import FinishedRun, utc_now
from promptops.registry.runs.journal import NoJournal, kept_end, kept_start
from promptops.registry.store import Registry
from promptops.runner import Origin, Run, Runner
from promptops.runner.results import checked
from promptops.versions.resolve import Version

_ENDED = (
    "response_model", "finish_reason", "response_id", "latency_ms", "first_token_ms", "input_tokens",
    "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "cost_list_usd",
)  # fmt: skip
_STARTED = (
    "reference",
    "source",
    "commit_sha",
    "dirty",
    "version",
    "request_model",
    "messages_hash",
    "parameters",
)


def record_answer(
    registry: Registry, settings: Settings, yardstick: Version, source: Source, origin: Origin
) -> Run:
    """Log what the source run was answered, under the checks of ``yardstick``."""
    assert source.run is not None  # noqa: S101 - only inputs of the log were answered
    before = source.run
    runner = Runner(_no_adapter, Catalog.load(settings), NoJournal(), root=settings.root)
    prepared = runner.ready(yardstick, source.case.inputs, origin, called=False)
    started = replace(
        prepared.started,
        digest=before["digest"].removeprefix("sha256:"),
        **{name: before[name] for name in _STARTED},
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
        **{name: before[name] for name in _ENDED},
    )
    end = checked(replace(prepared, started=started), end)
    registry.record([(kept_start(started, settings.log), kept_end(end, settings.log))])
    return Run(started=started, finished=end)


def _no_adapter(model: str) -> Any:
    raise AssertionError(model)

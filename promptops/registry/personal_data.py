"""Rows of the log without the personal data that promptops.yaml and the prompt say to redact.

A text that cannot be looked at (a redactor fails, a pattern takes too long) is not kept: the run is logged
without it. What was replaced is counted by kind; a redacted answer is no answer for others, so it leaves the
cache.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from promptops.config.settings import LogSettings
from promptops.log import PackageLogger
from promptops.providers.types import TRUNCATED
from promptops.registry.records import CheckResult, FinishedRun, StartedRun

if TYPE_CHECKING:  # loaded where something is to be redacted
    from promptops.privacy.redactor import Counts, Redactor

Row = TypeVar("Row", StartedRun, FinishedRun)
NOT_KEPT = {"failed": 1}
"""What is counted where a text could not be looked at."""

_PARAMETER = "parameters."  # before the name of one that was set for a call
_LOG = PackageLogger("promptops.registry")
_OWN_KEYS = ("model", "started_at", "latency_ms")  # of an attempt


def redact_personal_start(run: StartedRun, log: LogSettings) -> StartedRun:
    return _redacted(run, run.log, log, _start_without, _start_without_texts)


def redact_personal_end(run: StartedRun, end: FinishedRun, log: LogSettings) -> FinishedRun:
    kept = _redacted(end, run.log, log, _end_without, _end_without_texts)
    redacted = run.redacted_inputs or kept.redacted_outputs
    return replace(kept, cache_key=None) if redacted and kept.cache_key else kept


def redact_text(text: str, log: LogSettings, rules: Iterable[Mapping[str, Any]] = ()) -> str:
    """A text that is logged beside runs; nothing of it where it cannot be looked at."""
    for prompt in rules:
        log = log.with_prompt(prompt)
    if not text or not log.redact:
        return text
    from promptops.privacy.redactor import RedactionError

    try:
        redactor = _redactor_of(log)
        return redactor.text(text, {}) if redactor else text
    except RedactionError as error:
        _warn(error)
        return ""


def redact_value(value: Any, log: LogSettings) -> Any:
    """A JSON value that goes into a report; None where it cannot be looked at."""
    if not log.redact:
        return value
    from promptops.privacy.redactor import RedactionError

    try:
        redactor = _redactor_of(log)
        return redactor.value(value, {}) if redactor else value
    except RedactionError as error:
        _warn(error)
        return None


def _redactor_of(log: LogSettings) -> "Redactor | None":
    from promptops.privacy.redactor import redactor_for

    return redactor_for(log)


def _redacted(
    row: Row,
    rules: Mapping[str, Any],
    log: LogSettings,
    work: "Callable[[Row, Redactor], Row]",
    without_texts: Callable[[Row], Row],
) -> Row:
    if not (log.redact or rules.get("redact")):
        return row
    from promptops.privacy.redactor import RedactionError

    try:
        redactor = _redactor_of(log.with_prompt(rules))
        return work(row, redactor) if redactor else row
    except RedactionError as error:
        _warn(error)
        return without_texts(row)


def _warn(error: Exception) -> None:
    _LOG.warning(f"{error}: texts that it should have looked at are not kept")


def _start_without(run: StartedRun, redactor: "Redactor") -> StartedRun:
    from promptops.privacy.redactor import redacted_hash

    found: Counts = {}
    beside: Counts = {}
    inputs = redactor.value(run.inputs, found)
    metadata = redactor.value(run.metadata, beside) if run.metadata else run.metadata
    fallback = run.fallback and redactor.text(run.fallback, beside)
    if beside:
        run = replace(run, metadata=metadata, fallback=fallback)
    run = _set_without(run, redactor, found)
    if not found:
        return run
    stands_for = redacted_hash(run.digest, inputs)
    return replace(
        run,
        inputs=inputs,
        inputs_hash=run.inputs_hash and stands_for,
        messages_hash=stands_for,
        redacted_inputs=dict(found),
    )


def _set_without(run: StartedRun, redactor: "Redactor", found: "Counts") -> StartedRun:
    """What was set for this call alone, such as a ``user``; the rest are parameters of a version."""
    if not run.overrides:
        return run
    overrides = {
        key: redactor.value(value, found) if key.startswith(_PARAMETER) else value
        for key, value in run.overrides.items()
    }
    if overrides == run.overrides:
        return run
    return replace(run, overrides=overrides, parameters=redactor.value(run.parameters, {}))


def _start_without_texts(run: StartedRun) -> StartedRun:
    from promptops.privacy.redactor import redacted_hash

    nothing = redacted_hash(run.digest, run.run_id)
    run = replace(run, inputs=None, inputs_hash=None, metadata={}, messages_hash=nothing)
    if set_here := {key for key in run.overrides if key.startswith(_PARAMETER)}:
        overrides = {key: value for key, value in run.overrides.items() if key not in set_here}
        run = replace(run, overrides=overrides, parameters={})
    return replace(run, fallback=run.fallback and "not kept", redacted_inputs=NOT_KEPT)


def _end_without(end: FinishedRun, redactor: "Redactor") -> FinishedRun:
    found: Counts = {}
    cut = end.state != "finished" or end.finish_reason == TRUNCATED
    output = end.output and (redactor.cut_text if cut else redactor.text)(end.output, found)
    calls = [_call_without(call, redactor, found) for call in end.tool_calls]
    message = end.error_message and redactor.text(end.error_message, found)
    attempts = [
        {key: value if key in _OWN_KEYS else redactor.value(value, found) for key, value in attempt.items()}
        for attempt in end.attempts
    ]
    checks = tuple(_check_without(check, redactor, found) for check in end.checks)
    guards = tuple(
        replace(each, why=redactor.text(each.why, found)) if each.why else each for each in end.guards
    )
    if not found:
        return end
    return replace(
        end,
        output=output,
        tool_calls=calls,
        error_message=message,
        attempts=attempts,
        checks=checks,
        guards=guards,
        redacted_outputs=dict(found),
    )


def _call_without(call: Mapping[str, Any], redactor: "Redactor", found: "Counts") -> dict[str, Any]:
    """Arguments are JSON in a text."""
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return redactor.value(call, found)  # type: ignore[no-any-return]  # a mapping of a mapping
    arguments = redactor.arguments(function["arguments"], found)
    rest = {key: redactor.value(value, found) for key, value in function.items() if key != "arguments"}
    others = {key: redactor.value(value, found) for key, value in call.items() if key != "function"}
    return {**others, "function": {**rest, "arguments": arguments}}


def _check_without(check: CheckResult, redactor: "Redactor", found: "Counts") -> CheckResult:
    return replace(check, message=redactor.text(check.message, found)) if check.message else check


def _end_without_texts(end: FinishedRun) -> FinishedRun:
    message = end.error_message and f"{end.error_type}: the words are not kept"
    attempts = [{key: attempt[key] for key in _OWN_KEYS if key in attempt} for attempt in end.attempts]
    checks = tuple(replace(check, message="") for check in end.checks)
    end = replace(end, guards=tuple(replace(each, why="") for each in end.guards))
    end = replace(end, output=None, tool_calls=(), error_message=message, attempts=attempts, checks=checks)
    return replace(end, redacted_outputs=NOT_KEPT)

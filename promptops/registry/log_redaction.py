"""What of a run is kept: no secret ever, and no text that the settings say not to keep.

A text may quote others: errors and checks quote inputs and outputs, the inputs of a judge are an answer of
another run, and so are those of a turn of a conversation. So what may quote a text goes with it, and only
words of our own stay.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.config.settings import LogSettings, Retention
from promptops.redaction import redact, redact_sent_keys, redact_texts
from promptops.registry.personal_data import redact_personal_end, redact_personal_start, redact_text
from promptops.registry.records import PARENT, FinishedRun, StartedRun

_OWN_WORDS = frozenset(
    {"timeout", "interrupted", "connection", "input_blocked", "output_blocked"}
)  # errors that quote nobody
_QUOTES_NOBODY = frozenset({"model", "started_at", "latency_ms", "error"})  # of what an attempt holds
_PLAIN_ATTEMPT = 3  # entries: model, started_at, latency_ms
_BY_STRICTNESS: tuple[Retention, ...] = ("full", "hash", "none")


def redact_started_run(run: StartedRun, log: LogSettings) -> StartedRun:
    """The row without what the settings say not to keep."""
    run = redact_personal_start(run, log)
    kept = _retention_of_inputs(run, log)
    if kept == "full":
        return run
    return replace(run, inputs=None, inputs_hash=run.inputs_hash if kept == "hash" else None)


def redact_finished_run(run: StartedRun, end: FinishedRun, log: LogSettings) -> FinishedRun:
    """The row without secrets, and without what the settings say not to keep."""
    end = redact_personal_end(run, _without_secrets(end), log)
    if log.inputs == log.outputs == "full":
        return end
    if log.inputs != "full":
        end = replace(end, shadow=None)  # nobody could answer what is not kept
    end = replace(
        end,
        error_message=_own_words(end.error_type, end.error_message, log),
        attempts=[_attempt_without_quotes(attempt, log) for attempt in end.attempts],
        checks=tuple(replace(check, message=without_quotes(check.message, log)) for check in end.checks),
        guards=tuple(replace(each, why=without_quotes(each.why, log)) for each in end.guards),
    )
    return _without_output(end, _retention_of_output(run, log))


def is_quick_to_redact(run: StartedRun, end: FinishedRun | None, log: LogSettings) -> bool:
    """Whether ``redact_started_run`` and ``redact_finished_run`` have little to look for.

    Personal data takes long, and so does a text that may have ended in the middle of a key.
    """
    if log.redact or run.log.get("redact"):
        return False
    if end is None:
        return True
    whole = not end.output or (end.finish_reason == "stop" and end.error_type is None)
    return whole and not end.error_message


def without_quotes(message: str, log: LogSettings) -> str:
    """What may quote inputs or outputs: nothing where one of them is not kept, else without personal data."""
    return redact_text(message, log) if log.inputs == log.outputs == "full" else ""


def _retention_of_inputs(run: StartedRun, log: LogSettings) -> Retention:
    quotes_answers = run.kind == "judge" or PARENT in run.metadata
    return _stricter(log.inputs, log.outputs) if quotes_answers else log.inputs


def _retention_of_output(run: StartedRun, log: LogSettings) -> Retention:
    return _stricter(log.inputs, log.outputs) if run.kind == "judge" else log.outputs


def _stricter(one: Retention, other: Retention) -> Retention:
    return max(one, other, key=_BY_STRICTNESS.index)


def _without_output(end: FinishedRun, kept: Retention) -> FinishedRun:
    if kept == "full":
        return end
    data = end.output.encode("utf-8", "surrogatepass") if end.output is not None else None
    return replace(
        end,
        cache_key=None,  # without its text it answers nobody
        output=None,
        output_hash=hashlib.sha256(data).hexdigest() if data is not None and kept == "hash" else None,
        tool_calls=(),
    )


def _own_words(kind: str | None, message: str | None, log: LogSettings) -> str | None:
    if message is None or kind in _OWN_WORDS:
        return message
    if kind == "invalid_output":
        return message if log.outputs == "full" else "the output does not match its schema"
    return f"{kind}: the words are not kept, as they may quote what is not (`log` in promptops.yaml)"


def _attempt_without_quotes(attempt: Mapping[str, Any], log: LogSettings) -> dict[str, Any]:
    kept = {key: value for key, value in attempt.items() if log.outputs == "full" or key in _QUOTES_NOBODY}
    if error := attempt.get("error"):
        kept["error"] = {**error, "message": _own_words(error.get("type"), error.get("message"), log)}
    return kept


def _without_secrets(end: FinishedRun) -> FinishedRun:
    cut = end.finish_reason != "stop" or end.error_type is not None
    output = end.output and redact_sent_keys(end.output, cut=cut)
    if output is not end.output:
        end = replace(end, output=output)
    if end.tool_calls:
        end = replace(end, tool_calls=redact_texts(end.tool_calls))
    if end.error_message:
        end = replace(end, error_message=redact(end.error_message))
    if any(len(attempt) > _PLAIN_ATTEMPT for attempt in end.attempts):
        end = replace(end, attempts=redact_texts(end.attempts))
    return end

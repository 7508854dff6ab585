"""Between records and table rows, both ways."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from promptops.config.clock import utc_now
from promptops.registry.connection import Row
from promptops.registry.records import CheckResult, FinishedRun, GuardDecision, StartedRun

Values = tuple[Any, ...]

STARTED_COLUMNS = (
    "run_id", "started_at", "reference", "prompt", "digest", "request_model", "messages_hash", "kind",
    "source", "commit_sha", "dirty", "version", "channel", "rollout", "arm", "weight_bp", "unit_hash",
    "unit_key_id", "excluded", "fallback", "case_id", "trial", "shadow_of", "batch_id", "batch_line",
    "eval_id", "inputs_hash", "redacted_inputs", "tenant", "api_key", "nonce",
)  # fmt: skip
FINISHED_COLUMNS = (
    "finished_at", "state", "response_model", "output_hash", "finish_reason", "response_id", "input_tokens",
    "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "cost_list_usd", "spent_usd",
    "latency_ms", "first_token_ms", "cache_key", "cache_source", "error_type", "error_message", "retryable",
    "redacted_outputs",
)  # fmt: skip
STARTED_TEXT_COLUMNS = ("parameters", "overrides", "metadata", "inputs")
FINISHED_TEXT_COLUMNS = ("output", "tool_calls", "attempts")

_LARGEST = 2**63
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ALWAYS_STORABLE = frozenset({type(None), float, bool})
_started = attrgetter(*STARTED_COLUMNS)
_finished = attrgetter(*FINISHED_COLUMNS)


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _update(table: str, columns: Sequence[str], where: str) -> str:
    return f"UPDATE {table} SET {', '.join(f'{column} = ?' for column in columns)} WHERE {where}"


WRITER_COLUMNS = ("writer_id", "writer_counter")
INSERT_RUN = (
    _insert("runs", (*WRITER_COLUMNS, *STARTED_COLUMNS, *FINISHED_COLUMNS, "checks_failed"))
    + " RETURNING seq"
)
INSERT_RUN_TEXTS = _insert("run_texts", ("seq", *STARTED_TEXT_COLUMNS, *FINISHED_TEXT_COLUMNS))
UPDATE_FINISHED = _update(
    "runs", (*FINISHED_COLUMNS, "checks_failed"), "run_id = ? AND state = 'started' RETURNING seq"
)
UPDATE_TEXTS = _update("run_texts", FINISHED_TEXT_COLUMNS, "seq = ?")
INSERT_TAG = "INSERT INTO run_tags (tag, seq) VALUES (?, ?) ON CONFLICT DO NOTHING"
INSERT_OUTCOME = _insert(
    "outcomes", ("run_seq", "source", "name", "passed", "value", "text", "occurred_at", "recorded_at")
)
# One that finds too many waiting is done at once, undone.
INSERT_SHADOW_JOB = (
    "INSERT INTO jobs (kind, run_id, payload, created_at, done_at, error_message) "
    "SELECT 'shadow', ?, ?, ?, CASE WHEN waiting.many THEN ? END, "
    "CASE WHEN waiting.many THEN 'too many waited' END FROM (SELECT EXISTS "
    "(SELECT 1 FROM jobs WHERE kind = 'shadow' AND done_at IS NULL LIMIT 1 OFFSET ?) AS many) AS waiting"
)
MAX_SHADOW_JOBS = 10_000
INSERT_GUARDED_RUN = (
    "INSERT INTO guarded_runs (run_seq, decisions, reasons) "
    "SELECT seq, ?, ? FROM runs WHERE run_id = ? ON CONFLICT DO NOTHING"
)
INSERT_HELD_RUN = (
    "INSERT INTO held_runs (run_seq) SELECT seq FROM runs WHERE run_id = ? ON CONFLICT DO NOTHING"
)


def started_values(run: StartedRun) -> Values:
    return _storables(_started(run))


def finished_values(end: FinishedRun) -> Values:
    return (*_storables(_finished(end)), _count_failed_checks(end.checks))


UNFINISHED_VALUES: Values = tuple(
    "started" if name == "state" else None for name in (*FINISHED_COLUMNS, "checks_failed")
)


def started_texts(run: StartedRun) -> Values:
    inputs = None if run.inputs is None else record_json(run.inputs)
    return record_json(run.parameters), record_json(run.overrides), record_json(run.metadata), inputs


def finished_texts(end: FinishedRun) -> Values:
    calls = record_json(list(end.tool_calls)) if end.tool_calls else None
    return storable(end.output), calls, record_json(list(end.attempts)) if end.attempts else None


def tag_values(run: StartedRun, seq: int) -> list[Values]:
    tags = run.metadata.get("tags")
    if isinstance(tags, str):
        tags = [tags]
    return [(storable(str(tag)), seq) for tag in tags] if isinstance(tags, list | tuple) else []


def outcome_values(end: FinishedRun, seq: int, recorded_at: str) -> list[Values]:
    return check_values(end.checks, seq, end.finished_at, recorded_at)


def guard_values(run_id: str, decisions: Sequence[GuardDecision]) -> Values:
    """The reasons stand apart, so that they can be erased."""
    rows = [[each.guard, each.on, each.did, each.error, each.ms, each.usd] for each in decisions]
    reasons = [each.why for each in decisions]
    return record_json(rows), record_json(reasons) if any(reasons) else "", run_id


def guard_decisions(decisions: str | None, reasons: str | None) -> tuple[GuardDecision, ...]:
    """What ``guard_values`` has written."""
    rows = json.loads(decisions or "[]")
    words = json.loads(reasons) if reasons else [""] * len(rows)
    return tuple(
        GuardDecision(guard=guard, on=on, did=did, why=why, error=bool(error), ms=ms, usd=usd)
        for (guard, on, did, error, ms, usd), why in zip(rows, words, strict=True)
    )


def shadow_job_values(run_id: str, about: Mapping[str, str]) -> Values:
    now = utc_now()
    return run_id, record_json(about), now, now, MAX_SHADOW_JOBS


def check_values(checks: Iterable[CheckResult], seq: int, occurred_at: str, recorded_at: str) -> list[Values]:
    """A row each; one that could not say has neither passed nor failed, and NULL says so.

    Further calls that gave no verdict are an outcome of their own: their share of those made.
    """
    values: list[Values] = []
    for check in checks:
        passed = None if check.error else check.passed
        name, text = storable(check.name), storable(check.message)
        values.append((seq, "check", name, passed, check.value, text, occurred_at, recorded_at))
        if check.asked:
            share, text = check.failed / check.asked, f"{check.failed} of {check.asked} calls"
            values.append((seq, "judge", f"{name}.failed", None, share, text, occurred_at, recorded_at))
    return values


def _count_failed_checks(checks: Sequence[CheckResult]) -> int | None:
    """None where nothing was checked, so that a rate counts only what was."""
    return sum(not check.passed for check in checks) if checks else None


def _storables(values: Values) -> Values:
    return tuple(
        [
            each
            if type(each) in _ALWAYS_STORABLE or (type(each) is str and each.isascii())
            else storable(each)
            for each in values
        ]
    )


def storable(value: Any) -> Any:
    r"""What a column can hold, as nothing in a model's JSON must cost the row.

    No number where SQLite has none so large. Lone surrogates become their escapes, ``\ud83d``: text cannot
    hold them, and what stands for any of them would not tell what the model sent.
    """
    if isinstance(value, Mapping):
        return record_json(value)
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else None
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            paired = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
            return paired.encode("utf-8", "backslashreplace").decode()
    return value


def record_json(value: Any) -> str:
    text = "{}" if value == {} else _compact(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(value, separators=(",", ":"))
    return text


def started_run_from_row(row: Row) -> StartedRun:
    fields: dict[str, Any] = {name: row[name] for name in STARTED_COLUMNS}
    fields |= {name: json.loads(row[name]) for name in ("parameters", "overrides", "metadata")}
    fields |= {
        "dirty": bool(row["dirty"]),
        "inputs": None if row["inputs"] is None else json.loads(row["inputs"]),
        "redacted_inputs": _counts(row["redacted_inputs"]),
    }
    return StartedRun(**fields)


def finished_run_from_row(row: Row, outcomes: Iterable[Row]) -> FinishedRun | None:
    if row["state"] == "started":
        return None
    fields: dict[str, Any] = {name: row[name] for name in FINISHED_COLUMNS}
    fields["retryable"] = None if row["retryable"] is None else bool(row["retryable"])
    fields |= {name: json.loads(row[name] or "[]") for name in ("tool_calls", "attempts")}
    fields["redacted_outputs"] = _counts(row["redacted_outputs"])
    checks = tuple(_check_from(outcome) for outcome in outcomes if outcome["source"] == "check")
    return FinishedRun(**fields, output=row["output"], checks=checks)


def _counts(text: str | None) -> dict[str, int] | None:
    return None if text is None else json.loads(text)


def _check_from(row: Row) -> CheckResult:
    return CheckResult(
        name=row["name"],
        passed=bool(row["passed"]),
        value=row["value"],
        message=row["text"],
        error=row["passed"] is None,
    )


def run_to_json(run: StartedRun, end: FinishedRun | None) -> dict[str, Any]:
    """A run as the JSON object that scripts rely on: keys may be added, never renamed."""
    end_or_none = end or FinishedRun(finished_at="", state="started")
    return {
        **_describe_identity(run),
        **_describe_answer(run, end_or_none),
        **_describe_details(run, end_or_none),
    }


def _describe_identity(run: StartedRun) -> dict[str, Any]:
    names = ("version", "channel", "rollout", "arm", "commit_sha", "dirty", "request_model")
    return {
        "run_id": run.run_id,
        "reference": run.reference,
        "prompt": run.prompt,
        "digest": f"sha256:{run.digest}",
        **{name: getattr(run, name) for name in names},
    }


def _describe_answer(run: StartedRun, end: FinishedRun) -> dict[str, Any]:
    error = {"type": end.error_type, "message": end.error_message, "retryable": end.retryable}
    return {
        "response_model": end.response_model,
        "inputs": run.inputs,
        "output": end.output,
        "output_json": parse_output_json(end.output),
        "checks": [
            {"name": check.name, "pass": check.passed, "value": check.value, "message": check.message}
            | ({"error": True} if check.error else {})
            for check in end.checks
        ],
        "guards": [asdict(decision) for decision in end.guards],
        "input_tokens": end.input_tokens,
        "output_tokens": end.output_tokens,
        "cost_usd": end.cost_usd,
        "spent_usd": end.spent_usd,
        "latency_ms": end.latency_ms,
        "finish_reason": end.finish_reason,
        "cache": None if end.cache_source is None else {"run_id": end.cache_source},
        "error": None if end.error_type is None else error,
        "batch_line": run.batch_line,
        "held": end.held,
    }


def _describe_details(run: StartedRun, end: FinishedRun) -> dict[str, Any]:
    started = (
        "kind",
        "started_at",
        "source",
        "weight_bp",
        "excluded",
        "fallback",
        "case_id",
        "trial",
        "shadow_of",
        "batch_id",
        "eval_id",
        "tenant",
    )
    ended = ("cached_tokens", "reasoning_tokens", "cost_list_usd", "first_token_ms", "response_id")
    return {
        **{name: getattr(run, name) for name in started},
        "state": end.state,
        "finished_at": end.finished_at or None,
        **{name: getattr(end, name) for name in ended},
        "parameters": dict(run.parameters),
        "overrides": dict(run.overrides),
        "metadata": dict(run.metadata),
        "tool_calls": list(end.tool_calls),
        "attempts": list(end.attempts),
        "messages_hash": run.messages_hash,
        "redacted": describe_redaction(run, end),
        "nonce": run.nonce,
    }


def describe_redaction(run: StartedRun, end: FinishedRun) -> dict[str, Any] | None:
    """How many values of each kind were replaced before the run was logged; None where none was."""
    counts = {"inputs": run.redacted_inputs, "outputs": end.redacted_outputs}
    return {name: dict(count) for name, count in counts.items() if count} or None


def parse_output_json(output: str | None) -> Any:
    """The output parsed, when it is a JSON object or array and nothing else."""
    if output is None or not output.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return None

"""What the loopback batch provider says on either wire: jobs, results, replies."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from support.batch_jobs import RATES, Faults, Job, Outcome, Usage, written

_DAY = 86_400
_OPENAI_WORDS = {"pending": "in_progress", "ended": "completed"}
_ENDPOINT = "/v1/chat/completions"
_PATHS = (_ENDPOINT, "/chat/completions")


def openai_requests(content: bytes) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """What a file of requests holds, and why it is not valid."""
    try:
        rows = [json.loads(line) for line in content.splitlines()]
        requests = [(row["custom_id"], row["body"]) for row in rows]
    except (ValueError, KeyError):
        return [], "This line is not parseable as valid JSON."
    models = {request.get("model") for _, request in requests}
    if len({custom_id for custom_id, _ in requests}) != len(requests):
        return requests, "The custom_id for this request is a duplicate of another request."
    if any(row["method"] != "POST" or row["url"] not in _PATHS for row in rows):
        return requests, "The URL provided for this request does not match the batch endpoint."
    if len(models) != 1 or not models <= RATES.keys():
        return requests, f"The provided model is not supported by the Batch API: {models}"
    return requests, "Streaming is not supported." if any(r.get("stream") for _, r in requests) else ""


def openai_job(job: Job) -> dict[str, Any]:
    stamp, done = int(job.created), job.counts
    errors = {"object": "list", "data": [{"code": "invalid_json_line", "message": job.problem, "line": 1}]}
    files = {f"{name}_file_id": f"{job.id}-{name}" for name in ("output", "error")}
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": _ENDPOINT,
        "completion_window": "24h",
        "input_file_id": "file_0001",
        "errors": errors if job.state == "failed" else None,
        "status": _OPENAI_WORDS.get(job.state, job.state),
        **{key: file if file in job.files else None for key, file in files.items()},
        "created_at": stamp,
        "expires_at": stamp + _DAY,
        "completed_at": stamp + 60 if job.state == "ended" else None,
        "request_counts": {
            "total": len(job.requests),
            "completed": done["answered"],
            "failed": done.total() - done["answered"],
        },
        "metadata": job.metadata,
    }


def openai_file(name: str, size: int) -> dict[str, Any]:
    about = {"filename": "batch.jsonl", "created_at": 1_790_000_000, "status": "processed"}
    return {"id": name, "object": "file", "purpose": "batch", "bytes": size, **about}


def openai_files(job: Job) -> dict[str, bytes]:
    """The output file and the error file, of which one without lines does not exist."""
    output, errors = [], []
    for number, outcome in enumerate(job.outcomes):
        row: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": outcome.custom_id}
        if outcome.usage is not None:
            reply = openai_reply(outcome.model, outcome.text, outcome.usage)
            row |= {"response": {"status_code": 200, "request_id": "r", "body": reply}, "error": None}
            output.append(row)
        else:
            errors.append(row | _openai_failure(outcome, job.faults))
    files = {
        "output": written(output, job.faults),
        "error": written(errors, replace(job.faults, garbage=())),
    }
    return {f"{job.id}-{name}": content for name, content in files.items() if content}


def _openai_failure(outcome: Outcome, faults: Faults) -> dict[str, Any]:
    if outcome.ending in {"expired", "cancelled"}:
        message = "This request could not be executed before the completion window expired."
        return {"response": None, "error": {"code": f"batch_{outcome.ending}", "message": message}}
    status, error = faults.fail_status, {"message": "The server had an error", "type": "server_error"}
    if outcome.ending == "no_funds":
        status, error = 429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    return {"response": {"status_code": status, "request_id": "r", "body": {"error": error}}, "error": None}


def openai_reply(model: str, text: str, used: Usage) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": used.input,
            "completion_tokens": used.output,
            "total_tokens": used.input + used.output,
            "prompt_tokens_details": {"cached_tokens": used.cached},
            "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        },
    }


def anthropic_problem(requests: list[tuple[str, dict[str, Any]]]) -> str:
    """Why a batch is refused at once: Anthropic checks the rest of each request when its turn comes."""
    if len({custom_id for custom_id, _ in requests}) != len(requests):
        return "requests: custom_id must be unique within a batch"
    needed = ("model", "max_tokens", "messages")
    for number, (_, params) in enumerate(requests):
        if missing := [name for name in needed if name not in params]:
            return f"requests.{number}.params.{missing[0]}: Field required"
        if params["model"] not in RATES:
            return f"requests.{number}.params.model: not found"
    return ""


def anthropic_job(job: Job, base_url: str) -> dict[str, Any]:
    done, over = job.counts, job.state not in {"pending", "cancelling"}
    processing = 0 if over else len(job.requests)
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": "ended" if over else {"cancelling": "canceling"}.get(job.state, "in_progress"),
        "request_counts": {
            "processing": processing,
            "succeeded": done["answered"],
            "errored": done["failed"] + done["no_funds"],
            "canceled": done["cancelled"],
            "expired": done["expired"],
        },
        "created_at": _iso(job.created),
        "expires_at": _iso(job.created + _DAY),
        "ended_at": _iso(job.created + 60) if over else None,
        "results_url": f"{base_url}/messages/batches/{job.id}/results" if over else None,
    }


def anthropic_file(job: Job) -> dict[str, bytes]:
    rows = [
        {"custom_id": outcome.custom_id, "result": _anthropic_result(outcome, job.faults)}
        for outcome in job.outcomes
    ]
    return {f"{job.id}-results": written(rows, job.faults)}


def _anthropic_result(outcome: Outcome, faults: Faults) -> dict[str, Any]:
    if outcome.usage is not None:
        reply = anthropic_reply(outcome.model, outcome.text, outcome.usage)
        return {"type": "succeeded", "message": reply}
    if outcome.ending in {"expired", "cancelled"}:
        return {"type": {"cancelled": "canceled"}.get(outcome.ending, "expired")}
    kind = "api_error" if faults.fail_status >= 500 else "invalid_request_error"
    error = {"type": kind, "message": "Internal server error"}
    if outcome.ending == "no_funds":
        error = {"type": "billing_error", "message": "Your credit balance is too low"}
    return {"type": "errored", "error": {"type": "error", "error": error, "request_id": "r"}}


def anthropic_reply(model: str, text: str, used: Usage) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": used.input - used.cached - used.written,
            "cache_read_input_tokens": used.cached,
            "cache_creation_input_tokens": used.written,
            "output_tokens": used.output,
            "service_tier": "batch",
        },
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def shown(job: Job, base_url: str) -> Mapping[str, Any]:
    return openai_job(job) if job.wire == "openai" else anthropic_job(job, base_url)

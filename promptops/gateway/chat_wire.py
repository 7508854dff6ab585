"""Runs as OpenAI's chat completions, whole and in chunks. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.clock import utc_seconds
from promptops.gateway.answers import json_bytes
from promptops.gateway.errors import ApiError
from promptops.providers.types import REFUSAL
from promptops.registry import StartedRun
from promptops.runner import Run

DONE = b"data: [DONE]\n\n"


def chat_completion(run: Run) -> dict[str, Any]:
    refused = run.finish_reason == REFUSAL
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused or (run.tool_calls and not run.text) else run.text or run.message,
        "refusal": run.text if refused else None,
    }
    if run.tool_calls:
        message["tool_calls"] = run.tool_calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(run)}
    return {
        **_head(run.started, "chat.completion", run.model),
        "choices": [choice],
        "usage": usage_of(run),
        "promptops": run_facts(run),
    }


def run_facts(run: Run) -> dict[str, Any]:
    """What promptops knows of an answer beside what the API has a place for."""
    return {
        "run_id": run.id,
        "version": run.version,
        "arm": run.arm,
        "passed": run.passed,
        "blocked": run.blocked,
        "failed_checks": [check.name for check in run.checks if not check.passed],
        "cost_usd": run.cost_usd,
    }


def usage_of(run: Run) -> dict[str, Any] | None:
    """None where the provider did not say."""
    if run.input_tokens is None or run.output_tokens is None:
        return None
    return {
        "prompt_tokens": run.input_tokens,
        "completion_tokens": run.output_tokens,
        "total_tokens": run.input_tokens + run.output_tokens,
        "prompt_tokens_details": {"cached_tokens": run.cached_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": run.reasoning_tokens or 0},
    }


class ChatWire:
    """One answer as a chat completion, whole or in chunks."""

    def __init__(self, run: StartedRun, *, include_usage: bool = False) -> None:
        self._include_usage = include_usage
        self._head = _head(run, "chat.completion.chunk", run.request_model)
        self._begun = False

    def whole(self, run: Run) -> dict[str, Any]:
        return chat_completion(run)

    def begin(self) -> bytes:
        return b""

    def piece(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def end(self, run: Run) -> bytes:
        """What follows the text: tool calls, why it ended, what it cost."""
        chunks = []
        if run.finish_reason == REFUSAL:
            chunks.append(self._chunk({"refusal": run.text}))
        if run.tool_calls:
            chunks.append(self._chunk({"tool_calls": _indexed(run.tool_calls)}))
        elif not self._begun:
            chunks.append(self._chunk({"content": run.message}))
        chunks.append(self._chunk({}, _finish_reason(run)))
        if self._include_usage:
            facts: dict[str, Any] = {"choices": [], "usage": usage_of(run), "promptops": run_facts(run)}
            chunks.append(event({**self._head, **facts}))
        return b"".join([*chunks, DONE])

    def failure(self, error: ApiError) -> bytes:
        return event(error.as_json())

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        role = {} if self._begun else {"role": "assistant"}
        self._begun = True
        choice = {"index": 0, "delta": {**role, **delta}, "logprobs": None, "finish_reason": finish}
        return event({**self._head, "choices": [choice]})


def event(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + json_bytes(payload) + b"\n\n"


def created_at(run: StartedRun) -> int:
    """In seconds, and the same each time that an answer is sent."""
    return int(utc_seconds(run.started_at))


def _head(run: StartedRun, kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{run.run_id}", "object": kind, "created": created_at(run), "model": model}


def _finish_reason(run: Run) -> str:
    if run.finish_reason is None and run.tool_calls:
        return "tool_calls"
    return "stop" if run.finish_reason in (None, REFUSAL) else run.finish_reason


def _indexed(calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"index": number, **call} for number, call in enumerate(calls)]

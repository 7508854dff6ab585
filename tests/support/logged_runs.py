"""Runs to log in tests."""

from typing import Any

from promptops.config.clock import utc_now
from promptops.registry import CheckResult, FinishedRun, StartedRun, new_run_id

DIGEST = "4c1d" * 16
OTHER_DIGEST = "90be" * 16


def a_run(**fields: Any) -> StartedRun:
    given: dict[str, Any] = {
        "run_id": new_run_id(),
        "started_at": utc_now(),
        "reference": "support/triage",
        "prompt": "support/triage",
        "digest": DIGEST,
        "request_model": "openai/gpt-4o-mini-2024-07-18",
        "messages_hash": "ab" * 32,
        "inputs": {"ticket": "My parcel is late"},
    }
    return StartedRun(**{**given, **fields})


def an_end(**fields: Any) -> FinishedRun:
    given: dict[str, Any] = {
        "finished_at": utc_now(),
        "state": "finished",
        "output": "delivery",
        "response_model": "gpt-4o-mini-2024-07-18",
        "finish_reason": "stop",
        "input_tokens": 40,
        "output_tokens": 2,
        "cost_usd": 0.001,
        "spent_usd": 0.001,
        "latency_ms": 120.0,
    }
    return FinishedRun(**{**given, **fields})


def a_failure(error: str = "timeout", **fields: Any) -> FinishedRun:
    given = {"state": "failed", "error_type": error, "error_message": "it went wrong", "retryable": True}
    return an_end(**{**given, "output": None, "cost_usd": None, "latency_ms": 9000.0, **fields})


def check(name: str = "json", *, passed: bool = True, **fields: Any) -> CheckResult:
    return CheckResult(name=name, passed=passed, **fields)

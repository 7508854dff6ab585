"""The file by which registries exchange runs: figures and outcomes, never inputs, outputs or other texts.

A file is JSON lines: a header, a run a line in the order of assignment, and a last line with their number:

    {"format": "promptops-release/1", "registry_id": "…", "unit_key_id": "…", "since_seq": 0,
     "through_seq": 812, "gaps": [{"writer_id": "…", "after": 4, "before": 6, "at": "…"}], "exported_at": "…"}
    {"run_id": "01J…", …, "outcomes": [[source, name, passed, value, occurred_at, recorded_at], …]}
    {"end": 812}

``since_seq`` (exclusive) and ``through_seq`` are the stretch of that registry's log that is exported, so
that a lost file shows. Columns without a value are left out.
"""

EXPORT_FORMAT = "promptops-release/1"
EXPORT_STARTED_COLUMNS = {
    "run_id": str,
    "writer_id": str,
    "writer_counter": int,
    "kind": str,
    "started_at": str,
    "prompt": str,
    "digest": str,
    "version": str,
    "channel": str,
    "rollout": str,
    "arm": str,
    "weight_bp": int,
    "unit_hash": str,
    "unit_key_id": str,
    "excluded": str,
    "fallback": str,
    "trial": int,
    "shadow_of": str,
    "eval_id": str,
    "request_model": str,
}
EXPORT_FINISHED_COLUMNS = {
    "state": str,
    "finished_at": str,
    "response_model": str,
    "input_tokens": int,
    "output_tokens": int,
    "cached_tokens": int,
    "reasoning_tokens": int,
    "cost_usd": float,
    "cost_list_usd": float,
    "spent_usd": float,
    "latency_ms": float,
    "first_token_ms": float,
    "cache_source": str,
    "error_type": str,
    "retryable": int,
    "checks_failed": int,
}
EXPORT_RUN_COLUMNS = {**EXPORT_STARTED_COLUMNS, **EXPORT_FINISHED_COLUMNS}
EXPORT_REQUIRED_COLUMNS = (
    "run_id", "writer_id", "writer_counter", "kind", "state", "started_at", "prompt", "digest", "trial",
    "request_model",
)  # fmt: skip
EXPORT_OUTCOME_COLUMNS = ("source", "name", "passed", "value", "occurred_at", "recorded_at")

"""Writing runs out, a run at a time: memory stays flat however many there are."""

import csv
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from promptops.escapes import escape_formula, escape_json
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.rows import record_json
from promptops.registry.queries.runs.queries import RunRecord, iterate_runs


class TextStream(Protocol):
    def write(self, text: str, /) -> object: ...


RunExportFormat = Literal["jsonl", "csv"]
_PLAIN = (
    "run_id", "seq", "kind", "state", "started_at", "finished_at", "reference", "prompt", "digest", "version",
    "channel", "rollout", "arm", "commit_sha", "dirty", "request_model", "response_model", "finish_reason",
    "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "cost_list_usd",
    "spent_usd", "latency_ms", "first_token_ms", "case_id", "trial", "batch_id", "batch_line",
)  # fmt: skip
_AS_JSON = ("parameters", "metadata", "inputs")
_DERIVED = ("checks_failed", "cache_run_id", "error_type", "error_message", "output")
RUN_CSV_COLUMNS = (*_PLAIN, *_AS_JSON, *_DERIVED)


def export_runs(
    registry: RegistryDatabase, chosen: RunFilter, form: RunExportFormat, stream: TextStream
) -> int:
    """Write the chosen runs in the order they were started; returns how many.

    JSONL has one run a line, as ``runs show --json`` prints it. In CSV every value stands as it was logged,
    and inputs, parameters and metadata as JSON. A spreadsheet may take text starting with = for a formula.
    """
    runs = iterate_runs(registry, chosen)
    return _write_csv(runs, stream) if form == "csv" else _write_jsonl(runs, stream)


def _write_jsonl(runs: Iterable[RunRecord], stream: TextStream) -> int:
    count = 0
    for count, run in enumerate(runs, 1):  # noqa: B007 - the last one is the answer
        stream.write(escape_json(record_json(run)) + "\n")
    return count


def _write_csv(runs: Iterable[RunRecord], stream: TextStream) -> int:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(RUN_CSV_COLUMNS)
    count = 0
    for count, run in enumerate(runs, 1):  # noqa: B007 - the last one is the answer
        writer.writerow(map(_without_formula, _cells(run)))
    return count


def _without_formula(cell: Any) -> Any:
    return escape_formula(cell) if isinstance(cell, str) else cell


def _cells(run: RunRecord) -> list[Any]:
    error = run["error"] or {}
    return [
        *(run[name] for name in _PLAIN),
        *(None if run[name] is None else record_json(run[name]) for name in _AS_JSON),
        ", ".join(check["name"] for check in run["checks"] if not check["pass"]),
        run["cache"] and run["cache"]["run_id"],
        error.get("type"),
        error.get("message"),
        run["output"],
    ]

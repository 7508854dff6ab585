"""Answers that are held until a person has released them: what their callers may be told."""

from promptops.errors import Invalid, NotFound
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.queries import RunRecord

_NO_ANSWER = frozenset({"model", "started_at", "latency_ms", "error"})  # of what an attempt holds
_NOTHING_WRITTEN: RunRecord = {"output": None, "output_json": None, "tool_calls": [], "attempts": []}


def read_released_answer(registry: RegistryDatabase, run_id: str) -> str | None:
    """The answer of a held run, or the better one that was released in its place; None while it waits.

    Raises NotFound for a run that is not known, Invalid where its answer was rejected or was never held.
    """
    rows = registry.read(
        "SELECT h.*, t.output FROM runs r JOIN run_texts t ON t.seq = r.seq "
        "LEFT JOIN held_runs h ON h.run_seq = r.seq WHERE r.run_id = ?",
        (run_id,),
    )
    if not rows:
        raise NotFound(f"no run {run_id} in {registry.path}", hint="give a whole run id")
    (row,) = rows
    if row["run_seq"] is None:
        raise Invalid(f"the answer of run {run_id} was never held", hint="its run has the answer")
    if row["decision"] == "rejected":
        raise Invalid(f"a reviewer has rejected the answer of run {run_id}")
    return (row["answer"] or row["output"] or "") if row["decision"] else None


def without_rejected_text(run: RunRecord) -> RunRecord:
    """A run without what its guards did not let pass: that is of the log alone."""
    if not run["guards"]:
        return run
    attempts = [
        {key: value for key, value in attempt.items() if key in _NO_ANSWER} for attempt in run["attempts"]
    ]
    return {**run, "attempts": attempts, "guards": [{**guard, "why": ""} for guard in run["guards"]]}


def without_held_text(registry: RegistryDatabase, run: RunRecord) -> RunRecord:
    """A run without what the model wrote, until a person has released it, perhaps as a better answer."""
    if run["held"] is None:
        return run
    if run["held"] == "released":
        answer = read_released_answer(registry, run["run_id"])
        return run if answer == (run["output"] or "") else {**run, **_NOTHING_WRITTEN, "output": answer}
    checks = [{**check, "message": ""} for check in run["checks"]]
    return {**run, **_NOTHING_WRITTEN, "checks": checks}

"""Outcomes as lines of JSON, and how outcomes of one run are logged."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from promptops.config.settings import Settings
from promptops.config.text import MAX_BYTES
from promptops.errors import Invalid
from promptops.registry.journal import Spool
from promptops.registry.line_problems import LineProblems
from promptops.registry.sqlite.runs.outcomes import (
    AddedOutcomes,
    RunOutcome,
    add_run_outcomes,
    make_outcome,
)
from promptops.registry.sqlite.runs.queries import get_run
from promptops.registry.sqlite.store import RegistryDatabase
from promptops.registry.ulid import ULID_LENGTH

OUTCOME_KEYS = ("run_id", "metric", "value", "comment", "occurred_at")
_LINE_EXAMPLE = (
    '{"run_id": "01J…", "metric": "thumbs", "value": 1}, with `comment` and `occurred_at` if known'
)


def open_with_waiting_runs(settings: Settings) -> RegistryDatabase:
    """The registry with the runs that waited beside it, which feedback may be quicker than."""
    if not settings.registry.exists() and not Spool(settings.registry).waiting():
        return RegistryDatabase.in_memory(settings.registry)
    registry = RegistryDatabase.open(settings.registry)
    Spool(settings.registry).replay(registry)
    return registry


def log_run_outcomes(
    registry: RegistryDatabase, run: str, values: Sequence[tuple[str, Any]], comment: str, edit: str | None
) -> AddedOutcomes:
    """Log what somebody says of one run; ``edit`` is what became of its answer."""
    run_id = get_run(registry, run)["run_id"]
    outcomes = [make_outcome(run_id, name, value, text=comment) for name, value in values]
    if edit is not None:
        outcomes[-1] = make_outcome(run_id, "edited", 1, text=edit)
    new = add_run_outcomes(registry, run_id, outcomes)
    return AddedOutcomes(new, len(outcomes) - new)


def read_outcomes(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, RunOutcome]]:
    """What the lines of a file say, with their numbers. Raises Invalid at the end where lines are bad."""
    problems, number = LineProblems(name), 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                outcome = _parse_outcome(line)
            except Invalid as error:
                problems.add(number, error)
            else:
                yield number, outcome
    problems.refuse(number)


def _parse_outcome(line: bytes) -> RunOutcome:
    try:
        data = json.loads(line) if len(line) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}", hint=_LINE_EXAMPLE) from None
    if not isinstance(data, dict):
        raise Invalid("not an object", hint=_LINE_EXAMPLE)
    if unknown := data.keys() - OUTCOME_KEYS:
        raise Invalid(f"unknown key `{min(unknown)}`", hint=f"a line is {_LINE_EXAMPLE}")
    run_id, comment = data.get("run_id"), data.get("comment") or ""
    if not isinstance(run_id, str) or len(run_id) != ULID_LENGTH or not run_id.isascii():
        raise Invalid(f"`run_id` must be the whole id of a run, not {run_id!r}", hint=_LINE_EXAMPLE)
    if not isinstance(comment, str):
        raise Invalid("`comment` must be text", hint=_LINE_EXAMPLE)
    when = data.get("occurred_at")
    return make_outcome(run_id.upper(), data.get("metric"), data.get("value"), text=comment, occurred_at=when)

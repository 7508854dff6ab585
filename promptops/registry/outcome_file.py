"""Outcomes as lines of JSON or rows of CSV, and how outcomes of one run are logged."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypedDict

from promptops.config.json_text import parse_strict_json
from promptops.config.registry_location import may_exist
from promptops.config.settings import LogSettings, Settings
from promptops.config.text import MAX_BYTES, utf8_lines, without_lfs_pointer
from promptops.errors import Invalid
from promptops.prompt.csv_rows import is_csv, read_csv_rows
from promptops.registry.database import RegistryDatabase
from promptops.registry.journal import Spool
from promptops.registry.line_problems import LineProblems
from promptops.registry.personal_data import redact_text
from promptops.registry.queries.runs.outcomes import (
    AddedOutcomes,
    RunOutcome,
    add_run_outcomes,
    make_outcome,
)
from promptops.registry.queries.runs.queries import get_run
from promptops.registry.queries.versions import read_prompt_log_rules
from promptops.registry.ulid import ULID_LENGTH

_WORDS = {"true": 1.0, "false": 0.0}  # spreadsheets write TRUE
OUTCOME_KEYS = ("run_id", "metric", "value", "comment", "occurred_at")
_LINE_EXAMPLE = (
    '{"run_id": "01J…", "metric": "thumbs", "value": 1}, with `comment` and `occurred_at` if known'
)


def open_with_waiting_runs(settings: Settings) -> RegistryDatabase:
    """The registry with the runs that waited beside it, which feedback may be quicker than."""
    if not may_exist(settings.registry) and not Spool(settings.registry).waiting():
        return RegistryDatabase.in_memory(settings.registry)
    registry = RegistryDatabase.open(settings.registry)
    Spool(settings.registry).replay(registry)
    return registry


def log_run_outcomes(
    registry: RegistryDatabase,
    run: str,
    values: Sequence[tuple[str, Any]],
    comment: str,
    edit: str | None,
    log: LogSettings,
) -> AddedOutcomes:
    """Log what somebody says of one run; ``edit`` is what became of its answer."""
    run_id = get_run(registry, run)["run_id"]
    outcomes = [make_outcome(run_id, name, value, text=comment) for name, value in values]
    if edit is not None:
        outcomes[-1] = make_outcome(run_id, "edited", 1, text=edit)
    new = add_run_outcomes(registry, run_id, redact_outcomes(registry, outcomes, log))
    return AddedOutcomes(new, len(outcomes) - new)


class Feedback(TypedDict, total=False):
    """What an application says of one run: thumbs, any metric with its value, what the answer became."""

    thumbs: Any
    metric: Any
    value: Any
    comment: str
    edit: str | None
    occurred_at: Any


def outcomes_of_feedback(run_id: str, feedback: Feedback, log: LogSettings) -> list[RunOutcome]:
    """Raises Invalid where nothing is said, or no outcome."""
    comment, edit = feedback.get("comment") or "", feedback.get("edit")
    kept = edit if edit is not None and log.outputs == "full" else ""
    metric, value = feedback.get("metric"), feedback.get("value")
    named = [
        ("thumbs", feedback.get("thumbs"), comment),
        (metric, value, comment),
        ("edited", None if edit is None else 1, kept),
    ]
    outcomes = [
        make_outcome(run_id, name, what, text=words, occurred_at=feedback.get("occurred_at"))
        for name, what, words in named
        if name is not None and what is not None
    ]
    if not outcomes or (metric is None) != (value is None):
        raise Invalid("what was the answer like?", hint="say up or down, or give a metric and its value")
    return outcomes


def redact_outcomes(
    registry: RegistryDatabase, outcomes: Iterable[RunOutcome], log: LogSettings
) -> list[RunOutcome]:
    """What people say, redacted by the rules of promptops.yaml and of every prompt that ran here."""
    redact = outcome_redaction(registry, log)
    return [redact(each) for each in outcomes]


def outcome_redaction(registry: RegistryDatabase, log: LogSettings) -> Callable[[RunOutcome], RunOutcome]:
    rules = [json.loads(text) for text in read_prompt_log_rules(registry)]
    return lambda outcome: (
        replace(outcome, text=redact_text(outcome.text, log, rules)) if outcome.text else outcome
    )


def read_outcomes(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, RunOutcome]]:
    """What the lines of a file say, with their numbers. Raises Invalid at the end where lines are bad."""
    problems, number = LineProblems(name), 0
    for number, parse in _records(name, lines):
        try:
            outcome = _make_outcome(parse())
        except Invalid as error:
            problems.add(number, error)
        else:
            yield number, outcome
    problems.refuse(number)


def _records(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, Callable[[], Any]]]:
    lines = without_lfs_pointer(name, lines)
    if is_csv(name):
        for number, row in read_csv_rows(name, lines):
            yield number, partial(_from_cells, row)
        return
    for number, line in enumerate(utf8_lines(name, lines), 1):
        if line.strip():
            yield number, partial(_from_json, line)


def _from_cells(row: Mapping[str, str]) -> dict[str, Any]:
    """Empty cells are not given; what is not a number stays a text, as `up` is."""
    data: dict[str, Any] = {column: cell for column, cell in row.items() if cell.strip()}
    word = row.get("value", "").strip().lower()
    try:
        data["value"] = _WORDS[word] if word in _WORDS else float(word)
    except ValueError:
        data["value"] = word
    return data


def _from_json(line: bytes) -> Any:
    try:
        return parse_strict_json(line) if len(line) <= MAX_BYTES else None
    except ValueError as error:
        raise Invalid(f"not JSON: {error}", hint=_LINE_EXAMPLE) from None


def _make_outcome(data: Any) -> RunOutcome:
    if not isinstance(data, dict):
        raise Invalid("not an object", hint=_LINE_EXAMPLE)
    if unknown := data.keys() - OUTCOME_KEYS:
        raise Invalid(f"unknown key `{min(unknown)}`", hint=f"a line is {_LINE_EXAMPLE}")
    run_id, comment = data.get("run_id"), data.get("comment") or ""
    if not isinstance(run_id, str) or len(run_id) != ULID_LENGTH or not run_id.isascii():
        raise Invalid(f"`run_id` must be the whole id of a run, not {run_id!r:.80}", hint=_LINE_EXAMPLE)
    if not isinstance(comment, str):
        raise Invalid("`comment` must be text", hint=_LINE_EXAMPLE)
    when = data.get("occurred_at")
    return make_outcome(run_id.upper(), data.get("metric"), data.get("value"), text=comment, occurred_at=when)

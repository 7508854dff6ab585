"""Rows of many runs in one transaction and few statements."""

import sqlite3
from collections.abc import Iterable, Sequence

from promptops.config.clock import utc_now
from promptops.registry.records import FinishedRun, StartedRun
from promptops.registry.sqlite.bulk_insert import are_started, insert_many, update_many
from promptops.registry.sqlite.rows import (
    FINISHED_COLUMNS,
    FINISHED_TEXT_COLUMNS,
    INSERT_SHADOW_JOB,
    INSERT_TAG,
    STARTED_COLUMNS,
    STARTED_TEXT_COLUMNS,
    WRITER_COLUMNS,
    finished_texts,
    finished_values,
    outcome_values,
    shadow_job_values,
    started_texts,
    started_values,
    tag_values,
)

_STARTED = (*WRITER_COLUMNS, *STARTED_COLUMNS, "state")
_STARTED_TEXTS = ("seq", *STARTED_TEXT_COLUMNS)
_FINISHED = (*FINISHED_COLUMNS, "checks_failed")
_RUN = (*WRITER_COLUMNS, *STARTED_COLUMNS, *_FINISHED)
_TEXTS = (*_STARTED_TEXTS, *FINISHED_TEXT_COLUMNS)
_OUTCOME = ("run_seq", "source", "name", "passed", "value", "text", "occurred_at", "recorded_at")

PlacedRun = tuple[str, int, StartedRun]  # a writer, the how many-th of its runs this is, and the run


def insert_started_runs(connection: sqlite3.Connection, runs: Sequence[PlacedRun]) -> list[int]:
    """Insert runs that are about to be made, in this order; their numbers."""
    if not runs:
        return []
    values = [(writer, counter, *started_values(run), "started") for writer, counter, run in runs]
    seqs = insert_many(connection, "runs", _STARTED, values)
    numbered = list(zip(seqs, runs, strict=True))
    texts = [(seq, *started_texts(run)) for seq, (_, _, run) in numbered]
    insert_many(connection, "run_texts", _STARTED_TEXTS, texts)
    _insert_tags(connection, ((seq, run) for seq, (_, _, run) in numbered))
    return list(seqs)


def insert_ended_runs(
    connection: sqlite3.Connection, runs: Sequence[tuple[PlacedRun, FinishedRun]]
) -> list[int]:
    """Insert whole runs; their numbers."""
    values = [
        (writer, counter, *started_values(run), *finished_values(end)) for (writer, counter, run), end in runs
    ]
    seqs = insert_many(connection, "runs", _RUN, values)
    numbered = list(zip(seqs, runs, strict=True))
    texts = [(seq, *started_texts(run), *finished_texts(end)) for seq, ((_, _, run), end) in numbered]
    insert_many(connection, "run_texts", _TEXTS, texts)
    _insert_tags(connection, ((seq, run) for seq, ((_, _, run), _) in numbered))
    _insert_results(connection, [(seq, run.run_id, end) for seq, ((_, _, run), end) in numbered])
    return list(seqs)


def finish_started_runs(
    connection: sqlite3.Connection, ended: Sequence[tuple[int, str, FinishedRun]]
) -> bool:
    """Write how runs ended, by number and id; nothing, and False, where one is not there or has ended."""
    if not are_started(connection, [(seq, run_id) for seq, run_id, _ in ended]):
        return False
    update_many(connection, "runs", _FINISHED, [(seq, *finished_values(end)) for seq, _, end in ended])
    texts = [(seq, *finished_texts(end)) for seq, _, end in ended]
    update_many(connection, "run_texts", FINISHED_TEXT_COLUMNS, texts)
    _insert_results(connection, ended)
    return True


def _insert_tags(connection: sqlite3.Connection, runs: Iterable[tuple[int, StartedRun]]) -> None:
    for seq, run in runs:
        if run.metadata:
            connection.executemany(INSERT_TAG, tag_values(run, seq))


def _insert_results(connection: sqlite3.Connection, ended: Sequence[tuple[int, str, FinishedRun]]) -> None:
    now = utc_now()
    outcomes = [row for seq, _, end in ended for row in outcome_values(end, seq, now)]
    insert_many(connection, "outcomes", _OUTCOME, outcomes)
    for _, run_id, end in ended:
        add_shadow_job(connection, run_id, end)


def add_shadow_job(connection: sqlite3.Connection, run_id: str, end: FinishedRun) -> None:
    if end.shadow:
        connection.execute(INSERT_SHADOW_JOB, shadow_job_values(run_id, end.shadow))

"""Rows of runs: of one, and of many in one transaction and few statements."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

from promptops.config.clock import utc_now
from promptops.registry.connection import Connection
from promptops.registry.queries.row_parts import SIZES, parts, values_rows
from promptops.registry.queries.rows import (
    FINISHED_COLUMNS,
    FINISHED_TEXT_COLUMNS,
    INSERT_GUARDED_RUN,
    INSERT_HELD_RUN,
    INSERT_OUTCOME,
    INSERT_RUN,
    INSERT_RUN_TEXTS,
    INSERT_SHADOW_JOB,
    INSERT_TAG,
    STARTED_COLUMNS,
    STARTED_TEXT_COLUMNS,
    UNFINISHED_VALUES,
    UPDATE_FINISHED,
    UPDATE_TEXTS,
    WRITER_COLUMNS,
    finished_texts,
    finished_values,
    guard_values,
    outcome_values,
    shadow_job_values,
    started_texts,
    started_values,
    tag_values,
)
from promptops.registry.records import FinishedRun, StartedRun

_STARTED = (*WRITER_COLUMNS, *STARTED_COLUMNS, "state")
_STARTED_TEXTS = ("seq", *STARTED_TEXT_COLUMNS)
_FINISHED = (*FINISHED_COLUMNS, "checks_failed")
_RUN = (*WRITER_COLUMNS, *STARTED_COLUMNS, *_FINISHED)
_TEXTS = (*_STARTED_TEXTS, *FINISHED_TEXT_COLUMNS)
_OUTCOME = ("run_seq", "source", "name", "passed", "value", "text", "occurred_at", "recorded_at")

PlacedRun = tuple[str, int, StartedRun]  # a writer, the how many-th of its runs this is, and the run


def insert_started_runs(connection: Connection, runs: Sequence[PlacedRun]) -> list[int]:
    """Insert runs that are about to be made, in this order; their numbers."""
    if not runs:
        return []
    values = [(writer, counter, *started_values(run), "started") for writer, counter, run in runs]
    seqs = connection.insert_many("runs", _STARTED, values)
    numbered = list(zip(seqs, runs, strict=True))
    texts = [(seq, *started_texts(run)) for seq, (_, _, run) in numbered]
    connection.insert_many("run_texts", _STARTED_TEXTS, texts)
    _insert_tags(connection, ((seq, run) for seq, (_, _, run) in numbered))
    return list(seqs)


def insert_ended_runs(connection: Connection, runs: Sequence[tuple[PlacedRun, FinishedRun]]) -> list[int]:
    """Insert whole runs; their numbers."""
    values = [
        (writer, counter, *started_values(run), *finished_values(end)) for (writer, counter, run), end in runs
    ]
    seqs = connection.insert_many("runs", _RUN, values)
    numbered = list(zip(seqs, runs, strict=True))
    texts = [(seq, *started_texts(run), *finished_texts(end)) for seq, ((_, _, run), end) in numbered]
    connection.insert_many("run_texts", _TEXTS, texts)
    _insert_tags(connection, ((seq, run) for seq, ((_, _, run), _) in numbered))
    _insert_results(connection, [(seq, run.run_id, end) for seq, ((_, _, run), end) in numbered])
    return list(seqs)


def finish_started_runs(connection: Connection, ended: Sequence[tuple[int, str, FinishedRun]]) -> bool:
    """Write how runs ended, by number and id; nothing, and False, where one is not there or has ended."""
    if not _are_started(connection, [(seq, run_id) for seq, run_id, _ in ended]):
        return False
    connection.update_many("runs", _FINISHED, [(seq, *finished_values(end)) for seq, _, end in ended])
    texts = [(seq, *finished_texts(end)) for seq, _, end in ended]
    connection.update_many("run_texts", FINISHED_TEXT_COLUMNS, texts)
    _insert_results(connection, ended)
    return True


def _are_started(connection: Connection, runs: Sequence[tuple[int, str]]) -> bool:
    """Whether all of these, by seq and run id, are in the log and have not ended."""
    counts = [
        connection.execute(_count_started(len(part)), list(chain.from_iterable(part))) for part in parts(runs)
    ]
    return len(runs) == sum(int(count.fetchone()[0]) for count in counts)


@lru_cache(maxsize=len(SIZES))
def _count_started(size: int) -> str:
    if size == 1:
        return "SELECT count(*) FROM runs WHERE seq = ? AND run_id = ? AND state = 'started'"
    return (
        f"SELECT count(*) FROM ({values_rows(2, size)}) AS run JOIN runs ON runs.seq = run.column1 "
        "WHERE runs.run_id = run.column2 AND runs.state = 'started'"
    )


def insert_run(
    connection: Connection, place: tuple[str, int], run: StartedRun, end: FinishedRun | None
) -> None:
    """Insert one run, which may have ended, as that of a writer and its number there."""
    ended = end or FinishedRun(finished_at="", state="started")
    finished = finished_values(ended) if end else UNFINISHED_VALUES
    seq: int = connection.execute(INSERT_RUN, (*place, *started_values(run), *finished)).fetchone()[0]
    connection.execute(INSERT_RUN_TEXTS, (seq, *started_texts(run), *finished_texts(ended)))
    _insert_tags(connection, [(seq, run)])
    if ended.checks:
        connection.executemany(INSERT_OUTCOME, outcome_values(ended, seq, utc_now()))
    add_follow_ups(connection, run.run_id, ended)


def find_run_state(connection: Connection, run_id: str) -> str | None:
    """``started`` or how it ended; None where it is not there."""
    row = connection.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else str(row[0])


def find_run_seqs(connection: Connection, run_ids: Sequence[str]) -> list[int]:
    """The numbers of runs that are there, in the order of their ids here."""
    sql = "SELECT seq FROM runs WHERE run_id = ?"
    return [connection.execute(sql, (run_id,)).fetchone()[0] for run_id in run_ids]


def finish_started_run(connection: Connection, run_id: str, end: FinishedRun) -> bool:
    """Write how a run ended; nothing, and False, where it is not there or has ended."""
    updated = connection.execute(UPDATE_FINISHED, (*finished_values(end), run_id)).fetchall()
    for (seq,) in updated:
        connection.execute(UPDATE_TEXTS, (*finished_texts(end), seq))
        connection.executemany(INSERT_OUTCOME, outcome_values(end, seq, utc_now()))
        add_follow_ups(connection, run_id, end)
    return bool(updated)


def _insert_tags(connection: Connection, runs: Iterable[tuple[int, StartedRun]]) -> None:
    for seq, run in runs:
        if run.metadata:
            connection.executemany(INSERT_TAG, tag_values(run, seq))


def _insert_results(connection: Connection, ended: Sequence[tuple[int, str, FinishedRun]]) -> None:
    now = utc_now()
    outcomes = [row for seq, _, end in ended for row in outcome_values(end, seq, now)]
    connection.insert_many("outcomes", _OUTCOME, outcomes)
    for _, run_id, end in ended:
        add_follow_ups(connection, run_id, end)


def add_follow_ups(connection: Connection, run_id: str, end: FinishedRun) -> None:
    """What is to be done about a run that has ended: by its shadow, and by a person."""
    if end.shadow:
        connection.execute(INSERT_SHADOW_JOB, shadow_job_values(run_id, end.shadow))
    if end.guards:
        connection.execute(INSERT_GUARDED_RUN, guard_values(run_id, end.guards))
    if end.held:
        connection.execute(INSERT_HELD_RUN, (run_id,))

"""Reading runs back, as the JSON objects that scripts rely on."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from promptops.errors import Invalid, NotFound
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.rows import (
    finished_run_from_row,
    guard_decisions,
    run_to_json,
    started_run_from_row,
)
from promptops.registry.queries.runs.conditions import ALL_RUNS, filter_conditions, has_wildcard
from promptops.registry.records import StartedRun
from promptops.registry.ulid import ULID_LENGTH, normalize_id_prefix

RunRecord = dict[str, Any]
MIN_ID_LENGTH = 10  # characters of a run id that hold its millisecond
_CANDIDATES = 6
_CHUNK = 500
_RECENT = 20_000  # runs that are looked at first: most filters find enough among them
_SELECT_RUN = (
    "SELECT r.*, t.parameters, t.overrides, t.metadata, t.inputs, t.output, t.tool_calls, t.attempts, "
    "CASE WHEN h.run_seq IS NOT NULL THEN coalesce(h.decision, 'waiting') END AS held, "
    "g.decisions, g.reasons FROM runs r JOIN run_texts t ON t.seq = r.seq LEFT JOIN held_runs h "
    "ON h.run_seq = r.seq LEFT JOIN guarded_runs g ON g.run_seq = r.seq "
)


def list_runs(registry: RegistryDatabase, chosen: RunFilter, *, limit: int) -> list[RunRecord]:
    """The latest runs by the time at which they began, newest first.

    Not by ``seq``, as batches, spooled and imported runs are written later. Of all runs the latest are found
    by their ids, which begin with the time, so that an index serves either order.
    """
    where, values = filter_conditions(chosen)
    # one prompt's runs are in an index, in SQLite with all that is filtered by
    if chosen.prompt and (registry.engine == "sqlite" or not has_wildcard(chosen.prompt)):
        sql = f"SELECT r.seq FROM runs r WHERE {where} ORDER BY r.started_at DESC, r.seq DESC LIMIT ?"
        seqs = [row[0] for row in registry.read(sql, (*values, limit))]
    else:
        seqs = _latest_seqs(registry, where, values, limit)
    return sorted(runs_by_seq(registry, seqs), key=lambda run: (run["started_at"], run["seq"]), reverse=True)


def _latest_seqs(registry: RegistryDatabase, where: str, values: Sequence[Any], limit: int) -> list[int]:
    """The last of the runs of a condition, by their ids.

    A server guesses whether reading by the index of ids ends soon. Where it is wrong it reads the whole table
    in that order, which takes twice the time. So the latest runs are looked at, then all of them as they lie.
    """
    latest = "ORDER BY r.run_id DESC LIMIT ?"
    ways = [f"SELECT r.seq FROM runs r WHERE {where} {latest}"]
    if registry.engine == "postgres" and where != ALL_RUNS:
        recent = f"(SELECT * FROM runs ORDER BY run_id DESC LIMIT {_RECENT}) AS r"
        chosen = f"(SELECT r.seq, r.run_id FROM runs r WHERE {where} OFFSET 0) AS r"
        ways = [f"SELECT r.seq FROM {recent} WHERE {where} {latest}", f"SELECT r.seq FROM {chosen} {latest}"]
    for sql in ways:
        seqs = [row[0] for row in registry.read(sql, (*values, limit))]
        if len(seqs) == limit:
            break
    return seqs


def runs_by_seq(registry: RegistryDatabase, seqs: Sequence[int]) -> list[RunRecord]:
    """These runs, in this order."""
    if not seqs:
        return []
    marks = ", ".join("?" * len(seqs))
    found = {row["seq"]: row for row in registry.read(f"{_SELECT_RUN} WHERE r.seq IN ({marks})", seqs)}
    outcomes = _outcomes(registry, f"run_seq IN ({marks})", seqs)
    return [_run(found[seq], outcomes.get(seq, ())) for seq in seqs if seq in found]


def sample_runs(registry: RegistryDatabase, count: int) -> list[RunRecord]:
    """So many runs drawn at random, oldest first."""
    rows = registry.read("SELECT seq FROM runs ORDER BY random() LIMIT ?", (count,))
    seqs = sorted(row[0] for row in rows)
    chunks = (seqs[at : at + _CHUNK] for at in range(0, len(seqs), _CHUNK))
    return [run for chunk in chunks for run in runs_by_seq(registry, chunk)]


def _outcomes(registry: RegistryDatabase, where: str, values: Sequence[Any]) -> dict[int, list[Row]]:
    found = registry.read(f"SELECT * FROM outcomes WHERE {where} ORDER BY run_seq, id", values)
    return {seq: list(group) for seq, group in groupby(found, lambda row: int(row["run_seq"]))}


def _run(row: Row, outcomes: Iterable[Row]) -> RunRecord:
    outcomes = list(outcomes)
    run = run_to_json(started_run_from_row(row), finished_run_from_row(row, outcomes))
    run["held"] = row["held"]
    run["guards"] = [asdict(each) for each in guard_decisions(row["decisions"], row["reasons"])]
    run["seq"] = row["seq"]
    run["outcomes"] = [_outcome(each) for each in outcomes if each["source"] != "check"]
    return run


def _outcome(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("source", "name", "value", "text", "occurred_at", "recorded_at")}


def get_run(registry: RegistryDatabase, prefix: str) -> RunRecord:
    """The one run whose id starts so."""
    return runs_by_seq(registry, [_seq_of(registry, prefix)])[0]


def logged_start(registry: RegistryDatabase, prefix: str) -> StartedRun:
    """The one run whose id starts so, as it was when it began."""
    return started_run_from_row(_row_of(registry, prefix))


def unfinished_run(registry: RegistryDatabase, prefix: str) -> StartedRun:
    """The same of a run that is under way. Raises Invalid when it has ended."""
    row = _row_of(registry, prefix)
    if row["state"] != "started":
        hint = f"promptops runs show {row['run_id']}"
        raise Invalid(f"run {row['run_id']} has ended already", hint=hint)
    return started_run_from_row(row)


def _row_of(registry: RegistryDatabase, prefix: str) -> Row:
    sql = "SELECT * FROM runs JOIN run_texts USING (seq) WHERE seq = ?"
    return registry.read(sql, (_seq_of(registry, prefix),))[0]


def _seq_of(registry: RegistryDatabase, prefix: str) -> int:
    found = _find(registry, prefix)
    if not found:
        raise NotFound(f"no run {prefix} in {registry.path}", hint="`promptops runs list` shows the latest")
    if len(found) > 1:
        shown = ", ".join(row["run_id"] for row in found[: _CANDIDATES - 1])
        more = ", …" if len(found) == _CANDIDATES else ""
        raise Invalid(f"{prefix} is the start of several run ids", hint=f"{shown}{more}")
    seq: int = found[0]["seq"]
    return seq


def _find(registry: RegistryDatabase, prefix: str) -> list[Row]:
    start = normalize_id_prefix(prefix)
    if start is None:
        return []
    sql = "SELECT seq, run_id FROM runs WHERE run_id >= ? AND run_id < ? ORDER BY run_id LIMIT ?"
    return registry.read(sql, (start, start + "~", _CANDIDATES))


def short_ids(registry: RegistryDatabase, run_ids: Iterable[str]) -> dict[str, str]:
    """Each id cut to the shortest start, of ten characters or more, that no other run shares."""
    sql = (
        "SELECT max(run_id) FROM runs WHERE run_id < ? "
        "UNION ALL SELECT min(run_id) FROM runs WHERE run_id > ?"
    )
    return {run_id: shortest_prefix(run_id, registry.read(sql, (run_id, run_id))) for run_id in run_ids}


def shortest_prefix(run_id: str, neighbours: Iterable[Row]) -> str:
    """As much of an id as tells it from those before and after it, each the first of its row."""
    shared = (1 + _common_prefix_length(run_id, other[0]) for other in neighbours if other[0])
    return run_id[: min(ULID_LENGTH, max([MIN_ID_LENGTH, *shared]))]


def _common_prefix_length(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def iterate_runs(registry: RegistryDatabase, chosen: RunFilter, *, chunk: int = 100) -> Iterator[RunRecord]:
    """All chosen runs in order, a chunk at a time: memory stays flat and no read lock is held long."""
    where, values = filter_conditions(chosen)
    sql = f"SELECT r.seq FROM runs r WHERE r.seq > ? AND {where} ORDER BY r.seq LIMIT ?"
    last = 0
    while found := registry.read(sql, (last, *values, chunk)):
        last = found[-1]["seq"]
        yield from runs_by_seq(registry, [row["seq"] for row in found])


def last_runs(registry: RegistryDatabase) -> dict[str, RunRecord]:
    """Of each prompt its latest run: id, time, state, kind and digest. Skips from prompt to prompt."""
    found = registry.read(
        "WITH RECURSIVE known(prompt) AS (SELECT min(prompt) FROM runs UNION ALL "
        "SELECT (SELECT min(prompt) FROM runs WHERE prompt > known.prompt) FROM known "
        "WHERE prompt IS NOT NULL) "
        "SELECT r.prompt, r.run_id, r.started_at, r.state, r.kind, r.digest FROM known JOIN runs r "
        "ON r.seq = (SELECT max(seq) FROM runs WHERE prompt = known.prompt)"
    )
    return {row["prompt"]: dict(row) for row in found}


def read_shadows_of(registry: RegistryDatabase, run_id: str) -> list[RunRecord]:
    """What shadows answered to the inputs of a run, oldest first; ten at most."""
    rows = registry.read("SELECT seq FROM runs WHERE shadow_of = ? ORDER BY seq LIMIT 10", (run_id,))
    return runs_by_seq(registry, [row["seq"] for row in rows])

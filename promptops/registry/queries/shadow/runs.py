"""Shadow runs: the same inputs answered by two versions, without serving the answers to users.

A shadow run is a row of ``batches`` whose options hold what it compares; its calls are rows of kind
``shadow`` with that id in ``batch_id``, the pair's number in ``batch_line`` and ``arm`` control or candidate.
So a pair is complete when it has a row of both arms, and one that is complete is never made again.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.rows import INSERT_OUTCOME
from promptops.registry.queries.runs.conditions import filter_conditions
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq, shortest_prefix
from promptops.registry.ulid import new_run_id

PREFERENCE = "preference"  # outcome of a candidate's run: 1 where a judge prefers it to the control's, else 0
SIMILARITY = "similarity"  # outcome of a candidate's run: the cosine of both answers' vectors
_CHUNK = 100  # pairs read at a time
_MAX_LINE = (1 << 63) - 1
_IS_SHADOW = "json_extract(options, '$.shadow') IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShadowRun:
    """One shadow run as it is kept; ``about`` is what was asked for and what came of choosing inputs."""

    shadow_id: str
    prompt: str
    candidate: str  # digest, 64 hex digits
    reference: str
    about: Mapping[str, Any]
    pairs: int  # planned
    started_at: str
    finished_at: str | None  # None: the same command goes on


@dataclass(frozen=True, slots=True)
class ReusableInput:
    """A run whose inputs may be used again."""

    seq: int
    inputs_hash: str | None
    unit_hash: str | None
    channel: str | None
    redacted: bool


def find_reusable_inputs(
    registry: RegistryDatabase, chosen: RunFilter, kinds: Sequence[str]
) -> Iterator[ReusableInput]:
    """Runs that have ended, newest first, with what tells their inputs apart."""
    where, values = filter_conditions(chosen)
    marks = ", ".join("?" * len(kinds))
    sql = (
        f"SELECT r.seq, r.inputs_hash, r.unit_hash, r.channel, "
        f"r.redacted_inputs IS NOT NULL FROM runs r WHERE r.seq < ? AND {where} "
        f"AND r.kind IN ({marks}) AND r.state <> 'started' ORDER BY r.seq DESC LIMIT 2000"
    )
    last = 1 << 62
    while rows := registry.read(sql, (last, *values, *kinds)):
        last = rows[-1]["seq"]
        yield from (ReusableInput(*row) for row in rows)


def tags_of(registry: RegistryDatabase, seqs: Sequence[int]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for first in range(0, len(seqs), 500):  # SQLite binds 999 in its older versions
        some = seqs[first : first + 500]
        marks = ", ".join("?" * len(some))
        rows = registry.read(f"SELECT seq, tag FROM run_tags WHERE seq IN ({marks}) ORDER BY seq, tag", some)
        for seq, group in groupby(rows, lambda row: int(row["seq"])):
            found[seq] = tuple(row["tag"] for row in group)
    return found


def frequent_tags(
    registry: RegistryDatabase, prompt: str, digest: str, since: str, most: int
) -> tuple[str, ...]:
    """The tags of a version's calls from a time (UTC text) on, of its latest 2,000, most frequent first.

    Not those of fewer than twenty calls, nor those that every call has.
    """
    sql = (
        "WITH latest AS (SELECT seq FROM runs WHERE prompt = ? AND digest = ? AND kind IN ('run', 'batch') "
        "AND started_at >= ? ORDER BY seq DESC LIMIT 2000) "
        "SELECT tag FROM run_tags WHERE seq IN (SELECT seq FROM latest) AND length(tag) <= 200 GROUP BY tag "
        "HAVING count(*) >= 20 AND count(*) < (SELECT count(*) FROM latest) "
        "ORDER BY count(*) DESC, tag LIMIT ?"
    )
    return tuple(row["tag"] for row in registry.read(sql, (prompt, digest, since, most)))


def begin_shadow_run(
    registry: RegistryDatabase,
    key: str,
    prompt: str,
    digest: str,
    reference: str,
    about: Mapping[str, Any],
    pairs: int,
) -> str:
    shadow_id = new_run_id()
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO batches (batch_id, file_hash, prompt, digest, reference, options, line_count, "
            "started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (shadow_id, key, prompt, digest, reference, json.dumps(about), pairs, utc_now()),
        )
    return shadow_id


def end_shadow_run(
    registry: RegistryDatabase,
    shadow_id: str,
    stopped: str,
    summary: Mapping[str, Any],
    *,
    counted: int,
    whole: bool,
) -> None:
    """Note why it stopped, and what it found in short.

    ``counted``: the last pair of those that it has counted, in the order of the inputs. ``whole``: nothing is
    left to do, so the same command begins a new one.
    """
    with registry.write() as connection:
        _note(connection, shadow_id, stopped=stopped, summary=summary, counted=counted)
        connection.execute(
            "UPDATE batches SET finished_at = ? WHERE batch_id = ?",
            (utc_now() if whole else None, shadow_id),
        )


def _note(connection: Any, shadow_id: str, **news: Any) -> None:
    """Add to what is kept of a run; only who makes its calls writes of it."""
    row = connection.execute("SELECT options FROM batches WHERE batch_id = ?", (shadow_id,)).fetchone()
    if row is not None:
        text = json.dumps({**json.loads(row[0]), **news})
        connection.execute("UPDATE batches SET options = ? WHERE batch_id = ?", (text, shadow_id))


def resume_shadow_run(registry: RegistryDatabase, shadow_id: str, counted: int) -> None:
    """It is under way again: what it found by its last end is no longer the whole of it.

    ``counted``: the last pair of those that are complete without a gap; what is asked again counts later.
    """
    with registry.write() as connection:
        _note(connection, shadow_id, stopped=None, summary=None, counted=counted)


def record_counted_pairs(registry: RegistryDatabase, shadow_id: str, counted: int) -> None:
    """Note how far a run under way has counted, for those who read its pairs meanwhile."""
    with registry.write() as connection:
        _note(connection, shadow_id, counted=counted)


def find_unfinished_shadow_run(registry: RegistryDatabase, key: str) -> StoredShadowRun | None:
    found = _select_shadow_runs(registry, "file_hash = ? AND finished_at IS NULL", (key,), 1)
    return found[0] if found else None


def list_shadow_runs(
    registry: RegistryDatabase, prompt: str | None = None, *, limit: int = 20
) -> list[StoredShadowRun]:
    """Newest first; ``prompt`` may hold wildcards."""
    return _select_shadow_runs(
        registry, "prompt GLOB ?" if prompt else "true", (prompt,) if prompt else (), limit
    )


def list_shadow_runs_comparing(
    registry: RegistryDatabase, prompt: str, candidate: str, control: str
) -> list[StoredShadowRun]:
    """Shadow runs that asked both of these versions, newest first."""
    found = _select_shadow_runs(registry, "prompt = ? AND digest = ?", (prompt, candidate), _MAX_LINE)
    return [run for run in found if _asked_both(run.about, control)]


def _asked_both(about: Mapping[str, Any], control: str) -> bool:
    compared = about.get("control") or {}
    return compared.get("digest") == control and about.get("recorded") is False and about.get("aa") is False


def get_shadow_run(registry: RegistryDatabase, prefix: str) -> StoredShadowRun:
    """The one shadow run whose id starts so."""
    found = _select_shadow_runs(
        registry, "batch_id >= ? AND batch_id < ?", (prefix.upper(), f"{prefix.upper()}~"), 2
    )
    if not found:
        raise NotFound(f"no shadow run {prefix} in {registry.path}", hint="promptops shadow list shows them")
    if len(found) > 1:
        raise Invalid(f"{prefix} is the start of several shadow runs", hint="give more of the id")
    return found[0]


def short_shadow_ids(registry: RegistryDatabase, shadow_ids: Iterable[str]) -> dict[str, str]:
    """Each id cut to the shortest start, of ten characters or more, that no other has."""
    sql = (
        "SELECT max(batch_id) FROM batches WHERE batch_id < ?1 "
        "UNION ALL SELECT min(batch_id) FROM batches WHERE batch_id > ?1"
    )
    return {each: shortest_prefix(each, registry.read(sql, (each,))) for each in shadow_ids}


def _select_shadow_runs(
    registry: RegistryDatabase, where: str, values: Sequence[Any], limit: int
) -> list[StoredShadowRun]:
    sql = f"SELECT * FROM batches WHERE {_IS_SHADOW} AND {where} ORDER BY batch_id DESC LIMIT ?"
    return [_stored_shadow_run(row) for row in registry.read(sql, (*values, limit))]


def _stored_shadow_run(row: Row) -> StoredShadowRun:
    return StoredShadowRun(
        shadow_id=row["batch_id"],
        prompt=row["prompt"],
        candidate=row["digest"],
        reference=row["reference"],
        about=json.loads(row["options"]),
        pairs=row["line_count"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def pair_runs(registry: RegistryDatabase, shadow_id: str) -> Iterator[tuple[int, list[RunRecord]]]:
    """The runs of each pair, by its number; of calls made again all, in order."""
    sql = (
        "SELECT batch_line, seq FROM runs WHERE batch_id = ? AND batch_line > ? AND batch_line <= ? "
        "ORDER BY batch_line, seq"
    )
    last = registry.read_one("SELECT max(batch_line) FROM runs WHERE batch_id = ?", (shadow_id,)) or 0
    for first in range(0, last, _CHUNK):
        rows = registry.read(sql, (shadow_id, first, first + _CHUNK))
        runs = {run["seq"]: run for run in runs_by_seq(registry, [row["seq"] for row in rows])}
        for number, group in groupby(rows, lambda row: int(row["batch_line"])):
            yield number, [runs[row["seq"]] for row in group]


def shadow_run_spent_usd(registry: RegistryDatabase, shadow_id: str) -> float:
    """Dollars, of both versions and of judges."""
    sql = "SELECT coalesce(sum(spent_usd), 0) FROM runs WHERE batch_id = ?1 OR eval_id = ?1"
    return float(registry.read_one(sql, (shadow_id,)))


def add_pair_outcome(registry: RegistryDatabase, run_id: str, name: str, value: float, text: str) -> None:
    """Log beside the candidate's run what was found of the pair: ``PREFERENCE`` or ``SIMILARITY``."""
    now = utc_now()
    with registry.write() as connection:
        row = connection.execute("SELECT seq FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is not None:  # else it was pruned meanwhile
            values = (row[0], "judge", name, None, value, text, now, now)
            connection.execute(INSERT_OUTCOME, values)


def shadow_losses(
    registry: RegistryDatabase, prompt: str, candidate: str, control: str
) -> list[tuple[str | None, float, str | None, float]]:
    """Error type and loss (1 = failed) of control, then of candidate, for each pair of all their shadow runs.

    In the order of the inputs: in the order in which pairs end, slow failures would come last, and a version
    that fails slowly would look better than it is. Of a run that is under way, those that it has counted.
    """
    runs = list_shadow_runs_comparing(registry, prompt, candidate, control)
    return [pair for run in reversed(runs) for pair in _input_order_losses(registry, run)]


def _input_order_losses(
    registry: RegistryDatabase, run: StoredShadowRun
) -> Iterator[tuple[str | None, float, str | None, float]]:
    """Of a side that was asked again the last row counts; one that has only started says nothing."""
    counted = run.about.get("counted")
    sql = (
        "SELECT batch_line, arm, error_type, "
        "(error_type IS NOT NULL OR coalesce(checks_failed, 0) > 0) AS loss FROM runs "
        "WHERE batch_id = ? AND batch_line <= ? AND arm IN ('control', 'candidate') AND state <> 'started' "
        "ORDER BY batch_line, seq"
    )
    rows = registry.read(sql, (run.shadow_id, _MAX_LINE if counted is None else counted))
    by_line = groupby(rows, lambda row: int(row["batch_line"]))
    for place, (line, group) in enumerate(by_line, 1):
        sides = {row["arm"]: (row["error_type"], float(row["loss"])) for row in group}
        complete = sides.keys() == {"control", "candidate"}
        if counted is None and run.finished_at is None and not (complete and line == place):
            return  # a run of before it was noted what is counted: what follows may be there for being fast
        if complete:
            yield (*sides["control"], *sides["candidate"])

"""Exports what another registry needs to judge a release, in the format of ``release_export_format``."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, field
from itertools import groupby
from typing import Any, TextIO

from promptops.config.clock import utc_text
from promptops.dataclass import dataclass
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.log_gaps import LogGap, find_log_gaps
from promptops.registry.queries.meta import read_meta, read_registry_id, save_meta
from promptops.registry.queries.release.observations import last_outcome_id, last_seq
from promptops.registry.queries.rows import record_json
from promptops.registry.queries.temp_table import TempTable
from promptops.registry.release_export_format import EXPORT_FORMAT, EXPORT_OUTCOME_COLUMNS, EXPORT_RUN_COLUMNS
from promptops.registry.unit_hash import unit_key

CALL_TIMEOUT_S = 900.0  # a call that began longer ago has died
_ABANDONED_AFTER_S = 86_400.0
_CHUNK = 500
_CHECKPOINT_KEY = "export_mark"  # in ``meta``: how far the last export got
_IS_EXPORTED = (
    "r.imported_at IS NULL AND (r.channel IS NOT NULL OR r.rollout IS NOT NULL) AND r.kind <> 'shadow'"
)
# why a canary could not be sent may quote an input
_SELECT = ", ".join(
    "r.fallback IS NOT NULL AS fallback" if name == "fallback" else f"r.{name}" for name in EXPORT_RUN_COLUMNS
)
_NEW = (
    f"SELECT r.seq, {_SELECT} FROM runs r WHERE r.seq > ? AND r.seq <= ? AND {_IS_EXPORTED} "
    f"ORDER BY r.seq LIMIT {_CHUNK}"
)
_CHANGED = (
    f"SELECT r.seq, {_SELECT} FROM changed c CROSS JOIN runs r "
    f"WHERE r.seq = c.seq AND c.seq > ? AND c.seq <= ? AND {_IS_EXPORTED} ORDER BY c.seq LIMIT {_CHUNK}"
)


@dataclass(frozen=True, slots=True)
class ExportCheckpoint:
    """How far an export got: the log's stretch, the last outcome, and which runs were still under way."""

    through_seq: int = 0
    outcome_id: int = 0
    at: str = ""
    open: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseExportResult:
    runs: int
    since_seq: int
    gaps: tuple[LogGap, ...]
    mark: ExportCheckpoint


@dataclass(slots=True)
class _ReleaseExport:
    registry: RegistryDatabase
    since: ExportCheckpoint
    through: int
    horizon: str  # runs under way that began before it are given up
    open: list[int] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield from self._exported(_NEW, self.since.through_seq, self.through)
        if self.since.through_seq:
            self._stage_changed()
            yield from self._exported(_CHANGED, 0, self.since.through_seq)

    def _stage_changed(self) -> None:
        """Runs told before that have ended since, or of which more has been heard."""
        found = self.registry.read(
            "SELECT DISTINCT run_seq FROM outcomes WHERE (id > ? OR recorded_at >= ?) AND run_seq <= ?",
            (self.since.outcome_id, self.since.at, self.since.through_seq),
        )
        changed = sorted({*(row[0] for row in found), *self.since.open})
        with TempTable(self.registry, "changed", ("seq",), unique=("seq",)) as stage:
            for seq in changed:
                stage.put((seq,))

    def _exported(self, sql: str, last: int, through: int) -> Iterator[str]:
        while found := self.registry.read(sql, (last, through)):
            last = found[-1]["seq"]
            outcomes = _outcomes(self.registry, [row["seq"] for row in found])
            for row in found:
                if row["state"] == "started" and row["started_at"] >= self.horizon:
                    self.open.append(row["seq"])
                yield _line(row, outcomes.get(row["seq"], []))


def export_release(
    registry: RegistryDatabase, stream: TextIO, *, since: ExportCheckpoint, now: float
) -> ReleaseExportResult:
    """Write all that was logged behind ``since``, and what has changed before it.

    The stretch ends before the first call that is still under way: one that is told as begun counts as dead
    once its time is over, though its end may be in the next file.
    """
    young = utc_text(now - CALL_TIMEOUT_S)
    last_outcome = last_outcome_id(registry)
    through = max(since.through_seq, _last_settled_seq(registry, since.through_seq, young, utc_text(now)))
    missing = tuple(find_log_gaps(registry, after=_seq_before_first_rollout(registry), until=young))
    header = {
        "format": EXPORT_FORMAT,
        "registry_id": read_registry_id(registry),
        "unit_key_id": unit_key(registry).id,
        "since_seq": since.through_seq,
        "through_seq": through,
        "gaps": [asdict(gap) for gap in missing],
        "exported_at": utc_text(now),
    }
    stream.write(record_json(header) + "\n")
    export, count = _ReleaseExport(registry, since, through, utc_text(now - _ABANDONED_AFTER_S)), 0
    for count, line in enumerate(export.lines(), 1):  # noqa: B007 - the last one is the answer
        stream.write(line + "\n")
    stream.write(record_json({"end": count}) + "\n")
    mark = ExportCheckpoint(through, last_outcome, utc_text(now), tuple(export.open))
    return ReleaseExportResult(runs=count, since_seq=since.through_seq, gaps=missing, mark=mark)


def _last_settled_seq(registry: RegistryDatabase, since: int, young: str, now: str) -> int:
    """The last row before a call that is under way. One from the future began before those behind it."""
    last = last_seq(registry)
    sql = (
        f"SELECT min(r.seq) FROM runs r WHERE r.seq > ? AND {_IS_EXPORTED} AND r.state = 'started' "
        "AND r.started_at >= ? AND (r.started_at <= ? OR NOT EXISTS (SELECT 1 FROM runs e "
        "WHERE e.seq > r.seq AND e.imported_at IS NULL AND e.started_at < ?))"
    )
    under_way = registry.read_one(sql, (since, young, now, young))
    return last if under_way is None else int(under_way) - 1


def _seq_before_first_rollout(registry: RegistryDatabase) -> int:
    """The row before the first run of a rollout; gaps before it say nothing of a release."""
    first = registry.read_one("SELECT min(seq) FROM runs WHERE rollout IS NOT NULL")
    return 2**62 if first is None else int(first) - 1


def _outcomes(registry: RegistryDatabase, seqs: Sequence[int]) -> dict[int, list[list[Any]]]:
    sql = (
        f"SELECT run_seq, {', '.join(EXPORT_OUTCOME_COLUMNS)} FROM outcomes "
        f"WHERE run_seq IN ({', '.join('?' * len(seqs))}) "
        "ORDER BY run_seq, id"
    )
    found = registry.read(sql, seqs)
    return {seq: [list(row)[1:] for row in group] for seq, group in groupby(found, lambda row: int(row[0]))}


def _line(row: Row, outcomes: list[list[Any]]) -> str:
    run = {name: row[name] for name in EXPORT_RUN_COLUMNS if row[name] is not None}
    if run.pop("fallback"):
        run["fallback"] = "the canary could not be sent"
    return record_json({**run, "outcomes": outcomes})


def read_export_checkpoint(registry: RegistryDatabase) -> ExportCheckpoint:
    """Where the last export for which it was noted ended; the beginning before the first."""
    text = read_meta(registry, _CHECKPOINT_KEY)
    if text is None:
        return ExportCheckpoint()
    data = json.loads(text)
    return ExportCheckpoint(data["through_seq"], data["outcome_id"], data["at"], tuple(data["open"]))


def save_export_checkpoint(registry: RegistryDatabase, mark: ExportCheckpoint) -> None:
    """The next export goes on from here. To be called when the file is safe."""
    text = record_json(
        {"through_seq": mark.through_seq, "outcome_id": mark.outcome_id, "at": mark.at, "open": mark.open}
    )
    save_meta(registry, _CHECKPOINT_KEY, text)

"""A registry copied to another place, from either engine to either.

A copy reads one moment of the source, however long it takes and whatever is logged there meanwhile, and makes
the target what the source was at that moment. It compares what is there already, a slice of runs after the
other, and replaces what differs: so a copy that was killed continues, and a later one adds what is new. Every
slice is read back and compared before it is committed. Nobody can open the target before it is complete.

What is derived from the rest is not copied: the search index, the sums by day, the index of git's history.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from promptops.config.registry_location import RegistryLocation, may_exist
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.registry.connection import Connection, EngineName, Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import SAVE_META, read_meta, read_registry_id, save_meta
from promptops.registry.queries.runs.daily_stats import drop_daily_stats
from promptops.registry.queries.runs.search_index import drop_search_index

_SLICE = 1_000  # runs with all that belongs to them, or rows of another table: what is held at once
_LARGEST = 2**63 - 1
_COPIED_FROM, _COPIED_THROUGH = "copied_from", "copied_through"  # in ``meta``
_MARK = "copy_mark"
_OWN_META = (
    "'copied_from', 'copied_through', 'copy_mark', "
    "'search_watermark', 'stats_watermark', 'stats_outcomes_watermark'"
)

RUN_TABLES = {  # table -> the column with the number of the run, and the order of the rows
    "runs": ("seq", "seq"),
    "run_texts": ("seq", "seq"),
    "run_tags": ("seq", "seq, tag"),
    "outcomes": ("run_seq", "run_seq, id"),
    "guarded_runs": ("run_seq", "run_seq"),
    "held_runs": ("run_seq", "run_seq"),
}
OTHER_TABLES = {  # table -> its key; no table refers to another of these
    "versions": "prompt, digest",
    "evals": "eval_id",
    "observations": "rollout, metric, seq",
    "eprocesses": "rollout, name",
    "batches": "batch_id",
    "jobs": "id",
    "breakers": "rollout",
    "imports": "registry_id, since_seq, through_seq",
    "api_keys": "key_id",
    "review_rubrics": "digest",
    "review_queues": "queue",
    "review_items": "item",
    "review_labels": "label",
    "review_codes": "label, code",
    "monitors": "target",
    "alarms": "alarm",
    "alerts": "alert",
    "alert_deliveries": "delivery",
    "provider_work": "work_id",
    "provider_jobs": "job_id",
    "provider_calls": "job_id, run_id",
    "meta": "key",
}
Progress = Callable[[int, int], None]


class CopyTarget(Protocol):
    """What each engine has for a copy that is being made."""

    def let_in(self, location: RegistryLocation) -> bool:
        """Let an unfinished copy be opened by who goes on with it. Whether it is one."""

    def keep_out(self, connection: Connection) -> None:
        """Have ``RegistryDatabase.open`` refuse the registry, until it is finished."""

    def finish(self, connection: Connection) -> None:
        """Let the registry be opened; its next numbers follow those that were copied."""

    def forget_id(self, location: RegistryLocation) -> None:
        """Let the registry have another id than it had."""


@dataclass(frozen=True, slots=True)
class RegistryCopy:
    runs: int
    rows: int  # of all tables
    written: int  # of these, by this pass: the rest was there already
    digest: str  # of all that was copied, in hexadecimal; read back from the copy
    unfinished: int  # runs that had not ended when they were read
    arrived: int  # runs that were logged since this pass began


class _Digest:
    """Of rows in their order: the values as both engines give them."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.rows = 0

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._hash.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        self.rows += len(rows)

    def add_text(self, text: str) -> None:
        self._hash.update(text.encode())

    @property
    def hex(self) -> str:
        return self._hash.hexdigest()


def copy_registry(
    source: RegistryLocation, target: RegistryLocation, progress: Progress | None = None
) -> RegistryCopy:
    """Make ``target`` what ``source`` is now; ``progress`` is called with runs done and runs in all.

    The copy has the id of the source, so that evidence of one is evidence of the other. Raises Invalid where
    ``target`` holds anything that is not of ``source``.
    """
    if not may_exist(source):
        raise Invalid(f"no registry at {source}")
    with RegistryDatabase.open_existing(source) as reading:
        if reading.engine != _engine_name(source):  # an empty one of this process: the server has none there
            raise Invalid(f"no registry at {source}")
        _claim(target, reading, source)
        with RegistryDatabase.open(target) as writing:
            with reading.snapshot() as connection:
                copied = _Pass(connection, writing, _engine(writing.engine)).run(progress)
            after = "SELECT count(*) FROM runs WHERE seq > ?"
            arrived = int(reading.read_one(after, (copied.last,)))
    return RegistryCopy(
        copied.runs, copied.rows, copied.written, copied.whole.hex, copied.unfinished, arrived
    )


def _engine_name(location: RegistryLocation) -> EngineName:
    return "sqlite" if isinstance(location, Path) else "postgres"


def _engine(name: EngineName) -> CopyTarget:
    engine: CopyTarget = import_module(f"promptops.registry.{name}.copy_target").TARGET
    return engine


def _claim(location: RegistryLocation, reading: RegistryDatabase, source: RegistryLocation) -> None:
    """The place belongs to this source from now on. Raises Invalid where it is somebody else's."""
    engine = _engine(_engine_name(location))
    unfinished = engine.let_in(location)
    with closing(RegistryDatabase.open(location)) as target:
        _refuse_same(target, reading)
        engine.forget_id(location)
        with target.write() as connection:
            _claim_for(connection, read_registry_id(reading), unfinished, location, source)


def _refuse_same(target: RegistryDatabase, reading: RegistryDatabase) -> None:
    """One place may have many names, and a copy has the id of its source: what is written in one is seen."""
    mark = os.urandom(8).hex()
    save_meta(target, _MARK, mark)
    try:
        same = read_meta(reading, _MARK) == mark
    finally:
        with target.write() as connection:
            connection.execute("DELETE FROM meta WHERE key = ?", (_MARK,))
    if same:
        raise Invalid(f"{reading.path} cannot be copied onto itself")


def _claim_for(
    connection: Connection,
    registry_id: str,
    unfinished: bool,
    location: RegistryLocation,
    source: RegistryLocation,
) -> None:
    found = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if found.get(_COPIED_FROM) == registry_id:
        _refuse_used(connection, unfinished, location, source)
        return
    tables = (table for table in (*RUN_TABLES, *OTHER_TABLES) if table != "meta")
    if any(connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in tables):
        raise Invalid(f"{location} is no copy of {source}, and not empty", hint="name another place")
    connection.execute(SAVE_META, (_COPIED_FROM, registry_id))
    connection.execute(SAVE_META, ("registry_id", registry_id))
    connection.execute(SAVE_META, (_COPIED_THROUGH, "0 0"))


def _refuse_used(
    connection: Connection, unfinished: bool, location: RegistryLocation, source: RegistryLocation
) -> None:
    """What was logged in the copy would be lost."""
    if not unfinished and _through(connection) != _meta(connection, _COPIED_THROUGH):
        raise Invalid(
            f"{location} has been used since it was copied: what was logged there would be lost",
            hint=f"copy it to a new place, or go on with it in place of {source}",
        )


def _through(connection: Connection) -> str:
    sql = "SELECT (SELECT max(seq) FROM runs), (SELECT max(id) FROM outcomes)"
    return " ".join(str(number or 0) for number in connection.execute(sql).fetchone())


def _meta(connection: Connection, key: str) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


class _Pass:
    def __init__(self, source: Connection, target: RegistryDatabase, engine: CopyTarget) -> None:
        self._source = source
        self._target = target
        self._engine = engine
        self.whole = _Digest()
        self.runs = self.rows = self.written = self.unfinished = self.last = 0

    def run(self, progress: Progress | None) -> "_Pass":
        total = int(self._source.execute("SELECT count(*) FROM runs").fetchone()[0])
        with self._target.write() as connection:
            self._engine.keep_out(connection)
            drop_search_index(connection)
            drop_daily_stats(connection)
        for span in self._spans():
            self._copy_runs(span)
            if progress:
                progress(self.runs, total)
        with self._target.write() as connection:
            self._copy_others(connection)
            connection.execute(SAVE_META, (_COPIED_THROUGH, _through(connection)))
            self._engine.finish(connection)
        return self

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Stretches of numbers: after the first, up to and with the second. They leave nothing out."""
        end = "SELECT max(seq) FROM (SELECT seq FROM runs WHERE seq > ? ORDER BY seq LIMIT ?) AS slice"
        while (through := self._source.execute(end, (self.last, _SLICE)).fetchone()[0]) is not None:
            yield self.last, through
            self.last = through
        yield self.last, _LARGEST  # what the copy has beyond the source is gone there

    def _copy_runs(self, span: tuple[int, int]) -> None:
        found = {
            table: _select(self._source, table, f"{number} > ? AND {number} <= ? ORDER BY {order}", span)
            for table, (number, order) in RUN_TABLES.items()
        }
        wanted = _digest_of(found)
        with self._target.write() as connection:
            if _digest_of(_read_back(connection, found, span)).hex != wanted.hex:
                for table, (number, _) in reversed(RUN_TABLES.items()):
                    connection.execute(f"DELETE FROM {table} WHERE {number} > ? AND {number} <= ?", span)
                for table, rows in found.items():
                    _insert(connection, table, rows)
                _expect_same(_digest_of(_read_back(connection, found, span)), wanted, f"runs up to {span[1]}")
                self.written += wanted.rows
        self._count(wanted)
        self.runs += len(found["runs"])
        self.unfinished += sum(run["state"] == "started" for run in found["runs"])

    def _copy_others(self, connection: Connection) -> None:
        for table in OTHER_TABLES:
            wanted = self._digest(self._source, table)
            if self._digest(connection, table).hex != wanted.hex:
                connection.execute(f"DELETE FROM {table} WHERE {_condition(table)}")
                for rows in _pages(self._source, table):
                    _insert(connection, table, rows)
                _expect_same(self._digest(connection, table), wanted, table)
                self.written += wanted.rows
            self._count(wanted)

    def _digest(self, connection: Connection, table: str) -> _Digest:
        digest = _Digest()
        for rows in _pages(connection, table):
            digest.add(rows)
        return digest

    def _count(self, part: _Digest) -> None:
        self.whole.add_text(f"{part.rows} {part.hex}")
        self.rows += part.rows


def _select(
    connection: Connection, table: str, rest: str, values: Sequence[Any], columns: str = "*"
) -> list[Row]:
    return connection.execute(f"SELECT {columns} FROM {table} WHERE {rest}", values).fetchall()


def _read_back(
    connection: Connection, found: dict[str, list[Row]], span: tuple[int, int]
) -> dict[str, list[Row]]:
    """The rows of the copy, in the columns of those of the source."""
    return {
        table: _select(
            connection,
            table,
            f"{number} > ? AND {number} <= ? ORDER BY {order}",
            span,
            ", ".join(found[table][0].keys()) if found[table] else number,
        )
        for table, (number, order) in RUN_TABLES.items()
    }


def _pages(connection: Connection, table: str) -> Iterator[list[Row]]:
    key = OTHER_TABLES[table]
    names = key.split(", ")
    after, values = _condition(table), ()
    while rows := _select(connection, table, f"{after} ORDER BY {key} LIMIT {_SLICE}", values):
        yield rows
        values = tuple(rows[-1][name] for name in names)
        after = f"{_condition(table)} AND ({key}) > ({', '.join('?' * len(names))})"


def _condition(table: str) -> str:
    return f"key NOT IN ({_OWN_META})" if table == "meta" else "1 = 1"


def _insert(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        connection.insert_many(table, tuple(rows[0].keys()), [tuple(row) for row in rows])


def _digest_of(tables: dict[str, list[Row]]) -> _Digest:
    digest = _Digest()
    for rows in tables.values():
        digest.add(rows)
    return digest


def _expect_same(there: _Digest, wanted: _Digest, what: str) -> None:
    if there.hex != wanted.hex:
        raise Unavailable(
            f"the copy does not hold what was written to it ({what}): {there.rows} of {wanted.rows} rows",
            hint="run the same command again; nothing of this part was kept",
        )

"""Taking in what other registries have exported: all files whole, or nothing."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptops.errors import Invalid
from promptops.registry.bulk_insert import next_seq
from promptops.registry.records import utc_now
from promptops.registry.release.export import registry_id
from promptops.registry.release.export_format import COLUMNS, ENDED, OUTCOME
from promptops.registry.release.export_reader import Header, read_header, read_runs
from promptops.registry.release.import_coverage import note_stretch
from promptops.registry.runs.unit_hash import VARIABLE, given_key
from promptops.registry.store import Registry
from promptops.registry.temp_table import Stage

_RUNS = ("line", *COLUMNS)
_OUTCOMES = ("line", "run_id", *OUTCOME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What one file brought. ``known``: runs that were here already and have not changed."""

    file: str
    registry_id: str
    new: int
    ended: int  # were known as begun
    known: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A file whose lines wait in temporary tables of its number."""

    number: int
    file: Path
    header: Header
    runs: int = 0

    @property
    def runs_table(self) -> str:
        return f"incoming_{self.number}"

    @property
    def outcomes_table(self) -> str:
        return f"heard_{self.number}"


def import_files(registry: Registry, files: Sequence[Path]) -> list[Imported]:
    """Take in exported files; those of one registry in their order, whatever the order they are named in.

    New runs get the next numbers here, in the order of the file. Runs that are known stay where they are; of
    those known as begun the end is taken, of all of them the outcomes that are news.
    """
    heads = sorted(((_header(file), file) for file in files), key=lambda each: _order(each[0]))
    waiting = [
        _staged(registry, _Waiting(number, file, header)) for number, (header, file) in enumerate(heads)
    ]
    with registry.write() as connection:
        return [_take_in(connection, registry, each) for each in waiting]


def _order(header: Header) -> tuple[str, int, str]:
    return header.registry_id, header.since_seq, header.exported_at


def _header(file: Path) -> Header:
    try:
        with file.open("rb") as lines:
            return read_header(str(file), lines.readline())
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from None


def _staged(registry: Registry, waiting: _Waiting) -> _Waiting:
    once = ", UNIQUE (run_id) ON CONFLICT IGNORE"
    count = 0
    with (
        waiting.file.open("rb") as lines,
        Stage(registry, waiting.runs_table, _RUNS, more=once) as runs,
        Stage(registry, waiting.outcomes_table, _OUTCOMES) as outcomes,
    ):
        lines.readline()
        for count, (line, run) in enumerate(read_runs(str(waiting.file), lines), 1):  # noqa: B007 - their number
            runs.put((line, *run.values))
            for outcome in run.outcomes:
                outcomes.put((line, run.values[0], *outcome))
    return replace(waiting, runs=count)


def _take_in(connection: sqlite3.Connection, registry: Registry, waiting: _Waiting) -> Imported:
    runs = waiting.runs_table
    _refuse_others(connection, waiting)
    _refuse_other_keys(connection, waiting)
    now = utc_now()
    ended = connection.execute(_END.format(table=runs)).rowcount
    last = next_seq(connection) - 1
    new = connection.execute(_INSERT.format(table=runs), (now,)).rowcount
    connection.execute(_TEXTS, (last,))
    outcomes = connection.execute(_HEAR.format(table=waiting.outcomes_table)).rowcount
    if waiting.header.registry_id != registry_id(registry):
        note_stretch(connection, waiting.header, now)
    return Imported(
        file=str(waiting.file),
        registry_id=waiting.header.registry_id,
        new=new,
        ended=ended,
        known=waiting.runs - new - ended,
        outcomes=outcomes,
    )


_END = f"""
UPDATE runs SET ({", ".join(ENDED)}) = (
  SELECT {", ".join(f"i.{name}" for name in ENDED)} FROM temp.{{table}} i WHERE i.run_id = runs.run_id
)
WHERE run_id IN (
  SELECT i.run_id FROM temp.{{table}} i JOIN runs r ON r.run_id = i.run_id
  WHERE i.state <> 'started' AND r.state = 'started'
)
"""
_INSERT = f"""
INSERT INTO runs ({", ".join(COLUMNS)}, reference, source, dirty, messages_hash, imported_at)
SELECT {", ".join(f"i.{name}" for name in COLUMNS)}, i.prompt || coalesce(':' || i.channel, ''), '', 0, '', ?
FROM temp.{{table}} i WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = i.run_id) ORDER BY i.line
"""
_TEXTS = """
INSERT INTO run_texts (seq, parameters, overrides, metadata)
SELECT seq, '{}', '{}', '{}' FROM runs WHERE seq > ?
"""
_HEAR = f"""
INSERT INTO outcomes (run_seq, {", ".join(OUTCOME)})
SELECT r.seq, {", ".join(f"i.{name}" for name in OUTCOME)}
FROM temp.{{table}} i CROSS JOIN runs r ON r.run_id = i.run_id
WHERE NOT EXISTS (
  SELECT 1 FROM outcomes o WHERE o.run_seq = r.seq AND o.source = i.source AND o.name = i.name
  AND o.occurred_at = i.occurred_at AND o.value IS i.value AND o.passed IS i.passed
)
ORDER BY i.rowid
"""
_OTHERS = """
SELECT i.line, i.run_id FROM temp.{table} i JOIN runs r ON r.run_id = i.run_id
WHERE (r.prompt, r.digest) <> (i.prompt, i.digest) OR r.rollout IS NOT i.rollout OR r.arm IS NOT i.arm
ORDER BY i.line LIMIT 1
"""
_KEYS = """
SELECT rollout, unit_key_id FROM temp.{table}
WHERE rollout IS NOT NULL AND unit_hash IS NOT NULL GROUP BY 1, 2
"""
_KEY_HERE = "SELECT unit_key_id FROM runs WHERE rollout = ? AND unit_hash IS NOT NULL LIMIT 1"


def _refuse_others(connection: sqlite3.Connection, waiting: _Waiting) -> None:
    other = connection.execute(_OTHERS.format(table=waiting.runs_table)).fetchone()
    if other is not None:
        raise Invalid(
            f"{waiting.file}:{other['line']}: run {other['run_id']} is another one here",
            hint="its id was given to two runs, or the file was changed; nothing has been imported",
        )


def _refuse_other_keys(connection: sqlite3.Connection, waiting: _Waiting) -> None:
    """One user hashed with two keys would be two, on one arm or on both."""
    given = given_key()
    seen: dict[str, str] = {}
    for rollout, key in connection.execute(_KEYS.format(table=waiting.runs_table)).fetchall():
        here = connection.execute(_KEY_HERE, (rollout,)).fetchone()
        known = seen.setdefault(rollout, here[0] if here else given.id if given else key)
        if known != key:
            raise Invalid(
                f"{waiting.file}: the units of rollout {rollout} were hashed with the key {key}, "
                f"and here with {known}: the same user would count as two",
                hint=f"set the same {VARIABLE} on all hosts before a rollout begins; nothing was imported",
            )

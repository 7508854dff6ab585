"""Taking in what other registries have exported: all files whole, or nothing."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry.connection import Connection
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import read_registry_id
from promptops.registry.queries.release.import_coverage import save_import_coverage
from promptops.registry.queries.temp_table import TempTable
from promptops.registry.release_export_format import (
    EXPORT_FINISHED_COLUMNS,
    EXPORT_OUTCOME_COLUMNS,
    EXPORT_RUN_COLUMNS,
)
from promptops.registry.release_export_reader import ExportHeader, read_export_header, read_exported_runs
from promptops.registry.unit_hash import UNIT_KEY_VARIABLE, unit_key_from_env

_STAGED_RUN_COLUMNS = ("line INTEGER", *EXPORT_RUN_COLUMNS)
_STAGED_OUTCOME_COLUMNS = ("line INTEGER", "place INTEGER", "run_id", *EXPORT_OUTCOME_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What one file brought. ``known``: runs that were here already and have not changed."""

    file: str
    registry_id: str
    new: int
    ended: int  # were known as begun
    known: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class _StagedFile:
    """A file whose lines wait in temporary tables of its number."""

    number: int
    file: Path
    header: ExportHeader
    runs: int = 0

    @property
    def runs_table(self) -> str:
        return f"incoming_{self.number}"

    @property
    def outcomes_table(self) -> str:
        return f"heard_{self.number}"


def import_files(registry: RegistryDatabase, files: Sequence[Path]) -> list[ImportResult]:
    """Take in exported files; those of one registry in their order, whatever the order they are named in.

    New runs get the next numbers here, in the order of the file. Runs that are known stay where they are; of
    those known as begun the end is taken, of all of them the outcomes that are news.
    """
    heads = sorted(((_header(file), file) for file in files), key=lambda each: _order(each[0]))
    waiting = [
        _stage_file(registry, _StagedFile(number, file, header))
        for number, (header, file) in enumerate(heads)
    ]
    with registry.write() as connection:
        return [_import_staged(connection, registry, each) for each in waiting]


def _order(header: ExportHeader) -> tuple[str, int, str]:
    return header.registry_id, header.since_seq, header.exported_at


def _header(file: Path) -> ExportHeader:
    try:
        with file.open("rb") as lines:
            return read_export_header(str(file), lines.readline())
    except OSError as error:
        raise Invalid(f"cannot read {file}: {error.strerror}") from None


def _stage_file(registry: RegistryDatabase, waiting: _StagedFile) -> _StagedFile:
    count = 0
    with (
        waiting.file.open("rb") as lines,
        TempTable(registry, waiting.runs_table, _STAGED_RUN_COLUMNS, unique=("run_id",)) as runs,
        TempTable(registry, waiting.outcomes_table, _STAGED_OUTCOME_COLUMNS, of="outcomes") as outcomes,
    ):
        lines.readline()
        for count, (line, run) in enumerate(read_exported_runs(str(waiting.file), lines), 1):  # noqa: B007 - their number
            runs.put((line, *run.values))
            for place, outcome in enumerate(run.outcomes):
                outcomes.put((line, place, run.values[0], *outcome))
    return replace(waiting, runs=count)


def _import_staged(connection: Connection, registry: RegistryDatabase, waiting: _StagedFile) -> ImportResult:
    runs = waiting.runs_table
    _refuse_conflicting_runs(connection, waiting)
    _refuse_different_unit_key(connection, waiting)
    now = utc_now()
    ended = connection.execute(_UPDATE_FINISHED_RUNS.format(table=runs)).rowcount
    last = connection.execute(_LAST_SEQ).fetchone()[0]
    new = connection.execute(_INSERT_RUNS.format(table=runs), (now,)).rowcount
    connection.execute(_TEXTS, (last, now))
    outcomes = connection.execute(_INSERT_OUTCOMES.format(table=waiting.outcomes_table)).rowcount
    if waiting.header.registry_id != read_registry_id(registry):
        save_import_coverage(registry, waiting.header, now)
    return ImportResult(
        file=str(waiting.file),
        registry_id=waiting.header.registry_id,
        new=new,
        ended=ended,
        known=waiting.runs - new - ended,
        outcomes=outcomes,
    )


_LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM runs"
_UPDATE_FINISHED_RUNS = f"""
UPDATE runs SET ({", ".join(EXPORT_FINISHED_COLUMNS)}) = (
  SELECT {", ".join(f"i.{name}" for name in EXPORT_FINISHED_COLUMNS)}
  FROM {{table}} i WHERE i.run_id = runs.run_id
)
WHERE run_id IN (
  SELECT i.run_id FROM {{table}} i JOIN runs r ON r.run_id = i.run_id
  WHERE i.state <> 'started' AND r.state = 'started'
)
"""
_INSERT_RUNS = f"""
INSERT INTO runs ({", ".join(EXPORT_RUN_COLUMNS)}, reference, source, dirty, messages_hash, imported_at)
SELECT {", ".join(f"i.{name}" for name in EXPORT_RUN_COLUMNS)},
  i.prompt || coalesce(':' || i.channel, ''), '', 0, '', ?
FROM {{table}} i WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = i.run_id) ORDER BY i.line
"""
_TEXTS = """
INSERT INTO run_texts (seq, parameters, overrides, metadata)
SELECT seq, '{}', '{}', '{}' FROM runs r WHERE seq > ? AND imported_at = ?
AND NOT EXISTS (SELECT 1 FROM run_texts t WHERE t.seq = r.seq)
"""
_INSERT_OUTCOMES = f"""
INSERT INTO outcomes (run_seq, {", ".join(EXPORT_OUTCOME_COLUMNS)})
SELECT r.seq, {", ".join(f"i.{name}" for name in EXPORT_OUTCOME_COLUMNS)}
FROM {{table}} i CROSS JOIN runs r
WHERE r.run_id = i.run_id AND NOT EXISTS (
  SELECT 1 FROM outcomes o WHERE o.run_seq = r.seq AND o.source = i.source AND o.name = i.name
  AND o.occurred_at = i.occurred_at AND (o.value = i.value OR o.value IS NULL AND i.value IS NULL)
  AND (o.passed = i.passed OR o.passed IS NULL AND i.passed IS NULL)
)
ORDER BY i.line, i.place
"""
_CONFLICTING_RUNS = """
SELECT i.line, i.run_id FROM {table} i JOIN runs r ON r.run_id = i.run_id
WHERE (r.prompt, r.digest) <> (i.prompt, i.digest) OR coalesce(r.rollout, '') <> coalesce(i.rollout, '')
OR coalesce(r.arm, '') <> coalesce(i.arm, '')
ORDER BY i.line LIMIT 1
"""
_UNIT_KEYS_IN_FILE = """
SELECT rollout, unit_key_id FROM {table}
WHERE rollout IS NOT NULL AND unit_hash IS NOT NULL GROUP BY 1, 2
"""
_UNIT_KEY_HERE = "SELECT unit_key_id FROM runs WHERE rollout = ? AND unit_hash IS NOT NULL LIMIT 1"


def _refuse_conflicting_runs(connection: Connection, waiting: _StagedFile) -> None:
    other = connection.execute(_CONFLICTING_RUNS.format(table=waiting.runs_table)).fetchone()
    if other is not None:
        raise Invalid(
            f"{waiting.file}:{other['line']}: run {other['run_id']} is another one here",
            hint="its id was given to two runs, or the file was changed; nothing has been imported",
        )


def _refuse_different_unit_key(connection: Connection, waiting: _StagedFile) -> None:
    """One user hashed with two keys would be two, on one arm or on both."""
    given = unit_key_from_env()
    seen: dict[str, str] = {}
    for rollout, key in connection.execute(_UNIT_KEYS_IN_FILE.format(table=waiting.runs_table)).fetchall():
        here = connection.execute(_UNIT_KEY_HERE, (rollout,)).fetchone()
        known = seen.setdefault(rollout, here[0] if here else given.id if given else key)
        if known != key:
            raise Invalid(
                f"{waiting.file}: the units of rollout {rollout} were hashed with the key {key}, "
                f"and here with {known}: the same user would count as two",
                hint=f"set the same {UNIT_KEY_VARIABLE} on all hosts before a rollout begins; "
                "nothing was imported",
            )

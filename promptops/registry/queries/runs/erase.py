"""Erasing texts of runs: all that is held of a person, or what has been kept long enough.

Rows stay with what was counted (state, arm, checks, values of outcomes), so that verdicts can be computed
again.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import os
from collections.abc import Callable, Collection, Mapping, Sequence

from promptops.dataclass import dataclass
from promptops.registry.connection import Connection
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.conditions import TENANT_CONDITION
from promptops.registry.queries.runs.search_index import (
    add_to_search_index,
    delete_from_search_index,
    drop_search_index,
)
from promptops.registry.queries.runs.space import engine_space

_CHUNK = 500
_TEMP = "CREATE TEMP TABLE erased (seq BIGINT PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL)"
_OF_PERSON = "SELECT r.seq, r.run_id, r.state FROM runs r JOIN run_texts t ON t.seq = r.seq WHERE "
_FOLLOWING = f"""
INSERT INTO temp.erased
{_OF_PERSON} (r.shadow_of IN (SELECT run_id FROM temp.erased)
OR json_extract(t.metadata, '$.judged_run') IN (SELECT run_id FROM temp.erased)
OR json_extract(t.metadata, '$.replay_of') IN (SELECT run_id FROM temp.erased))
ON CONFLICT DO NOTHING
"""
_SEQS = "(SELECT seq FROM temp.erased)"
_IDS = "(SELECT run_id FROM temp.erased)"


@dataclass(frozen=True, slots=True)
class _Holding:
    """Something that is held of runs: where, which rows have it, and what becomes of it."""

    table: str
    where: str
    change: str

    def count(self, connection: Connection) -> int:
        return int(connection.execute(f"SELECT count(*) FROM {self.table} WHERE {self.where}").fetchone()[0])

    def erase(self, connection: Connection) -> None:
        connection.execute(f"UPDATE {self.table} SET {self.change} WHERE {self.where}")


_INPUTS = _Holding("run_texts", f"seq IN {_SEQS} AND inputs IS NOT NULL", "inputs = NULL")
_OUTPUTS = _Holding(
    "run_texts",
    f"seq IN {_SEQS} AND coalesce(output, tool_calls, attempts) IS NOT NULL",
    "output = NULL, tool_calls = NULL, attempts = NULL",
)
_FEEDBACK = _Holding(
    "outcomes", f"run_seq IN {_SEQS} AND source <> 'judge' AND text <> ''", "text = ''"
)  # of a judge it is the version of the judge
_REVIEWS = _Holding(
    "review_labels",
    f"item IN (SELECT item FROM review_items WHERE run_seq IN {_SEQS}) AND (note <> '' OR answer <> '')",
    "note = '', answer = ''",
)
_RELEASED = _Holding("held_runs", f"run_seq IN {_SEQS} AND answer <> ''", "answer = ''")
_GUARDS = _Holding("guarded_runs", f"run_seq IN {_SEQS} AND reasons <> ''", "reasons = ''")
_METADATA = _Holding("run_texts", f"seq IN {_SEQS} AND metadata <> '{{}}'", "metadata = '{}'")
_ERRORS = _Holding(
    "runs",
    f"seq IN {_SEQS} "
    "AND (coalesce(error_message, 'erased') <> 'erased' OR coalesce(fallback, 'erased') <> 'erased')",
    "error_message = CASE WHEN error_message IS NOT NULL THEN 'erased' END, "
    "fallback = CASE WHEN fallback IS NOT NULL THEN 'erased' END",
)
_INPUT_HASHES = _Holding(
    "runs",
    f"seq IN {_SEQS} AND (coalesce(inputs_hash, cache_key) IS NOT NULL OR messages_hash <> '')",
    "inputs_hash = NULL, cache_key = NULL, messages_hash = ''",
)
_OUTPUT_HASHES = _Holding(
    "runs",
    f"seq IN {_SEQS} AND coalesce(output_hash, response_id, cache_key) IS NOT NULL",
    "output_hash = NULL, response_id = NULL, cache_key = NULL",
)
_JOBS = _Holding(
    "jobs",
    f"run_id IN {_IDS} AND instr(coalesce(error_message, ''), ':') > 0",
    "error_message = substr(error_message, 1, instr(error_message, ':') - 1)",
)
_EXAMPLES = _Holding(  # of inputs that a shadow run could not use, with why
    "batches",
    "EXISTS (SELECT 1 FROM json_each(options, '$.left.reasons') WHERE json_extract(value, '$[0]') IN "
    f"{_IDS})",
    "options = json_set(options, '$.left.reasons', json('[]'))",
)
_HELD_OF_PERSON: Mapping[str, _Holding] = {
    "inputs": _INPUTS,
    "outputs": _OUTPUTS,
    "feedback": _FEEDBACK,
    "reviews": _REVIEWS,
    "released answers": _RELEASED,
    "words of guards": _GUARDS,
    "metadata": _METADATA,
    "errors": _ERRORS,
    "hashes of inputs": _INPUT_HASHES,
    "ids of answers": _OUTPUT_HASHES,
    "jobs": _JOBS,
    "shadow examples": _EXAMPLES,
}
_OF_INPUTS = (_INPUTS, _INPUT_HASHES, _JOBS, _EXAMPLES, _GUARDS)
_OF_OUTPUTS = (_OUTPUTS, _FEEDBACK, _REVIEWS, _RELEASED, _ERRORS, _OUTPUT_HASHES, _GUARDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureResult:
    """``held`` and ``left``: rows with something of the person, by what it is, before and after."""

    runs: int
    under_way: int  # their ends come later
    held: Mapping[str, int]
    left: Mapping[str, int]
    waiting: bool = False  # another process is reading; what it reads goes from the disk when it has finished


def erase_person(
    registry: RegistryDatabase,
    *,
    unit_hashes: Sequence[str] = (),
    tenant: str | None = None,
    dry_run: bool = False,
    forget: Callable[[Collection[str]], object] = len,
) -> ErasureResult:
    """Erase what is held of a unit or a tenant (``TENANT_CONDITION``), also by judges and replays.

    The file is written again, so that nothing is left in free pages. Runs under way keep their unit, so
    that the same call finds their ends. ``forget`` is given the ids of the runs before their rows change:
    one that fails or is cut off is called again.
    """
    condition, values = _person_condition(unit_hashes, tenant)
    reading = False
    with registry.write() as connection:
        _choose(connection, condition, values)
        runs = int(connection.execute("SELECT count(*) FROM temp.erased").fetchone()[0])
        under_way = "SELECT count(*) FROM temp.erased WHERE state = 'started'"
        waiting = int(connection.execute(under_way).fetchone()[0])
        held = left = _count_held(connection)
        if runs and not dry_run:
            forget({row[0] for row in connection.execute("SELECT run_id FROM temp.erased")})
            for holding in _HELD_OF_PERSON.values():
                holding.erase(connection)
            _forget_units(connection)
            drop_search_index(connection)
            left = _count_held(connection)
    if runs and not dry_run:
        reading = engine_space(registry.engine).rewrite(registry)
    return ErasureResult(runs=runs, under_way=waiting, held=held, left=left, waiting=reading)


def _person_condition(unit_hashes: Sequence[str], tenant: str | None) -> tuple[str, list[str]]:
    if tenant is not None:
        return TENANT_CONDITION, [tenant]
    return f"r.unit_hash IN ({', '.join('?' * len(unit_hashes))})", list(unit_hashes)


def _choose(connection: Connection, condition: str, values: Sequence[str]) -> None:
    connection.execute("DROP TABLE IF EXISTS temp.erased")
    connection.execute(_TEMP)
    connection.execute(f"INSERT INTO temp.erased {_OF_PERSON} {condition}", values)
    while connection.execute(_FOLLOWING).rowcount > 0:  # a shadow's answer may have been judged, too
        pass


def _count_held(connection: Connection) -> dict[str, int]:
    return {name: holding.count(connection) for name, holding in _HELD_OF_PERSON.items()}


def _forget_units(connection: Connection) -> None:
    """Calls of one unit stay those of one unit, of which nobody knows whose they are; their tags go."""
    ended = "SELECT seq FROM temp.erased WHERE state <> 'started'"
    connection.execute(
        f"UPDATE runs SET unit_hash = ? WHERE unit_hash IS NOT NULL AND seq IN ({ended})",
        (os.urandom(32).hex(),),
    )
    connection.execute(f"DELETE FROM run_tags WHERE seq IN {_SEQS}")


def erase_old_texts(
    registry: RegistryDatabase,
    before: str,
    *,
    inputs: bool,
    prompt: str | None = None,
    tenant: str | None = None,
    dry_run: bool = False,
) -> int:
    """Erase inputs, or else outputs, of runs started before a time; how many runs had some."""
    column = "t.inputs IS NOT NULL" if inputs else "coalesce(t.output, t.tool_calls, t.attempts) IS NOT NULL"
    parts, values = [f"r.started_at < ? AND r.state <> 'started' AND {column}"], [before]
    for condition, value in (("r.prompt = ?", prompt), (TENANT_CONDITION, tenant)):
        if value is not None:
            parts.append(condition)
            values.append(value)
    condition = " AND ".join(parts)
    if dry_run:
        counted = f"SELECT count(*) FROM runs r JOIN run_texts t ON t.seq = r.seq WHERE {condition}"
        return int(registry.read_one(counted, values))
    engine_space(registry.engine).erase_overwrites(registry)
    total = 0
    while done := _erase_chunk(registry, condition, values, _OF_INPUTS if inputs else _OF_OUTPUTS):
        total += done
    return total


def _erase_chunk(
    registry: RegistryDatabase, condition: str, values: Sequence[str], holdings: Sequence[_Holding]
) -> int:
    with registry.write() as connection:
        connection.execute("DROP TABLE IF EXISTS temp.erased")
        connection.execute(_TEMP)
        connection.execute(
            f"INSERT INTO temp.erased {_OF_PERSON} {condition} ORDER BY r.seq LIMIT {_CHUNK}", values
        )
        where = f"seq IN {_SEQS}"
        delete_from_search_index(connection, where, ())
        for holding in holdings:
            holding.erase(connection)
        add_to_search_index(connection, where)
        return int(connection.execute("SELECT count(*) FROM temp.erased").fetchone()[0])

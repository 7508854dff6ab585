"""Sums of runs by prompt and day, kept in the registry so that reading them takes no look at every run.

Nothing is done while runs are logged. The first reader afterwards sums up those days again that have
changed: days of new runs, of runs that have ended, of runs with new outcomes, and days that ``mark_stale``
was told of. A day is always summed up as a whole, so its sums are those of its runs, whatever happened.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any

from promptops.errors import PromptopsError
from promptops.registry.connection import Connection, Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.meta import SAVE_META
from promptops.registry.queries.runs.conditions import filter_conditions

_RUNS_READ = "stats_watermark"
_OUTCOMES_READ = "stats_outcomes_watermark"
_MANY = 20_000  # runs from which on the index is read rather than the table
_TRANSACTION_S = 0.25  # during which writers wait
_UNKNOWN = 0  # in place of the first number of a day's runs

# A call answered from the cache waited for nobody, and one that failed says nothing of a model's speed.
_HAS_MODEL_LATENCY = "r.error_type IS NULL AND r.cache_source IS NULL AND r.latency_ms IS NOT NULL"
DAY = "substr(r.started_at, 1, 10)"
CELL_KEY = ("prompt", "day", "digest", "version", "channel", "model", "kind")
SUM_COLUMNS = (
    "calls", "errors", "unfinished", "input_tokens", "output_tokens", "cost_usd", "spent_usd", "unpriced",
    "cache_hits", "checked", "checks_failed", "last_run_at", "latencies",
)  # fmt: skip
SUMS = f"""
  count(*) AS calls,
  count(*) FILTER (WHERE r.error_type IS NOT NULL AND r.state <> 'interrupted') AS errors,
  count(*) FILTER (WHERE r.state IN ('started', 'interrupted')) AS unfinished,
  sum(r.input_tokens) AS input_tokens,
  sum(r.output_tokens) AS output_tokens,
  sum(r.cost_usd) AS cost_usd,
  sum(r.spent_usd) AS spent_usd,
  count(*) FILTER (WHERE r.cost_usd IS NULL AND r.error_type IS NULL AND r.state = 'finished') AS unpriced,
  count(r.cache_source) AS cache_hits,
  count(r.checks_failed) AS checked,
  count(*) FILTER (WHERE r.checks_failed > 0) AS checks_failed,
  max(r.started_at) AS last_run_at,
  latencies(r.latency_ms) FILTER (WHERE {_HAS_MODEL_LATENCY}) AS latencies
"""
OUTCOME_SUMS = """
  count(coalesce(o.passed, o.value)) AS counted,
  count(*) FILTER (WHERE CASE WHEN o.source = 'check' THEN o.passed <> 0 ELSE o.value > 0 END) AS good
"""
"""How many outcomes there are that say something, and how many of them are good: passed, or above nought."""


GUARD_SOURCE = "guard."
GUARD_SUMS = f"""
  '{GUARD_SOURCE}' || json_extract(decided.value, '$[2]') AS source,
  json_extract(decided.value, '$[0]') AS name,
  count(*) AS counted, sum(CAST(json_extract(decided.value, '$[3]') AS INTEGER)) AS good
"""
"""What each guard did and how often, and how often as its check could not say."""


def run_key(day: str = DAY) -> str:
    """The columns of a run by which it belongs to a cell."""
    return (
        f"r.prompt AS prompt, {day} AS day, r.digest AS digest, r.version AS version, r.channel AS channel, "
        "r.request_model AS model, r.kind AS kind"
    )


def read_latencies(registry: RegistryDatabase, stored: bytes) -> "array[float]":
    """The values of a cell: SQLite has them as this machine writes them, a server as all send them."""
    values = array("d")
    values.frombytes(stored)
    if registry.engine != "sqlite" and sys.byteorder == "little":
        values.byteswap()
    return values


class Latencies:
    """An aggregate function: the values as 8-byte floats of this machine, in order."""

    def __init__(self) -> None:
        self._values = array("d")

    def step(self, value: float) -> None:
        self._values.append(value)

    def finalize(self) -> bytes:
        """Not called when there was no value: the result is NULL then."""
        return array("d", sorted(self._values)).tobytes()


_FIND_DAYS = f"""
INSERT INTO stats_days (prompt, day, first_seq, last_seq, stale)
SELECT r.prompt, {DAY}, min(r.seq), max(r.seq), TRUE FROM runs r {{index}}
WHERE r.seq > ? AND r.seq <= ? GROUP BY 1, 2
ON CONFLICT (prompt, day) DO UPDATE SET
  first_seq = CASE WHEN excluded.first_seq < stats_days.first_seq
    THEN excluded.first_seq ELSE stats_days.first_seq END,
  last_seq = CASE WHEN excluded.last_seq > stats_days.last_seq
    THEN excluded.last_seq ELSE stats_days.last_seq END,
  stale = TRUE
"""
_FIND_STARTED = (
    "INSERT INTO stats_waiting SELECT r.seq FROM runs r {index} "
    "WHERE r.seq > ? AND r.seq <= ? AND r.state = 'started'"
)
# On a server an index by time leads from day to day; where a day's runs begin and end is looked up when it is
# summed. A text that is no time is a day of its own.
_DAY_END = "CASE WHEN length({0}.day) = 10 THEN {0}.day || '\U0010ffff' ELSE {0}.day END"
_OF_TIME = f"r.prompt = {{0}}.prompt AND r.started_at >= {{0}}.day AND r.started_at <= {_DAY_END}"
_NEXT_DAY = "SELECT substr(min(r.started_at), 1, 10) FROM runs r WHERE r.prompt = known.prompt"
_FIND_DAYS_BY_TIME = f"""
INSERT INTO stats_days (prompt, day, first_seq, last_seq, stale)
WITH RECURSIVE prompts(prompt) AS (
  SELECT min(prompt) FROM runs UNION ALL
  SELECT (SELECT min(prompt) FROM runs WHERE prompt > known.prompt) FROM prompts known
  WHERE known.prompt IS NOT NULL
), days(prompt, day) AS (
  SELECT known.prompt, ({_NEXT_DAY}) FROM prompts known WHERE known.prompt IS NOT NULL UNION ALL
  SELECT known.prompt, ({_NEXT_DAY} AND r.started_at > {_DAY_END.format("known")})
  FROM days known WHERE known.day IS NOT NULL
)
SELECT d.prompt, d.day, {_UNKNOWN}, ?2, TRUE FROM days d
WHERE EXISTS (SELECT 1 FROM runs r WHERE {_OF_TIME.format("d")} AND r.seq > ?1 AND r.seq <= ?2)
ON CONFLICT (prompt, day) DO UPDATE SET first_seq = {_UNKNOWN}, stale = TRUE
"""
_FIND_BOUNDS = f"""
SELECT coalesce(min(r.seq + 0), 0) AS first_seq, coalesce(max(r.seq + 0), 0) AS last_seq
FROM stats_days d JOIN runs r ON {_OF_TIME.format("d")} WHERE d.prompt = :prompt AND d.day = :day
"""  # + 0: else each is looked for in the prompt's index, from an end of all days
_SAVE_BOUNDS = (
    "UPDATE stats_days SET first_seq = :first_seq, last_seq = :last_seq WHERE prompt = :prompt AND day = :day"
)
_ENDED = (
    "SELECT w.seq FROM stats_waiting w LEFT JOIN runs ON runs.seq = w.seq "
    "WHERE coalesce(runs.state, '') <> 'started'"
)
_OF_DAY = f"r.prompt = :prompt AND r.seq BETWEEN :first_seq AND :last_seq AND {DAY} = :day"
_CELLS_OF_DAY = "SELECT cell FROM stats_cells WHERE prompt = :prompt AND day = :day"
_INSERT_OUTCOMES = """
INSERT INTO stats_outcomes (cell, source, name, counted, good)
SELECT c.cell, o.source, o.name, o.counted, o.good FROM ({}) AS o
JOIN stats_cells c ON c.prompt = :prompt AND c.day = :day AND c.digest = o.digest
  AND c.version IS o.version AND c.channel IS o.channel AND c.model = o.model AND c.kind = o.kind
"""  # joined to sums, which are few: a server that joins runs may read them again for each cell
_SUM_DAY = (
    f"DELETE FROM stats_outcomes WHERE cell IN ({_CELLS_OF_DAY})",
    f"DELETE FROM stats_cells WHERE cell IN ({_CELLS_OF_DAY})",
    f"""
    INSERT INTO stats_cells ({", ".join((*CELL_KEY, *SUM_COLUMNS))})
    SELECT {run_key()}, {SUMS} FROM runs r INDEXED BY runs_by_prompt WHERE {_OF_DAY}
    GROUP BY r.prompt, 2, r.digest, r.version, r.channel, r.request_model, r.kind
    """,
    _INSERT_OUTCOMES.format(
        f"""
        SELECT {run_key()}, o.source AS source, o.name AS name, {OUTCOME_SUMS}
        FROM runs r INDEXED BY runs_by_prompt CROSS JOIN outcomes o ON o.run_seq = r.seq
        WHERE {_OF_DAY} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        """
    ),
    _INSERT_OUTCOMES.format(
        f"""
        SELECT {run_key()}, {GUARD_SUMS}
        FROM guarded_runs g JOIN runs r ON r.seq = g.run_seq CROSS JOIN json_each(g.decisions) decided
        WHERE g.run_seq BETWEEN :first_seq AND :last_seq AND {_OF_DAY} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
        """
    ),
    "UPDATE stats_days SET stale = FALSE WHERE prompt = :prompt AND day = :day",
    f"DELETE FROM stats_days WHERE prompt = :prompt AND day = :day AND NOT EXISTS ({_CELLS_OF_DAY})",
)
_STALE = (
    "SELECT r.prompt, r.day, r.first_seq, r.last_seq FROM stats_days r WHERE r.stale AND {where} LIMIT 1000"
)


def update_daily_stats(registry: RegistryDatabase, prompt: str | None = None) -> bool:
    """Bring the sums up to date, of one prompt (which may hold wildcards) or all; whether they are now.

    They are not where the registry cannot be written at present.
    """
    if not registry.writable:
        return False
    registry.add_aggregate("latencies", Latencies)
    where, values = filter_conditions(RunFilter(prompt=prompt))
    try:
        with registry.waiting_at_most(_TRANSACTION_S):
            if _has_news(registry):
                with registry.write() as connection:
                    _find_stale_days(connection)
            while stale := registry.read(_STALE.format(where=where), values):
                with registry.write() as connection:
                    _sum_days(connection, stale)
    except PromptopsError:
        return False
    return True


_WATERMARK = "coalesce((SELECT CAST(value AS BIGINT) FROM meta WHERE key = '{key}'), 0)"
_NEWS = f"""
SELECT coalesce((SELECT max(seq) FROM runs), 0) > {_WATERMARK.format(key=_RUNS_READ)}
  OR coalesce((SELECT max(id) FROM outcomes), 0) > {_WATERMARK.format(key=_OUTCOMES_READ)}
  OR EXISTS ({_ENDED})
"""


def _has_news(registry: RegistryDatabase) -> bool:
    return bool(registry.read_one(_NEWS))


def _find_stale_days(connection: Connection) -> None:
    """The days of what is new: of runs, of their ends, of outcomes."""
    done, last = _meta(connection, _RUNS_READ), _max(connection, "seq", "runs")
    outcomes, last_outcome = _meta(connection, _OUTCOMES_READ), _max(connection, "id", "outcomes")
    mark_stale(connection, f"seq IN ({_ENDED})")
    connection.execute(f"DELETE FROM stats_waiting WHERE seq IN ({_ENDED})")
    mark_stale(
        connection, "seq IN (SELECT run_seq FROM outcomes WHERE id > ? AND run_seq <= ?)", (outcomes, done)
    )
    many = last - done > _MANY
    find_days = _FIND_DAYS_BY_TIME if many and connection.engine == "postgres" else _FIND_DAYS
    index = "INDEXED BY runs_by_prompt" if many else "NOT INDEXED"
    for statement in (find_days, _FIND_STARTED):
        connection.execute(statement.format(index=index), (done, last))
    for key, value in ((_RUNS_READ, last), (_OUTCOMES_READ, last_outcome)):
        connection.execute(SAVE_META, (key, str(value)))


def _sum_days(connection: Connection, stale: Sequence[Row]) -> None:
    """As many as there is time for; a day that another process has summed meanwhile is summed again."""
    deadline = time.monotonic() + _TRANSACTION_S
    for day in map(dict, stale):
        if day["first_seq"] == _UNKNOWN:
            day |= dict(connection.execute(_FIND_BOUNDS, day).fetchone())
            connection.execute(_SAVE_BOUNDS, day)
        for statement in _SUM_DAY:
            connection.execute(statement, day)
        if time.monotonic() > deadline:
            return


def mark_stale(connection: Connection, where: str, values: Sequence[Any] = ()) -> None:
    """Have the days of these runs summed up again; call it before runs are deleted, in that transaction."""
    connection.execute(
        "UPDATE stats_days SET stale = TRUE WHERE (prompt, day) IN "
        f"(SELECT r.prompt, {DAY} FROM runs r WHERE {where})",
        values,
    )


def forget_deleted_outcomes(connection: Connection) -> None:
    """Call it after outcomes were deleted: their numbers may be given again."""
    connection.execute(
        "UPDATE meta SET value = min(CAST(value AS INTEGER), (SELECT coalesce(max(id), 0) FROM outcomes)) "
        "WHERE key = ?",
        (_OUTCOMES_READ,),
    )


def drop_daily_stats(connection: Connection) -> None:
    """The next reader makes them again."""
    for table in ("stats_outcomes", "stats_cells", "stats_days", "stats_waiting"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM meta WHERE key IN (?, ?)", (_RUNS_READ, _OUTCOMES_READ))


def _meta(connection: Connection, key: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0


def _max(connection: Connection, column: str, table: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()[0])

"""What releases read of the log, and what they keep of it: calls in assignment order, values, scores."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, repeat
from operator import getitem
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.outcomes import REVIEW_PASS
from promptops.registry.records import LogRow

CALL_METRIC = ""  # the metric under which every call that counts has a row: who was assigned where
_LOSS = 3  # the place of a value among those of a row
_ALL = 2**62  # rows
_ROWS_AT_ONCE = 500  # of four values each: SQLite binds 32,766 where it has RETURNING
LATE_PREFIX = "late:"  # before a metric's name: a value that came when the call had been scored
MEASURED_COLUMNS = (
    "latency_ms", "first_token_ms", "cost_usd", "cost_list_usd", "spent_usd", "input_tokens", "output_tokens",
    "cached_tokens", "reasoning_tokens", "checks_failed",
)  # fmt: skip
_CALL_COLUMNS = (
    "r.seq, r.run_id, r.arm, r.weight_bp, r.started_at, r.state, r.unit_hash IS NULL AS without_unit"
)
_ENDED_HOW = (  # truncated: NULL where nothing is known of it
    "r.cache_source IS NOT NULL AS cached, r.finish_reason = 'length' AS truncated, "
    "coalesce(r.error_type, '') IN ('input_blocked', 'output_blocked') AS blocked, "
    "(r.error_type IS NOT NULL OR r.fallback IS NOT NULL OR r.state = 'interrupted') AS failed"
)
_IS_TRAFFIC = "{0}.kind IN ('run', 'batch') AND {0}.excluded IS NULL"
_IS_COUNTED = (
    f"{_IS_TRAFFIC} AND {{0}}.weight_bp > 0 AND {{0}}.weight_bp < 10000 AND {{0}}.arm IN ('stable', 'canary')"
)
_EXCLUSION_REASON = (
    "CASE WHEN r.excluded IS NOT NULL THEN r.excluded "
    "WHEN r.kind NOT IN ('run', 'batch') THEN r.kind "
    "WHEN coalesce(r.arm, '') NOT IN ('stable', 'canary') THEN 'no arm' "
    "WHEN coalesce(r.weight_bp, 0) NOT BETWEEN 1 AND 9999 THEN 'weight' END"
)
_EARLIER_OF_UNIT = (
    "SELECT 1 FROM runs e WHERE e.rollout = r.rollout AND e.unit_hash = r.unit_hash AND e.seq < r.seq"
)
_MET_CANARY = f"EXISTS ({_EARLIER_OF_UNIT} AND e.arm = 'canary' AND {_IS_TRAFFIC.format('e')})"
NEW_UNIT = (  # the first call of a unit that has met the canary
    f"coalesce(r.arm, '') = 'canary' AND r.unit_hash IS NOT NULL AND NOT {_MET_CANARY}"
)
_COUNTED, _CANARY = 1, 2  # what ``earlier`` is the sum of
_EARLIER = (  # of a unit's first call, which most are, its index alone tells it, and that once
    f"CASE WHEN r.unit_hash IS NULL OR NOT EXISTS ({_EARLIER_OF_UNIT}) THEN 0 "
    f"ELSE CASE WHEN {_MET_CANARY} THEN {_CANARY} ELSE 0 END "
    f"+ CASE WHEN EXISTS ({_EARLIER_OF_UNIT} AND {_IS_COUNTED.format('e')}) THEN {_COUNTED} ELSE 0 END END"
)


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """A value that a check, a judge or a person gave a call. ``passed`` is for checks alone."""

    source: str
    name: str
    passed: bool | None
    value: float | None
    occurred_at: str


def calls_after(
    registry: RegistryDatabase,
    rollout: str,
    seq: int,
    *,
    limit: int,
    measured: Iterable[str] = MEASURED_COLUMNS,
) -> Sequence[LogRow]:
    """The next rows of a rollout in assignment order; ``exclusion_reasons`` says which of them count.

    Only rows before which none can come any more.
    """
    columns = ", ".join((_CALL_COLUMNS, *(f"r.{name}" for name in MEASURED_COLUMNS if name in set(measured))))
    sql = (
        f"SELECT {columns}, {_ENDED_HOW}, {_EXCLUSION_REASON} AS reason, {_EARLIER} AS earlier, "
        f"{_IS_TRAFFIC.format('r')} AS traffic FROM runs r WHERE r.rollout = ? AND r.seq > ? AND r.seq <= ? "
        "ORDER BY r.seq LIMIT ?"
    )
    return registry.read(sql, (rollout, seq, registry.settled().seq, limit))


def exclusion_reasons(rows: Sequence[LogRow], *, by_unit: bool) -> list[str | None]:
    """Why each of these rows does not count, None where it does; ``by_unit``: a unit counts once."""
    reasons, earlier = column(rows, "reason"), column(rows, "earlier")
    if not by_unit or not any(earlier):
        return reasons
    columns = zip(reasons, earlier, strict=True)
    return [reason or ("repeated unit" if calls & _COUNTED else None) for reason, calls in columns]


def count_new_units(rows: Sequence[LogRow]) -> int:
    """How many units meet the canary for the first time in these calls."""
    columns = (column(rows, name) for name in ("arm", "without_unit", "earlier"))
    return sum(
        arm == "canary" and not without_unit and not earlier & _CANARY
        for arm, without_unit, earlier in zip(*columns, strict=True)
    )


def column(rows: Sequence[Any], name: str) -> list[Any]:
    """One column of rows of the log."""
    if not rows:
        return []
    read = tuple.__getitem__ if isinstance(rows[0], tuple) else getitem  # the row's own asks for names first
    return list(map(read, rows, repeat(rows[0].keys().index(name))))


def calls_before(
    registry: RegistryDatabase, prompt: str, channel: str, digest: str | None, since: str, until: str
) -> Sequence[LogRow]:
    """The latest 2,000 calls of a stable version between two times (UTC text), newest first."""
    mine, value = ("r.digest = ?", digest) if digest else ("r.channel = ?", channel)
    sql = (
        f"SELECT {_CALL_COLUMNS}, {', '.join(MEASURED_COLUMNS)}, {_ENDED_HOW}, NULL AS reason FROM runs r "
        f"WHERE r.prompt = ? AND {mine} "
        f"AND {_IS_TRAFFIC.format('r')} AND r.state <> 'started' AND coalesce(r.arm, 'stable') = 'stable' "
        "AND r.started_at >= ? AND r.started_at < ? ORDER BY r.seq DESC LIMIT 2000"
    )
    return registry.read(sql, (prompt, value, since, until))


def read_call_outcomes(registry: RegistryDatabase, seqs: Sequence[int]) -> dict[int, list[CallOutcome]]:
    """What was said of these calls, in the order in which it occurred."""
    found: dict[int, list[CallOutcome]] = {}
    for first in range(0, len(seqs), 500):
        some = seqs[first : first + 500]
        sql = (
            "SELECT run_seq, source, name, passed, value, occurred_at FROM outcomes "
            f"WHERE run_seq IN ({', '.join('?' * len(some))}) ORDER BY run_seq, occurred_at, id"
        )
        for row in registry.read(sql, some):
            passed = None if row["passed"] is None else bool(row["passed"])
            outcome = CallOutcome(row["source"], row["name"], passed, row["value"], row["occurred_at"])
            found.setdefault(row["run_seq"], []).append(outcome)
    return found


def last_outcome_id(registry: RegistryDatabase) -> int:
    """The last of those before which none can come any more."""
    sql = "SELECT max(id) FROM outcomes WHERE id <= ?"
    return int(registry.read_one(sql, (registry.settled().outcome,)) or 0)


def outcomes_after(
    registry: RegistryDatabase, rollout: str, number: int, *, through: int
) -> Sequence[LogRow]:
    """What judges and people have said since, of calls up to ``through``: seq, source, name, value, arm."""
    sql = (
        "SELECT o.run_seq AS seq, o.source, o.name, o.value, r.arm, r.weight_bp FROM outcomes o "
        "JOIN runs r ON r.seq = o.run_seq WHERE o.id > ? AND o.id <= ? AND o.source <> 'check' "
        "AND r.rollout = ? AND r.seq <= ?"
    )
    return registry.read(sql, (number, registry.settled().outcome, rollout, through))


def earliest_start_from(registry: RegistryDatabase, rollout: str, seq: int) -> tuple[str, int]:
    """The earliest time (UTC text) at a row or behind it, and whose; imported ones by their import."""
    sql = (
        "SELECT coalesce(imported_at, started_at), seq FROM runs WHERE rollout = ? AND seq >= ? "
        "ORDER BY 1, 2 LIMIT 1"
    )
    moment, number = registry.read(sql, (rollout, seq))[0]
    return str(moment), int(number)


def filter_ended_calls(registry: RegistryDatabase, seqs: Sequence[int]) -> list[int]:
    """Which of these calls have ended, though they were given up, or are gone."""
    marks = ", ".join("?" * len(seqs))
    sql = f"SELECT seq FROM runs WHERE state = 'started' AND seq IN ({marks})"
    waiting = {row[0] for row in registry.read(sql, seqs)}
    return [seq for seq in seqs if seq not in waiting]


@dataclass(frozen=True, slots=True)
class ObservationBlock:
    """One metric's values of calls in assignment order, by column. A loss is None where it is missing.

    No ``losses``: those of a metric that has none.
    """

    metric: str
    seqs: Sequence[int]
    arms: Sequence[str]
    weights_bp: Sequence[int]
    losses: Sequence[float | None] = ()


def save_observations(
    registry: RegistryDatabase, rollout: str, blocks: Iterable[ObservationBlock], recorded_at: str
) -> None:
    """Store observations. The first value of a call is final."""
    with registry.write() as connection:
        for block in blocks:
            same = rollout, block.metric, int(block.metric.startswith(LATE_PREFIX)), recorded_at
            columns = (block.seqs, block.arms, block.weights_bp, *((block.losses,) if block.losses else ()))
            for start in range(0, len(block.seqs), _ROWS_AT_ONCE):
                some = [column[start : start + _ROWS_AT_ONCE] for column in columns]
                values = chain.from_iterable(zip(*some, strict=True))
                connection.execute(_insert_observations(len(some[0]), len(columns)), (*same, *values))


@lru_cache(maxsize=2 * _ROWS_AT_ONCE)
def _insert_observations(rows: int, columns: int) -> str:
    """Many rows by one statement take half the time of as many statements."""
    values = (", ".join(["?"] * columns), *(("NULL",) if columns == _LOSS else ()))
    row = f"(?1, ?2, ?3, ?4, {', '.join(values)})"
    return (
        "INSERT INTO observations (rollout, metric, late, recorded_at, seq, arm, weight_bp, loss) "
        f"VALUES {', '.join([row] * rows)} ON CONFLICT (rollout, metric, seq) DO NOTHING"
    )


def delete_observations(registry: RegistryDatabase, rollout: str, metric: str) -> None:
    """Drop what was kept of a metric that means something else now."""
    with registry.write() as connection:
        connection.execute("DELETE FROM observations WHERE rollout = ? AND metric = ?", (rollout, metric))


def read_observations(
    registry: RegistryDatabase, rollout: str, metric: str, through: int | None = None
) -> list[tuple[int, str, int, float | None]]:
    """One metric's observations in assignment order: seq, arm, weight, loss (NULL: missing)."""
    sql = (
        "SELECT seq, arm, weight_bp, loss FROM observations WHERE rollout = ? AND metric = ? AND seq <= ? "
        "ORDER BY seq"
    )
    values = (rollout, metric, _ALL if through is None else through)
    return [tuple(row) for row in registry.read(sql, values)]


def read_losses(
    registry: RegistryDatabase, rollout: str, metric: str, limit: int | None = None
) -> list[tuple[str, int, float]]:
    """The first observations of a metric that have a value, in assignment order: arm, weight, loss."""
    sql = (
        "SELECT arm, weight_bp, loss FROM observations WHERE rollout = ? AND metric = ? AND loss IS NOT NULL "
        "ORDER BY seq LIMIT ?"
    )
    return [tuple(row) for row in registry.read(sql, (rollout, metric, _ALL if limit is None else limit))]


def pruned_calls(registry: RegistryDatabase, rollout: str) -> Iterator[tuple[int, str, int]]:
    """Calls that were scored and are no longer in the log."""
    sql = (
        "SELECT o.seq, o.arm, o.weight_bp FROM observations o WHERE o.rollout = ? AND o.metric = ? "
        "AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.seq = o.seq) ORDER BY o.seq"
    )
    return (tuple(row) for row in registry.read(sql, (rollout, CALL_METRIC)))


_SCORED = {"observations": ("rollout", "metric", "seq"), "eprocesses": ("rollout", "name")}


@contextmanager
def scratch_analysis(registry: RegistryDatabase, rollout: str) -> Iterator[None]:
    """A snapshot in which a rollout can be scored: what is scored goes to temporary tables, gone at the end.

    They stand before those of the registry, of which nobody is kept from writing.
    """
    with registry.snapshot() as connection:
        for table, key in _SCORED.items():
            connection.make_scratch_copy(table, key, rollout)
        yield


def count_calls_since(registry: RegistryDatabase, rollout: str, moment: str, through: int) -> tuple[int, int]:
    """Scored calls that were started at that time (UTC text) or later, and those of the canary among them."""
    sql = (
        "SELECT count(*), count(*) FILTER (WHERE o.arm = 'canary') "
        "FROM observations o JOIN runs r ON r.seq = o.seq "
        "WHERE o.rollout = ? AND o.metric = ? AND o.seq <= ? AND r.started_at >= ?"
    )
    calls, canary_calls = registry.read(sql, (rollout, CALL_METRIC, through, moment))[0]
    return int(calls), int(canary_calls)


def count_reviewed_calls(registry: RegistryDatabase, rollout: str) -> int:
    """Outputs of the canary, drawn at random, that a person has reviewed."""
    sql = (
        "SELECT count(DISTINCT o.run_seq) FROM outcomes o JOIN runs r ON r.seq = o.run_seq "
        "WHERE o.source = 'person' AND o.name = ? AND r.rollout = ? AND r.arm = 'canary'"
    )
    return int(registry.read_one(sql, (REVIEW_PASS, rollout)))


def has_outcome(registry: RegistryDatabase, rollout: str, source: str, name: str) -> bool:
    """Whether anybody has given any call of a rollout this outcome."""
    sql = (
        "SELECT 1 FROM runs r JOIN outcomes o ON o.run_seq = r.seq "
        "WHERE r.rollout = ? AND o.source = ? AND o.name = ? LIMIT 1"
    )
    return bool(registry.read(sql, (rollout, source, name)))


def find_first_rollout_run(registry: RegistryDatabase, rollout: str) -> tuple[int, str | None]:
    """The first row of a rollout: its number, and when it was started; 0 and None before there is one."""
    sql = "SELECT seq, started_at FROM runs WHERE rollout = ? ORDER BY seq LIMIT 1"
    rows = registry.read(sql, (rollout,))
    return (rows[0]["seq"], rows[0]["started_at"]) if rows else (0, None)


def last_seq(registry: RegistryDatabase) -> int:
    """The last row before which none can come any more."""
    return int(registry.read_one("SELECT max(seq) FROM runs WHERE seq <= ?", (registry.settled().seq,)) or 0)


def count_distinct_inputs(registry: RegistryDatabase, prompt: str, most: int = 2000) -> int:
    """How many different inputs of a prompt are kept, and so can be replayed; counted up to ``most``."""
    sql = (
        "SELECT count(*) FROM (SELECT DISTINCT r.inputs_hash FROM runs r JOIN run_texts t ON t.seq = r.seq "
        "WHERE r.prompt = ? AND r.kind IN ('run', 'batch') AND r.state <> 'started' "
        "AND r.inputs_hash IS NOT NULL AND t.inputs IS NOT NULL LIMIT ?) AS inputs"
    )
    return int(registry.read_one(sql, (prompt, most)))


def read_channel_traffic(
    registry: RegistryDatabase, prompt: str, channel: str, since: str
) -> tuple[int, int, str | None]:
    """Calls of a channel since a time (UTC text), how many units they are, and when the first was."""
    sql = (
        "SELECT count(*), count(DISTINCT unit_hash) + count(*) - count(unit_hash), min(started_at) "
        f"FROM runs r WHERE prompt = ? AND channel = ? AND started_at >= ? AND {_IS_TRAFFIC.format('r')}"
    )
    calls, units, first = registry.read(sql, (prompt, channel, since))[0]
    return int(calls), int(units), first

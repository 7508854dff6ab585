"""What monitoring reads of the log: which runs there are, cheaply, and those that it looks at, whole."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterator, Sequence

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import read_meta, save_meta
from promptops.registry.queries.release.observations import last_seq
from promptops.registry.records import LogRow

_ROWS = 20_000  # read at once
_LOOKED_AT = 500  # and those of which texts are read
_OF_CHANNEL = "r.prompt = ? AND r.channel = ? AND r.seq > ? AND r.kind IN ('run', 'batch', 'probe')"
_SCAN = (  # the index has all of it: texts are read of few
    "SELECT r.seq, substr(r.started_at, 1, 10), r.kind = 'probe' FROM runs r INDEXED BY runs_by_prompt "
    f"WHERE {_OF_CHANNEL} AND r.seq <= ? AND r.state <> 'started' ORDER BY r.seq LIMIT {_ROWS}"
)
_FIRST_OPEN = (
    f"SELECT min(r.seq) FROM runs r INDEXED BY runs_by_prompt WHERE {_OF_CHANNEL} "
    "AND r.state = 'started' AND r.started_at > ?"
)
_NEWEST = (
    "SELECT r.digest, r.version, r.request_model FROM runs r INDEXED BY runs_by_prompt "
    "WHERE r.prompt = ? AND r.channel = ? AND r.kind IN ('run', 'batch') "
    "AND coalesce(r.arm, 'stable') = 'stable' ORDER BY r.seq DESC LIMIT 1"
)
_CHANNELS_READ = "monitored_channels"
_COLUMNS = (
    "r.seq, r.run_id, r.kind, r.state, r.started_at, r.digest, r.version, r.arm, r.excluded, r.fallback, "
    "r.unit_hash, r.request_model, r.response_model, r.finish_reason, r.latency_ms, r.output_tokens, "
    "r.cost_list_usd, r.cost_usd, r.cache_source, r.error_type, r.checks_failed, r.case_id, r.output_hash, "
    "t.inputs, t.output, t.attempts"
)


def scan_traffic(
    registry: RegistryDatabase, prompt: str, channel: str, after: int, through: int
) -> Iterator[tuple[int, str, bool]]:
    """The ended runs of a channel in the order of the log: number, day, whether it is a probe's."""
    while True:
        rows = registry.read(_SCAN, (prompt, channel, after, through))
        yield from (tuple(row) for row in rows)
        if len(rows) < _ROWS:
            return
        after = rows[-1][0]


def first_open_run(
    registry: RegistryDatabase, prompt: str, channel: str, after: int, since: str
) -> int | None:
    """The first run that was started since then (UTC text) and has not ended."""
    found: int | None = registry.read_one(_FIRST_OPEN, (prompt, channel, after, since))
    return found


def newest_stable_run(registry: RegistryDatabase, prompt: str, channel: str) -> LogRow | None:
    """Digest, version and model of a channel's newest call that was no canary's."""
    rows = registry.read(_NEWEST, (prompt, channel))
    return rows[0] if rows else None


def monitored_runs(registry: RegistryDatabase, seqs: Sequence[int]) -> Iterator[LogRow]:
    """These runs with their texts, in order; those that were pruned meanwhile are left out."""
    for first in range(0, len(seqs), _LOOKED_AT):
        some = seqs[first : first + _LOOKED_AT]
        marks = ", ".join("?" * len(some))
        yield from registry.read(
            f"SELECT {_COLUMNS} FROM runs r LEFT JOIN run_texts t ON t.seq = r.seq "
            f"WHERE r.seq IN ({marks}) ORDER BY r.seq",
            some,
        )


@dataclass(frozen=True, slots=True)
class MonitoredOutcome:
    """What a judge or a person said of a run of a channel."""

    id: int
    seq: int
    source: str
    name: str
    value: float
    recorded_at: str
    digest: str
    unit_hash: str | None


_OUTCOMES = (  # CROSS: the new outcomes first, not all runs of the prompt
    "SELECT o.id, o.run_seq, o.source, o.name, o.value, o.recorded_at, r.digest, r.unit_hash "
    "FROM outcomes o CROSS JOIN runs r WHERE r.seq = o.run_seq AND o.id > ? AND o.id <= ? "
    "AND (o.source = 'judge' OR (o.source = 'person' AND o.name = 'thumbs')) AND o.value IS NOT NULL "
    "AND r.prompt = ? AND r.channel = ? AND r.kind IN ('run', 'batch') "
    "AND coalesce(r.arm, 'stable') = 'stable' AND r.excluded IS NULL ORDER BY o.id"
)


def outcomes_between(
    registry: RegistryDatabase, prompt: str, channel: str, after: int, through: int
) -> list[MonitoredOutcome]:
    rows = registry.read(_OUTCOMES, (after, through, prompt, channel))
    return [MonitoredOutcome(*row) for row in rows]


def run_ids_of(registry: RegistryDatabase, seqs: Sequence[int]) -> list[str]:
    """Of those that are still there, in the order of the log."""
    marks = ", ".join("?" * len(seqs))
    return [
        row[0] for row in registry.read(f"SELECT run_id FROM runs WHERE seq IN ({marks}) ORDER BY seq", seqs)
    ]


def find_channels(registry: RegistryDatabase) -> list[tuple[str, str]]:
    """Prompts and channels that were ever called; which they were at the last time is remembered."""
    known = json.loads(read_meta(registry, _CHANNELS_READ) or "[0, []]")
    last = last_seq(registry)
    sql = (
        "SELECT DISTINCT prompt, channel FROM runs WHERE seq > ? AND seq <= ? AND channel IS NOT NULL "
        "AND kind IN ('run', 'batch')"
    )
    new = {tuple(row) for row in registry.read(sql, (known[0], last))}
    found = sorted(new | {(prompt, channel) for prompt, channel in known[1]})
    unknown = new - {tuple(each) for each in known[1]}
    if registry.writable and (unknown or last - known[0] > _ROWS):  # else all would be read each time
        save_meta(registry, _CHANNELS_READ, json.dumps([last, found]))
    return found


def last_traffic_at(registry: RegistryDatabase, prompt: str, channel: str) -> str | None:
    """When the last call of a channel was."""
    sql = (
        "SELECT r.started_at FROM runs r INDEXED BY runs_by_prompt WHERE r.prompt = ? AND r.channel = ? "
        "AND r.kind IN ('run', 'batch') ORDER BY r.seq DESC LIMIT 1"
    )
    found: str | None = registry.read_one(sql, (prompt, channel))
    return found


def recent_inputs(
    registry: RegistryDatabase, prompt: str, channel: str | None, since: str, count: int
) -> list[LogRow]:
    """The latest different inputs of a prompt that are kept, from a few thousand runs at most."""
    sql = (
        "SELECT r.seq, r.run_id, r.inputs_hash, t.inputs FROM runs r JOIN run_texts t ON t.seq = r.seq "
        "WHERE r.prompt = ?1 AND (r.channel = ?2 OR ?2 IS NULL) AND r.kind IN ('run', 'batch') "
        "AND r.started_at >= ?3 AND t.inputs IS NOT NULL ORDER BY r.seq DESC LIMIT ?4"
    )
    found: dict[str, LogRow] = {}
    for row in registry.read(sql, (prompt, channel, since, 4 * count)):
        if len(found) < count:
            found.setdefault(row["inputs_hash"] or row["inputs"], row)
    return list(found.values())

"""Of which kinds failures are: types of errors, or checks that fail, before a day and since."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from typing import Literal

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase

FailureKind = Literal["errors", "checks"]
_RUNS = 5_000  # of each side that are looked at: those nearest to the day, and the latest
_KINDS = 50  # different ones
_WINDOW = (
    "WITH w AS (SELECT r.seq, r.state, r.error_type, r.checks_failed "
    "FROM {source} WHERE {joined}r.prompt = ? AND r.channel = ? AND {kinds} AND {version} "
    "AND r.started_at {side} ? AND r.state <> 'started' AND coalesce(r.arm, 'stable') = 'stable' "
    f"AND r.excluded IS NULL AND r.fallback IS NULL ORDER BY {{order}} DESC LIMIT {_RUNS}) "
)
_SOURCE = {"source": "runs r INDEXED BY runs_by_prompt", "joined": "", "order": "r.seq"}
_TAGGED = {  # CROSS: a rare tag's runs are read, and not all runs for it
    "source": "(SELECT seq FROM run_tags WHERE tag = ?) t CROSS JOIN runs r",
    "joined": "r.seq = t.seq AND ",
    "order": "t.seq",
}
_COUNTS = {
    "errors": "SELECT coalesce(error_type, state) AS kind, count(*) AS runs FROM w "
    "WHERE error_type IS NOT NULL OR state = 'interrupted'",
    "checks": "SELECT o.name AS kind, count(DISTINCT w.seq) AS runs FROM w "
    "JOIN outcomes o ON o.run_seq = w.seq "
    "WHERE w.checks_failed > 0 AND o.source = 'check' AND coalesce(o.passed, 0) <> 1",
}
_OF = {  # probes are asked at temperature 0, and so have another digest than what is served
    False: {"kinds": "r.kind IN ('run', 'batch')", "version": "r.digest = ?"},
    True: {"kinds": "r.kind = 'probe'", "version": "r.version IS ?"},
}


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """How many of the runs failed in which way."""

    runs: int
    kinds: dict[str, int]


@dataclass(frozen=True, slots=True)
class FailureWindow:
    """``version``: its digest or, of probes, its name. ``tag``: None of all runs."""

    prompt: str
    channel: str
    version: str
    day: str
    tag: str | None = None
    probes: bool = False


def count_failures(
    registry: RegistryDatabase, of: FailureWindow, what: FailureKind
) -> tuple[FailureCounts, FailureCounts]:
    """Before the day and since."""
    found = []
    for side in ("<", ">="):
        window = _WINDOW.format(side=side, **_OF[of.probes], **(_TAGGED if of.tag else _SOURCE))
        tag = (of.tag,) if of.tag else ()
        values = (*tag, of.prompt, of.channel, of.version, of.day)
        grouped = f"{window} {_COUNTS[what]} GROUP BY kind ORDER BY runs DESC, kind LIMIT {_KINDS}"
        kinds = {str(row["kind"]): int(row["runs"]) for row in registry.read(grouped, values)}
        found.append(FailureCounts(int(registry.read_one(f"{window} SELECT count(*) FROM w", values)), kinds))
    before, since = found
    return before, since

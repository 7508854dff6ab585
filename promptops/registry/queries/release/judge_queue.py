"""Which answers a judge has still to look at."""

from collections.abc import Iterator

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq
from promptops.registry.sampling import is_sampled

_CHUNK = 200
_SELECT_UNJUDGED = """
SELECT r.seq, r.run_id FROM runs r
WHERE r.seq > ?1 AND r.prompt = ?2 AND r.channel = ?3 AND r.state = 'finished' AND r.kind IN ('run', 'batch')
AND r.excluded IS NULL AND r.error_type IS NULL AND r.imported_at IS NULL
AND (r.rollout = ?4 OR ?4 IS NULL AND r.started_at >= ?5 AND r.cache_source IS NULL)
AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.run_seq = r.seq AND o.source = 'judge' AND o.name = ?6)
ORDER BY r.seq LIMIT ?7
"""
_SELECT_JUDGE_VERSIONS = """
SELECT DISTINCT o.text FROM runs r JOIN outcomes o ON o.run_seq = r.seq
WHERE r.rollout = ? AND o.source = 'judge' AND o.name = ? LIMIT 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeQueueFilter:
    """The runs of one channel: those of a rollout, or where there is none those since a time (UTC text)."""

    prompt: str
    channel: str
    rollout: str | None
    since: str


def runs_to_judge(
    registry: RegistryDatabase, served: JudgeQueueFilter, judge: str, share: float
) -> Iterator[RunRecord]:
    """The runs drawn for a judge that it has not scored, oldest first; imported ones are judged elsewhere.

    In a rollout answers from the cache are judged, too: leaving them out would choose calls by their arm.
    """
    last = 0
    while True:
        values = (last, served.prompt, served.channel, served.rollout, served.since, judge, _CHUNK)
        found = registry.read(_SELECT_UNJUDGED, values)
        if not found:
            return
        last = found[-1]["seq"]
        yield from runs_by_seq(
            registry, [row["seq"] for row in found if is_sampled(row["run_id"], judge, share)]
        )


def judge_versions_used(registry: RegistryDatabase, rollout: str, judge: str) -> list[str]:
    """Which versions of a judge have scored runs of a rollout, as ``NAME@sha256:DIGEST``."""
    return [row[0] for row in registry.read(_SELECT_JUDGE_VERSIONS, (rollout, judge))]

"""What the shadow of a channel has still to answer, and what it has answered: jobs and runs of kind shadow.

A job is added in the transaction that finishes the run whose inputs it is about. Whoever works on jobs holds
a lease on each; the leases of a process that has died end with it.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from promptops.config.clock import utc_moment, utc_now, utc_text
from promptops.dataclass import dataclass
from promptops.registry.connection import EngineName
from promptops.registry.database import RegistryDatabase
from promptops.registry.leases import is_holder_dead
from promptops.registry.queries.rows import INSERT_SHADOW_JOB, record_json, shadow_job_values
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq

INCOMPATIBLE = "incompatible"  # how the note of a job begins whose inputs the version does not take
_ALL_RUNS = 2**62
_CHUNK = 200
_LIVE = "batch_id IS NULL AND shadow_of IS NOT NULL AND prompt = ? AND channel = ? AND digest = ?"


@dataclass(frozen=True, slots=True)
class LiveShadowKey:
    """A version that answers what a channel is asked."""

    prompt: str
    channel: str
    digest: str  # 64 hex digits

    @property
    def about(self) -> Mapping[str, str]:
        return {"prompt": self.prompt, "channel": self.channel, "digest": self.digest}

    @property
    def key(self) -> tuple[str, str, str]:
        return self.prompt, self.channel, self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowJob:
    """``inputs`` is None where the run is gone, or its inputs were not kept, or not as they were."""

    id: int
    run_id: str
    inputs: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    tenant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCounts:
    """``left_out``: how many jobs were not done, by the reason."""

    waiting: int
    left_out: Mapping[str, int]


def job_note(reason: str, details: str = "") -> str:
    """Why a job was not done, as it is kept; ``read_shadow_counts`` counts the reasons."""
    return f"{reason}: {details}" if details else reason


def add_job(registry: RegistryDatabase, run_id: str, shadowing: LiveShadowKey) -> None:
    with registry.write() as connection:
        connection.execute(INSERT_SHADOW_JOB, shadow_job_values(run_id, shadowing.about))


def add_skipped_job(registry: RegistryDatabase, run_id: str, shadowing: LiveShadowKey, why: str) -> None:
    """Note that a run was drawn and is not answered."""
    now = utc_now()
    values = (run_id, record_json(shadowing.about), now, now, why)
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO jobs (kind, run_id, payload, created_at, done_at, error_message) "
            "VALUES ('shadow', ?, ?, ?, ?, ?)",
            values,
        )


def next_live_shadow(
    registry: RegistryDatabase, without: Collection[LiveShadowKey] = ()
) -> LiveShadowKey | None:
    """Whose job has waited longest, of those that nobody works on."""
    _release_dead_leases(registry)
    sql = (
        "SELECT payload FROM jobs WHERE kind = 'shadow' AND done_at IS NULL "
        "AND (leased_until IS NULL OR leased_until < ?) GROUP BY payload ORDER BY min(id)"
    )
    for row in registry.read(sql, (utc_now(),)):
        shadowing = LiveShadowKey(**json.loads(row["payload"]))
        if shadowing not in without:
            return shadowing
    return None


_LOCKED: Mapping[EngineName, str] = {  # what others are about to take is passed over
    "sqlite": "",  # one writes at a time
    "postgres": " FOR UPDATE OF j SKIP LOCKED",
}


def lease_jobs(
    registry: RegistryDatabase, shadowing: LiveShadowKey, who: str, *, most: int, seconds: float
) -> list[ShadowJob]:
    """Take the oldest jobs that nobody holds. Those whose answer is there already are done with.

    Several hosts may ask at once: no job is given to two.
    """
    now = utc_now()
    sql = (
        "SELECT j.id, j.run_id, r.tenant, t.metadata, "
        "CASE WHEN r.redacted_inputs IS NULL THEN t.inputs END AS inputs, "
        "EXISTS (SELECT 1 FROM runs s "
        "WHERE s.shadow_of = j.run_id AND s.batch_id IS NULL AND s.digest = ? AND s.state <> 'started' "
        "AND coalesce(s.error_type, '') NOT IN ('rate_limit', 'interrupted')) AS answered "
        "FROM jobs j LEFT JOIN runs r ON r.run_id = j.run_id LEFT JOIN run_texts t ON t.seq = r.seq "
        "WHERE j.kind = 'shadow' AND j.done_at IS NULL AND j.payload = ? "
        "AND (j.leased_until IS NULL OR j.leased_until < ? AND j.leased_by <> ?) ORDER BY j.id LIMIT ?"
    )
    until = utc_text(utc_moment() + seconds)
    with registry.write_locked_rows() as connection:
        values = (shadowing.digest, record_json(shadowing.about), now, who, most)
        found = connection.execute(sql + _LOCKED[registry.engine], values).fetchall()
        for row in found:
            if row["answered"]:
                connection.execute("UPDATE jobs SET done_at = ? WHERE id = ?", (now, row["id"]))
            else:
                connection.execute(
                    "UPDATE jobs SET leased_until = ?, leased_by = ?, attempts = attempts + 1 WHERE id = ?",
                    (until, who, row["id"]),
                )
    if found and all(row["answered"] for row in found):
        return lease_jobs(registry, shadowing, who, most=most, seconds=seconds)
    return [_job(row) for row in found if not row["answered"]]


def _job(row: Any) -> ShadowJob:
    inputs = None if row["inputs"] is None else json.loads(row["inputs"])
    return ShadowJob(
        id=row["id"],
        run_id=row["run_id"],
        inputs=inputs,
        metadata=json.loads(row["metadata"] or "{}"),
        tenant=row["tenant"],
    )


def finish_job(registry: RegistryDatabase, job_id: int, why: str | None = None) -> None:
    """``why`` it was not answered, where it wasn't."""
    with registry.write_locked_rows() as connection:
        connection.execute(
            "UPDATE jobs SET done_at = ?, error_message = ? WHERE id = ?", (utc_now(), why, job_id)
        )


def finish_all_jobs(registry: RegistryDatabase, shadowing: LiveShadowKey, why: str) -> int:
    """End everything that waits for a version, unanswered; says how much."""
    with registry.write() as connection:
        return connection.execute(
            "UPDATE jobs SET done_at = ?, error_message = ? "
            "WHERE kind = 'shadow' AND done_at IS NULL AND payload = ?",
            (utc_now(), why, record_json(shadowing.about)),
        ).rowcount


def release_leases(registry: RegistryDatabase, who: str) -> None:
    """End a holder's leases; the jobs wait on."""
    with registry.write() as connection:
        connection.execute(
            "UPDATE jobs SET leased_until = NULL, leased_by = NULL "
            "WHERE kind = 'shadow' AND done_at IS NULL AND leased_by = ?",
            (who,),
        )


def _release_dead_leases(registry: RegistryDatabase) -> None:
    sql = (
        "SELECT DISTINCT leased_by FROM jobs "
        "WHERE kind = 'shadow' AND done_at IS NULL AND leased_by IS NOT NULL"
    )
    for (who,) in registry.read(sql):
        if is_holder_dead(who):
            release_leases(registry, who)


def read_shadow_counts(registry: RegistryDatabase, shadowing: LiveShadowKey) -> ShadowCounts:
    sql = (
        "SELECT done_at IS NULL AS waits, error_message AS why, count(*) AS jobs FROM jobs "
        "WHERE kind = 'shadow' AND payload = ? AND (done_at IS NULL OR error_message IS NOT NULL) "
        "GROUP BY 1, 2"
    )
    waiting, left_out = 0, dict[str, int]()
    for row in registry.read(sql, (record_json(shadowing.about),)):
        if row["waits"]:
            waiting += row["jobs"]
        else:
            reason = row["why"].partition(":")[0]
            left_out[reason] = left_out.get(reason, 0) + row["jobs"]
    return ShadowCounts(waiting=waiting, left_out=left_out)


def live_shadow_spent_usd(registry: RegistryDatabase, shadowing: LiveShadowKey) -> float:
    """Dollars that a version has cost as the shadow of a channel, however often it was turned on."""
    sql = f"SELECT coalesce(sum(spent_usd), 0) FROM runs WHERE {_LIVE}"  # noqa: S608 - constants
    return float(registry.read_one(sql, shadowing.key))


def live_pairs(
    registry: RegistryDatabase, shadowing: LiveShadowKey, control: str
) -> Iterator[tuple[RunRecord, RunRecord]]:
    """The control's run and the shadow's, in the order of the users' calls, up to the first that still waits.

    ``control``: digest of the version that the users met. Pairs in the order in which they came to be done
    would say more of fast answers than of slow ones.
    """
    sql = (
        "SELECT r.seq, max(s.seq) AS shadow FROM runs s JOIN runs r ON r.run_id = s.shadow_of "
        "WHERE s.shadow_of IS NOT NULL AND s.batch_id IS NULL AND s.prompt = ? AND s.channel = ? "
        "AND s.digest = ? AND r.digest = ? AND s.state <> 'started' "
        "AND coalesce(s.error_type, '') NOT IN ('rate_limit', 'interrupted') "
        "AND r.seq < coalesce((SELECT min(w.seq) FROM jobs j JOIN runs w ON w.run_id = j.run_id "
        "WHERE j.kind = 'shadow' AND j.done_at IS NULL AND j.payload = ?), ?) "
        "GROUP BY r.seq ORDER BY r.seq"
    )
    found = registry.read(sql, (*shadowing.key, control, record_json(shadowing.about), _ALL_RUNS))
    for at in range(0, len(found), _CHUNK):
        part = found[at : at + _CHUNK]
        runs = {run["seq"]: run for run in runs_by_seq(registry, [seq for row in part for seq in row])}
        yield from ((runs[row["seq"]], runs[row["shadow"]]) for row in part)


def skipped_job_examples(
    registry: RegistryDatabase, shadowing: LiveShadowKey, reason: str, most: int = 5
) -> list[tuple[str, str]]:
    """Runs that were not answered for this reason, the latest first, each with the details."""
    sql = (
        "SELECT run_id, error_message FROM jobs "
        "WHERE kind = 'shadow' AND payload = ? AND substr(error_message, 1, length(?)) = ? "
        "ORDER BY id DESC LIMIT ?"
    )
    begins = f"{reason}: "
    found = registry.read(sql, (record_json(shadowing.about), begins, begins, most))
    return [(row[0], row[1].partition(": ")[2]) for row in found]

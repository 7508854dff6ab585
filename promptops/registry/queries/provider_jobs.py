"""Work that a provider's batch service does, and the jobs that it was submitted as."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Literal

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase
from promptops.registry.leases import is_holder_dead
from promptops.registry.ulid import normalize_id_prefix

JobState = Literal["submitting", "pending", "ended", "expired", "failed", "cancelled"]
"""``submitting``: nobody knows yet whether the provider has it. The others are as in ``BatchState``."""

_CHUNK = 500
_JOBS = (
    "SELECT j.*, w.verb, w.prompt, w.finished_at FROM provider_jobs j "
    "JOIN provider_work w ON w.work_id = j.work_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWork:
    """What one command has asked for. ``command`` are the words that go on with it.

    ``seed`` is what the ids of its runs are derived from; ``spent_before`` are dollars that had been spent on
    the same before, ``newest_run`` the number of the last run by then. Of closed work nothing more is asked.
    """

    work_id: str
    work_key: str
    verb: str
    prompt: str
    seed: str
    command: Sequence[str]
    spent_before: float
    newest_run: int
    created_at: str
    closed_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """``answered`` and ``failed`` are the provider's counts; dollars are None where no price is known."""

    job_id: str
    work_id: str
    verb: str = ""
    prompt: str = ""
    provider: str
    model: str
    state: JobState
    provider_id: str | None = None
    calls: int
    ceiling_usd: float | None = None
    spent_usd: float | None = None
    answered: int | None = None
    failed: int | None = None
    reason: str | None = None
    created_at: str
    expires_at: str | None = None
    ended_at: str | None = None
    finished_at: str | None = None  # of its work

    @property
    def is_waiting(self) -> bool:
        return self.state in ("submitting", "pending")


def open_provider_work(registry: RegistryDatabase, work: StoredWork) -> StoredWork:
    """The unfinished work of this key; this one where there is none."""
    values = {**asdict(work), "command": json.dumps(list(work.command))}
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO provider_work ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 - columns
    with registry.write() as connection:
        connection.execute(sql, (*values.values(),))
    return find_provider_work(registry, work.work_key) or work


def find_provider_work(registry: RegistryDatabase, work_key: str) -> StoredWork | None:
    """The unfinished work of this key."""
    rows = registry.read(
        "SELECT * FROM provider_work WHERE work_key = ? AND finished_at IS NULL", (work_key,)
    )
    return _work(rows[0]) if rows else None


def get_provider_work(registry: RegistryDatabase, work_id: str) -> StoredWork:
    return _work(registry.read("SELECT * FROM provider_work WHERE work_id = ?", (work_id,))[0])


def hold_provider_work(registry: RegistryDatabase, work_id: str, who: str, *, until: str) -> bool:
    """Whether nobody else is at this work; then it is this holder's until that moment."""
    with registry.write() as connection:
        sql = "SELECT held_by, held_until FROM provider_work WHERE work_id = ?"
        held_by, held_until = tuple(connection.execute(sql, (work_id,)).fetchone())
        if held_by not in (None, who) and held_until > utc_now() and not is_holder_dead(held_by):
            return False
        connection.execute(
            "UPDATE provider_work SET held_by = ?, held_until = ? WHERE work_id = ?", (who, until, work_id)
        )
    return True


def release_provider_work(registry: RegistryDatabase, work_id: str, who: str) -> None:
    with registry.write() as connection:
        connection.execute(
            "UPDATE provider_work SET held_by = NULL WHERE work_id = ? AND held_by = ?", (work_id, who)
        )


def close_provider_work(registry: RegistryDatabase, work_id: str) -> None:
    """Ask nothing further; what was submitted is still taken."""
    with registry.write() as connection:
        connection.execute(
            "UPDATE provider_work SET closed_at = coalesce(closed_at, ?) WHERE work_id = ?",
            (utc_now(), work_id),
        )


def finish_provider_work(registry: RegistryDatabase, work_id: str) -> None:
    """All of it is logged. What is kept of its jobs is their figures."""
    now = utc_now()
    with registry.write() as connection:
        connection.execute(
            "DELETE FROM provider_calls WHERE job_id IN (SELECT job_id FROM provider_jobs WHERE work_id = ?)",
            (work_id,),
        )
        connection.execute("UPDATE provider_work SET finished_at = ? WHERE work_id = ?", (now, work_id))


def add_provider_job(registry: RegistryDatabase, job: StoredJob, calls: Iterable[tuple[str, str]]) -> None:
    """Note a job before it is submitted. ``calls``: id of the run and hash of its request."""
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO provider_jobs "
            "(job_id, work_id, provider, model, state, calls, ceiling_usd, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(job.job_id, job.work_id, job.provider, job.model),
                *(job.state, job.calls, job.ceiling_usd, job.created_at),
            ),
        )
        connection.executemany(
            "INSERT INTO provider_calls (job_id, run_id, request_hash) VALUES (?, ?, ?)",
            [(job.job_id, run_id, request_hash) for run_id, request_hash in calls],
        )


def remove_provider_job(registry: RegistryDatabase, job_id: str) -> None:
    """Forget a job that the provider has not accepted."""
    with registry.write() as connection:
        connection.execute("DELETE FROM provider_calls WHERE job_id = ?", (job_id,))
        connection.execute("DELETE FROM provider_jobs WHERE job_id = ?", (job_id,))


def update_provider_job(registry: RegistryDatabase, job_id: str, **values: Any) -> None:
    names = ", ".join(f"{name} = ?" for name in values)
    with registry.write() as connection:
        connection.execute(
            f"UPDATE provider_jobs SET {names} WHERE job_id = ?",  # noqa: S608 - names of columns
            (*values.values(), job_id),
        )


def jobs_of_work(registry: RegistryDatabase, work_id: str) -> list[StoredJob]:
    """In the order in which they were submitted."""
    return [_job(row) for row in registry.read(f"{_JOBS} WHERE j.work_id = ? ORDER BY j.job_id", (work_id,))]


def list_provider_jobs(registry: RegistryDatabase, limit: int) -> list[StoredJob]:
    """The latest first."""
    found = registry.read(f"{_JOBS} ORDER BY j.job_id DESC LIMIT ?", (limit,))
    return [_job(row) for row in found]


def open_provider_jobs(registry: RegistryDatabase) -> list[StoredJob]:
    """Those of work that is not finished, the earliest first."""
    found = registry.read(f"{_JOBS} WHERE w.finished_at IS NULL ORDER BY j.job_id")
    return [_job(row) for row in found]


def find_provider_job(registry: RegistryDatabase, text: str) -> StoredJob:
    """The job whose id begins so. Raises NotFound and Invalid."""
    prefix = normalize_id_prefix(text)
    found = (
        registry.read(f"{_JOBS} WHERE j.job_id LIKE ? ORDER BY j.job_id LIMIT 2", (f"{prefix}%",))
        if prefix
        else []
    )
    if len(found) > 1:
        raise Invalid(f"`{text}` is the start of several jobs", hint="write more of it")
    if not found:
        raise NotFound(f"no job `{text}`", hint="promptops jobs list shows them")
    return _job(found[0])


def provider_job_ids(registry: RegistryDatabase, provider: str) -> list[str]:
    """What a provider calls the jobs that are known to be ours."""
    sql = "SELECT provider_id FROM provider_jobs WHERE provider = ? AND provider_id IS NOT NULL"
    return [row["provider_id"] for row in registry.read(sql, (provider,))]


def calls_of_job(registry: RegistryDatabase, job_id: str) -> dict[str, str]:
    """Hash of the request by id of the run."""
    rows = registry.read("SELECT run_id, request_hash FROM provider_calls WHERE job_id = ?", (job_id,))
    return {row["run_id"]: row["request_hash"] for row in rows}


def run_states(registry: RegistryDatabase, run_ids: Iterable[str]) -> dict[str, str]:
    """The states of those runs that are logged."""
    states: dict[str, str] = {}
    waiting = iter(run_ids)
    while some := tuple(islice(waiting, _CHUNK)):
        marks = ", ".join("?" * len(some))
        rows = registry.read(f"SELECT run_id, state FROM runs WHERE run_id IN ({marks})", some)  # noqa: S608 - marks
        states |= {row["run_id"]: row["state"] for row in rows}
    return states


def unended_calls(registry: RegistryDatabase, work_id: str) -> list[str]:
    """Runs of a work's jobs that have a row and no end."""
    sql = (
        "SELECT DISTINCT r.run_id FROM provider_jobs j JOIN provider_calls c ON c.job_id = j.job_id "
        "JOIN runs r ON r.run_id = c.run_id WHERE j.work_id = ? AND r.state = 'started'"
    )
    return [row["run_id"] for row in registry.read(sql, (work_id,))]


def _work(row: Row) -> StoredWork:
    values = {name: row[name] for name in StoredWork.__dataclass_fields__}
    return StoredWork(**{**values, "command": tuple(json.loads(values["command"]))})


def _job(row: Row) -> StoredJob:
    return StoredJob(**{name: row[name] for name in StoredJob.__dataclass_fields__})

"""Jobs taken up again, by whatever process: found where an answer was lost, looked at, and read."""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from promptops.config.clock import utc_now, utc_seconds
from promptops.log import PackageLogger
from promptops.providers.batches.types import BatchResult, BatchStatus
from promptops.providers.types import ModelError
from promptops.registry import (
    StoredJob,
    calls_of_job,
    jobs_of_work,
    provider_job_ids,
    remove_provider_job,
    update_provider_job,
)
from promptops.runner.batch.provider_jobs.submission import note_accepted
from promptops.runner.batch.provider_jobs.work import ProviderWork

_LOG = PackageLogger("promptops.runner")
CERTAIN_AFTER_S = 60.0  # a provider lists a new job with a delay
_SURELY_LISTED_S = 3600.0
_LOOK_AGAIN_S = 5.0
_MAX_REASON = 1_000
_LOST = ("not_found", "cut_off")  # answers that may never come


def take_up(work: ProviderWork) -> None:
    """Read the jobs that are noted, and what has been answered; ask how far the others are."""
    for job in jobs_of_work(work.registry, work.id):
        if job.job_id not in work.jobs and job.state != "failed":
            _take_up_job(work, job)
    for job in work.waiting:
        if problem := try_looking(work, job):
            _LOG.warning(f"job {job.job_id} could not be checked: {problem}")


def _take_up_job(work: ProviderWork, job: StoredJob) -> None:
    if job.state == "submitting":
        found = _find_again(work, job)
        if found is None:
            remove_provider_job(work.registry, job.job_id)
            return
        job = found
    work.jobs[job.job_id] = job
    work.calls[job.job_id] = work.answers.add_pending(calls_of_job(work.registry, job.job_id))
    if not job.is_waiting:
        _fetch(work, job)


def _find_again(work: ProviderWork, job: StoredJob) -> StoredJob | None:
    """The job whose answer was lost; None where the provider has none: certain after a while only."""
    service = work.service(job.model)
    custom_ids = calls_of_job(work.registry, job.job_id).keys()
    others = provider_job_ids(work.registry, job.provider)
    old = time.time() - utc_seconds(job.created_at) > _SURELY_LISTED_S
    until = time.monotonic() + (0.0 if old else CERTAIN_AFTER_S)
    _LOG.info(f"looking for job {job.job_id} at {service.name}: it is unknown whether it was accepted")
    while True:
        found = service.find(job.job_id, since=job.created_at, custom_ids=custom_ids, known=others)
        if found is not None:
            _LOG.info(f"job {job.job_id} was accepted by {service.name} after all")
            return note_accepted(work, job, found)
        if (left := until - time.monotonic()) <= 0:
            return None
        time.sleep(min(left, _LOOK_AGAIN_S))


def look_at(work: ProviderWork, job: StoredJob) -> None:
    """Ask how far a job is; read its answers where it is over."""
    assert job.provider_id is not None  # noqa: S101 - it has been accepted
    try:
        status = work.service(job.model).status(job.provider_id)
    except ModelError as error:
        if error.type != "not_found":
            raise
        if not work.is_closed:  # the key may be that of another account
            error.hint = f"has the key or the address changed? else: promptops jobs cancel {job.job_id}"
            raise
        status = BatchStatus(id=job.provider_id, state="cancelled", word="", errors=(error.message,))
    changed = _changes(status)
    job = replace(job, **changed)
    if status.is_over:
        _fetch(work, job)
    else:
        update_provider_job(work.registry, job.job_id, **changed)
        work.jobs[job.job_id] = job


def _changes(status: BatchStatus) -> dict[str, Any]:
    changed: dict[str, Any] = {
        "state": status.state,
        "answered": status.succeeded,
        "failed": status.failed,
        "expires_at": status.expires_at,
        "ended_at": (status.ended_at or utc_now()) if status.is_over else None,
        "reason": "; ".join(status.errors)[:_MAX_REASON],
    }
    return {name: value for name, value in changed.items() if value not in (None, "")}


def _fetch(work: ProviderWork, job: StoredJob) -> None:
    """Read the answers of a job that is over, and note what they have cost."""
    counted = _Counts()
    if job.state == "failed":  # refused whole: there is nothing to read, and nothing to pay
        work.refused.append(job)
        work.answers.drop(work.calls[job.job_id])
    else:
        assert job.provider_id is not None  # noqa: S101 - it has been accepted
        calls = work.calls[job.job_id]
        try:
            results = work.service(job.model).results(job.provider_id, calls.keys())
            counted.add(work, job, work.answers.end(job.model, calls, results))
        except ModelError as error:
            if error.type not in _LOST or not work.is_closed:
                raise
            _LOG.warning(f"the answers of job {job.job_id} are given up: {error.message}")
    job = replace(job, spent_usd=counted.spent, answered=counted.answered, failed=counted.failed)
    work.jobs[job.job_id] = job
    if job.state == "cancelled":
        work.end()
    update_provider_job(
        work.registry,
        job.job_id,
        state=job.state,
        ended_at=job.ended_at,
        reason=job.reason,
        spent_usd=job.spent_usd,
        answered=job.answered,
        failed=job.failed,
    )


class _Counts:
    """What has come of the calls of a job. ``spent`` is None where a price is not known."""

    def __init__(self) -> None:
        self.answered = self.failed = self.odd = 0
        self.spent: float | None = 0.0

    def add(self, work: ProviderWork, job: StoredJob, results: Iterable[BatchResult]) -> None:
        for result in results:
            self.answered += result.kind == "answered"
            self.failed += result.kind in ("failed", "expired", "cancelled")
            self.odd += result.kind in ("unknown", "unreadable")
            completion = result.completion or (result.error.completion if result.error else None)
            if completion is not None and result.kind in ("answered", "failed"):
                cost = work.catalog.batch_cost(job.model, completion)
                billed = cost.cost_usd if cost else None
                self.spent = None if self.spent is None or billed is None else self.spent + billed
        if self.odd:
            _LOG.warning(f"job {job.job_id}: {self.odd:,} lines of its results belong to none of its calls")


def try_looking(work: ProviderWork, job: StoredJob) -> str:
    """As ``look_at``, for who looks again anyway: says what is wrong where the provider is not reached.

    Raises ModelError where looking again is of no use. Answers that are cut off were fetched several times.
    """
    try:
        look_at(work, job)
    except ModelError as error:
        if not error.retryable or error.type in _LOST:
            raise
        return error.message
    return ""

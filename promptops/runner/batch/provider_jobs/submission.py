"""Calls submitted to a provider as jobs: rows first, then a note of the job, then the job itself."""

from dataclasses import replace

from promptops.config.clock import utc_now
from promptops.errors import Unavailable
from promptops.log import PackageLogger
from promptops.providers.batches.types import AcceptanceUnknown, SubmittedBatch
from promptops.providers.types import ModelError
from promptops.registry import (
    RegistryDatabase,
    StartedRun,
    StoredJob,
    add_provider_job,
    new_run_id,
    provider_job_ids,
    redact_started_run,
    remove_provider_job,
    run_states,
    update_provider_job,
)
from promptops.runner.batch.provider_jobs.parked import ParkedCall
from promptops.runner.batch.provider_jobs.work import ProviderWork

_LOG = PackageLogger("promptops.runner")
MAX_JOB_CALLS = 10_000  # of one job: they are in memory while it is submitted
_ROWS = 250  # started in one transaction


def submit_parked(work: ProviderWork) -> int:
    """Submit what a pass has parked; how many calls that were. Raises ModelError and Unavailable."""
    submitted = 0
    for model, calls in work.parked.items():
        service = work.service(model)
        service.check()
        for group in calls.groups(MAX_JOB_CALLS):
            parked = {call.run.run_id: call for call in group}
            for requests in service.split((run_id, call.request) for run_id, call in parked.items()):
                _submit_job(work, model, [parked[run_id] for run_id, _ in requests])
                submitted += len(requests)
    return submitted


def _submit_job(work: ProviderWork, model: str, calls: list[ParkedCall]) -> None:
    service = work.service(model)
    work.hold()
    _start_runs(work, [call.run for call in calls])
    known = [call.ceiling for call in calls if call.ceiling is not None]
    job = StoredJob(
        job_id=new_run_id(),
        work_id=work.id,
        provider=service.name,
        model=model,
        state="submitting",
        calls=len(calls),
        ceiling_usd=sum(known) if len(known) == len(calls) else None,
        created_at=utc_now(),
    )
    add_provider_job(work.registry, job, [(call.run.run_id, call.request_hash) for call in calls])
    try:
        others = provider_job_ids(work.registry, service.name)
        requests = [(call.run.run_id, call.request) for call in calls]
        accepted = service.submit(requests, job.job_id, known=others)
    except AcceptanceUnknown as error:
        raise Unavailable(
            f"{service.name} may have accepted job {job.job_id}, and its answer was lost: {error.message}",
            hint="the same command looks for it before anything is submitted again",
        ) from None
    except ModelError:
        remove_provider_job(work.registry, job.job_id)
        raise
    note_accepted(work, job, accepted)
    _LOG.info(f"job {job.job_id}: {len(calls):,} calls of {model} submitted")


def note_accepted(work: ProviderWork, job: StoredJob, accepted: SubmittedBatch) -> StoredJob:
    """From here on it costs money, and is asked for by the id that the provider gave it."""
    changed = {"state": "pending", "provider_id": accepted.id, "expires_at": accepted.expires_at}
    update_provider_job(work.registry, job.job_id, **changed)
    return replace(job, state="pending", provider_id=accepted.id, expires_at=accepted.expires_at)


def _start_runs(work: ProviderWork, runs: list[StartedRun]) -> None:
    """Rows before the calls; one that an earlier job had a call of has its row."""
    settings = work.settings
    with RegistryDatabase.open(settings.registry) as registry:  # which remembers each run until it is closed
        for first in range(0, len(runs), _ROWS):
            group, now = runs[first : first + _ROWS], utc_now()
            there = run_states(registry, [run.run_id for run in group])
            new = [replace(run, started_at=now) for run in group if run.run_id not in there]
            registry.start_all([redact_started_run(run, settings.log) for run in new])

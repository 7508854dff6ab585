"""``promptops jobs list``: jobs of providers' batch services."""

from typing import Any

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import LimitOption
from promptops.cli.reports.run_tables import format_age
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.registry import RegistryDatabase, StoredJob, list_provider_jobs

_SHOWN_ID = 10  # characters of it, which say the millisecond


def jobs_list(limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """List jobs, newest first: how far they were when the provider was last asked, and what they cost.

    A job that is over waits for `jobs collect`, and then says collected.
    """
    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        jobs = list_provider_jobs(registry, limit)
    if as_json:
        print_json([_as_json(job) for job in jobs])
    elif not jobs:
        note("no jobs; batch, eval and shadow run make some with --provider-batch")
    else:
        print_table(
            ("JOB", "VERB", "PROMPT", "PROVIDER", "STATE", "ANSWERED", "AGE", "EXPIRES", "SPENT"),
            [_row(job) for job in jobs],
            numeric=(5, 6, 8),
        )


def _row(job: StoredJob) -> tuple[str, ...]:
    return (
        job.job_id[:_SHOWN_ID],
        job.verb,
        job.prompt,
        job.provider,
        "collected" if job.finished_at else job.state,
        f"{job.answered or 0:,} of {job.calls:,}",
        format_age(job.created_at),
        f"{job.expires_at[:16]}Z" if job.expires_at and job.is_waiting else "",
        "" if job.spent_usd is None else f"${job.spent_usd:.4f}",
    )


def _as_json(job: StoredJob) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "verb": job.verb,
        "prompt": job.prompt,
        "provider": job.provider,
        "model": job.model,
        "provider_id": job.provider_id,
        "state": job.state,
        "calls": job.calls,
        "answered": job.answered,
        "failed": job.failed,
        "reason": job.reason,
        "ceiling_usd": job.ceiling_usd,
        "spent_usd": job.spent_usd,
        "created_at": job.created_at,
        "expires_at": job.expires_at,
        "ended_at": job.ended_at,
        "collected_at": job.finished_at,
    }

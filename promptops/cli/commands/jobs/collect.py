"""``promptops jobs collect``: answers of jobs taken up by the commands that have submitted them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from promptops.cli.main import run_words
from promptops.cli.options.flags import wait_option
from promptops.cli.running_command import GOES_ON_WITH
from promptops.config.settings import current_settings
from promptops.console import note
from promptops.errors import ExitCode, Invalid
from promptops.registry import (
    RegistryDatabase,
    StoredJob,
    StoredWork,
    find_provider_job,
    get_provider_work,
    open_provider_jobs,
)

JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB...", help="Ids, or their beginnings. Default: all that wait."),
]
WaitOption = Annotated[bool, wait_option("Wait until all are over; else exit with 3 if one is not.")]


def jobs_collect(jobs: JobsArgument = None, *, wait: WaitOption = False) -> int:
    """Collect the answers of jobs, and continue the commands that submitted them.

    Each prints what it would have printed, with the exit code that it would have had. Calls that expired or
    need a retry are submitted as another job. A job that is not over ends this with 3.
    """
    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        asked = [find_provider_job(registry, job) for job in jobs] if jobs else open_provider_jobs(registry)
        works = {job.work_id: get_provider_work(registry, job.work_id) for job in asked}
    for job in asked:
        if job.finished_at is not None:
            note(f"job {job.job_id} was already collected")
    if not asked:
        note("no jobs are waiting")
    return _worst([_go_on(work, asked, wait=wait) for work in works.values() if work.finished_at is None])


def _go_on(work: StoredWork, jobs: Sequence[StoredJob], *, wait: bool) -> int:
    if not work.command:
        job = next(job.job_id for job in jobs if job.work_id == work.work_id)
        raise Invalid(f"job {job} was not submitted by a command", hint=f"promptops jobs cancel {job}")
    at = work.command.index("--")
    words = [*work.command[:at], "--wait" if wait else "--detach", *work.command[at:]]
    token = GOES_ON_WITH.set(work.work_id)
    try:
        return run_words(words)
    finally:
        GOES_ON_WITH.reset(token)


def _worst(codes: Sequence[int]) -> int:
    """What went wrong before what waits, and that before what the answer is."""
    wrong = [code for code in codes if code >= ExitCode.INVALID]
    return wrong[0] if wrong else max(codes, default=ExitCode.OK)

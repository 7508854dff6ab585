"""``promptops jobs cancel``: a job ended at the provider, or its answers given up."""

from typing import Annotated

import typer

from promptops.cli.options.release import YesOption, require_confirmation
from promptops.config.settings import current_settings
from promptops.console import note, print_text
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, find_provider_job, get_provider_work
from promptops.reports.numbers import pluralize
from promptops.runner.batch.provider_jobs.cancel import cancel_jobs, give_up, waiting_jobs

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, or the start of it.")]


def jobs_cancel(job: JobArgument, yes: YesOption = False) -> None:
    """Cancel a job at the provider, with the others of its command. What it has answered is billed.

    `jobs collect` still collects those answers. If the job is already over or cancelled, its answers are
    given up: its runs end as interrupted, with what they have cost.
    """
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        found = find_provider_job(registry, job)
        if found.finished_at is not None:
            raise Invalid(f"job {found.job_id} was already collected", hint="promptops jobs list")
        waiting = waiting_jobs(registry, found)
        if waiting and get_provider_work(registry, found.work_id).closed_at is None:
            what = pluralize(len(waiting), "job")
            calls = pluralize(sum(each.calls for each in waiting), "call")
            require_confirmation(f"Cancel {what} of {calls} at {found.provider}?", yes=yes, needed=True)
            cancel_jobs(settings, registry, found)
            print_text(f"{what} cancelled")
            note(f"promptops jobs collect {found.job_id} collects what was answered before")
            return
    require_confirmation("Give up answers that are paid for?", yes=yes, needed=True)
    give_up(settings, found)
    print_text(f"job {found.job_id} given up")

"""Work that is ended before all of it is answered."""

import os

from promptops.config.settings import Settings
from promptops.errors import Unavailable
from promptops.log import PackageLogger
from promptops.providers.batches import create_batch_service
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelError
from promptops.registry import (
    RegistryDatabase,
    StoredJob,
    close_provider_work,
    finish_provider_work,
    get_provider_work,
    jobs_of_work,
)
from promptops.runner.batch.options import BatchOptions
from promptops.runner.batch.provider_jobs.collect import take_up
from promptops.runner.batch.provider_jobs.options import ProviderBatch
from promptops.runner.batch.provider_jobs.passes import end_unanswered
from promptops.runner.batch.provider_jobs.work import ProviderWork, WorkScope

_LOG = PackageLogger("promptops.runner")


def cancel_jobs(settings: Settings, registry: RegistryDatabase, job: StoredJob) -> list[StoredJob]:
    """Ask the provider to end this job and those that were submitted with it; which ones these are.

    What it has answered by then is billed, and can still be taken up. Raises ModelError.
    """
    close_provider_work(registry, job.work_id)
    catalog = Catalog.load(settings)
    for each in (waiting := waiting_jobs(registry, job)):
        service = create_batch_service(each.model, settings, os.environ, catalog=catalog)
        try:
            if not service.status(str(each.provider_id)).is_over:
                service.cancel(str(each.provider_id))
        except ModelError as error:
            if error.type != "not_found":  # the provider has deleted it: there is nothing to end
                raise
            _LOG.warning(f"{service.name} knows no job {each.job_id}: {error.message}")
    return waiting


def waiting_jobs(registry: RegistryDatabase, job: StoredJob) -> list[StoredJob]:
    """Those that the provider is at, of all that were submitted with a job."""
    return [each for each in jobs_of_work(registry, job.work_id) if each.is_waiting and each.provider_id]


def give_up(settings: Settings, job: StoredJob) -> None:
    """End the runs of a job's work that have not ended, with what they have cost; their answers are lost."""
    with RegistryDatabase.open(settings.registry) as registry:
        stored = get_provider_work(registry, job.work_id)
    options = BatchOptions(provider=ProviderBatch(only=stored.work_id))
    scope = WorkScope(verb=stored.verb, key=stored.work_key, prompt=stored.prompt)
    with ProviderWork(settings, options, scope) as work:
        take_up(work)
        if work.waiting:
            raise Unavailable(
                f"{work.waiting[0].provider} has not ended job {work.waiting[0].job_id} yet",
                hint="try again in some minutes",
            )
        end_unanswered(work)
        finish_provider_work(work.registry, work.id)

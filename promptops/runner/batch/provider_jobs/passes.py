"""A command's work gone over in passes, until no call of it waits for a provider."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from promptops.config.clock import utc_now
from promptops.errors import Unavailable, Undecided
from promptops.log import PackageLogger
from promptops.providers.types import Completion
from promptops.registry import (
    FinishedRun,
    StoredJob,
    finish_provider_work,
    jobs_of_work,
    unended_calls,
)
from promptops.runner.batch.provider_jobs.collect import take_up, try_looking
from promptops.runner.batch.provider_jobs.submission import submit_parked
from promptops.runner.batch.provider_jobs.work import ProviderWork

_LOG = PackageLogger("promptops.runner")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_ROWS = 250  # ended in one transaction
Result = TypeVar("Result")


class JobsWaiting(Undecided):
    """Calls have been submitted, and are not answered yet."""


def run_in_passes(
    work: ProviderWork | None,
    one_pass: Callable[[], Result],
    interrupted: Callable[[Result], bool],
    conclude: Callable[[Result], None] = lambda _: None,
) -> Result:
    """What the last pass comes to. Without ``work`` there is one, whose calls are answered at once.

    ``conclude`` is given that before the work is finished: what it does may be done again.
    Raises JobsWaiting where nobody waits for the answers.
    """
    if work is None:
        result = one_pass()
        conclude(result)
        return result
    _wait(work)
    while True:
        work.begin_pass()
        result = one_pass()
        if interrupted(result):
            conclude(result)
            return result
        _raise_refusal(work)
        if not submit_parked(work):
            end_unanswered(work)
            conclude(result)
            finish_provider_work(work.registry, work.id)
            return result
        if work.provider.detach:
            raise _jobs_waiting([job for job in jobs_of_work(work.registry, work.id) if job.is_waiting])
        _wait(work)


def _wait(work: ProviderWork) -> None:
    """Until all jobs are over. Raises JobsWaiting where nobody waits for them."""
    pause, said = _FIRST_PAUSE_S, ""
    try:
        take_up(work)
        while waiting := work.waiting:
            work.hold()
            work.provider.on_waiting(waiting)
            if work.provider.detach:
                raise _jobs_waiting(waiting)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            for job in waiting:
                problem = try_looking(work, job)
                if problem and problem != said:
                    said = problem
                    _LOG.warning(f"job {job.job_id} is checked again: {problem}")
    except KeyboardInterrupt:
        if waiting := [job for job in jobs_of_work(work.registry, work.id) if job.is_waiting]:
            _LOG.info(f"{_names(waiting)} continues at the provider; {_collect(waiting)}")
        raise
    finally:
        work.provider.on_waiting(())


def _jobs_waiting(jobs: Sequence[StoredJob]) -> JobsWaiting:
    total, answered = sum(job.calls for job in jobs), sum(job.answered or 0 for job in jobs)
    return JobsWaiting(
        f"{_names(jobs)}: {answered:,} of {total:,} calls answered so far", hint=_collect(jobs)
    )


def _names(jobs: Sequence[StoredJob]) -> str:
    return f"job {jobs[0].job_id}" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _collect(jobs: Sequence[StoredJob]) -> str:
    """Jobs of one command are taken up together."""
    return f"promptops jobs collect {jobs[0].job_id} collects the answers"


def _raise_refusal(work: ProviderWork) -> None:
    for job in work.refused:
        raise Unavailable(
            f"{job.provider} has refused job {job.job_id}: {job.reason or 'it does not say why'}",
            hint="no call was made; the same command submits it again",
        )


def end_unanswered(work: ProviderWork) -> None:
    """Runs that were submitted, and that nothing more will come of: they end with what they have cost."""
    left = unended_calls(work.registry, work.id)
    for first in range(0, len(left), _ROWS):
        group = left[first : first + _ROWS]
        work.registry.finish_all([(run_id, _unanswered_end(work, run_id)) for run_id in group])


def _unanswered_end(work: ProviderWork, run_id: str) -> FinishedRun:
    spent: float | None = 0.0
    for model, answer in work.answers.of_run(run_id):
        completion = answer if isinstance(answer, Completion) else answer.completion
        cost = work.catalog.batch_cost(model, completion) if completion else None
        if completion is not None:
            spent = spent + cost.cost_usd if cost and spent is not None else None
    return FinishedRun(
        finished_at=utc_now(),
        state="interrupted",
        error_type="interrupted",
        error_message="its job ended before it was answered",
        retryable=False,
        cost_usd=spent,
        spent_usd=spent,
    )

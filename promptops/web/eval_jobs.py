"""Evals that people start from a page: one at a time, within a budget, on a thread of their own."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, PromptopsError, Unavailable
from promptops.evaluation.engine import EvalOutcome, EvalRequest, evaluate
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.evaluation.variants import Variant
from promptops.redaction import redact
from promptops.registry import new_run_id
from promptops.runner.batch import BatchOptions, RunTally
from promptops.service.background_loop import Worker
from promptops.versions.resolve import Version, resolve_version, with_provenance

MAX_TRIALS, MAX_USD = 20, 100.0
_CONCURRENCY = 8
_MAX_REMEMBERED = 50
_END_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedEval:
    """``candidate`` and ``control``: references; without a control the candidate stands alone."""

    candidate: str
    control: str | None
    trials: int
    max_usd: float


@dataclass(slots=True)
class EvalJob:
    """How far one eval has come. ``eval_id``: once it has ended; ``problem``: why it could not."""

    identity: str
    wanted: WantedEval
    by: str
    done: int = 0
    total: int = 0
    spent_usd: float = 0.0
    eval_id: str | None = None
    problem: str = ""
    hint: str = ""

    @property
    def ended(self) -> bool:
        return bool(self.eval_id or self.problem)


class EvalJobs(Closing):
    """The evals of one server. One that is cut off goes on from the cache where it is started again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker = Worker("promptops-pages-evals")
        self._jobs: OrderedDict[str, EvalJob] = OrderedDict()

    def start(self, wanted: WantedEval, by: str) -> EvalJob:
        """Raises Unavailable while another one is under way."""
        if running := self.running():
            raise Unavailable(
                f"an eval of {running.wanted.candidate} is under way, started by {running.by}",
                hint="one runs at a time: start this one when it has ended",
            )
        job = EvalJob(new_run_id(), wanted, by)
        self._jobs[job.identity] = job
        while len(self._jobs) > _MAX_REMEMBERED:
            self._jobs.popitem(last=False)
        self._worker.submit(self._run, job)
        return job

    def find(self, identity: str) -> EvalJob:
        job = self._jobs.get(identity)
        if job is None:
            raise NotFound(
                f"this server has started no eval {identity}",
                hint="those that have ended are on the page Compare",
            )
        return job

    def running(self) -> EvalJob | None:
        return next((job for job in self._jobs.values() if not job.ended), None)

    def _run(self, job: EvalJob) -> None:
        def show(tally: RunTally, total: int) -> None:
            job.done, job.total, job.spent_usd = tally.done, total, tally.spent_usd

        try:
            job.eval_id = _evaluate(self._settings, job.wanted, show).result.eval_id
        except PromptopsError as error:
            job.problem, job.hint = redact(error.message), redact(error.hint)
        except BaseException as error:  # a fault of ours must not leave the job under way for ever
            job.problem = f"this is a bug: {type(error).__name__}"
            raise

    def close(self) -> None:
        self._worker.close(_END_TIMEOUT_S)


def _evaluate(settings: Settings, wanted: WantedEval, show: Callable[[RunTally, int], None]) -> EvalOutcome:
    names = [name for name in (wanted.control, wanted.candidate) if name is not None]
    versions = [with_provenance(resolve_version(name, settings), settings) for name in names]
    arms = ("control", "candidate") if wanted.control else (None,)
    if len(versions) > 1 and versions[0].prompt.digest == versions[1].prompt.digest:
        raise Invalid("both are the same version", hint="choose two that differ")
    variants = tuple(
        Variant(version=version, label=version.pasteable, arm=arm)
        for version, arm in zip(versions, arms, strict=True)
    )
    request = EvalRequest(variants=variants, against=wanted.control is not None, trials=wanted.trials)
    options = BatchOptions(concurrency=_CONCURRENCY, max_cost=wanted.max_usd)
    with open_golden_set(_with_cases(versions[-1], settings), settings) as cases:
        outcome = evaluate(settings, options, request, cases, show)
    if failure := outcome.aborted_by or outcome.every_call_failed:
        raise Unavailable(f"the calls failed: {failure.message}", hint=failure.hint)
    return outcome


def _with_cases(candidate: Version, settings: Settings) -> Version:
    """Whose cases are taken: those of the working tree, to which review adds, where they fit."""
    with suppress(PromptopsError):  # it has gone since, or cannot be read
        here = resolve_version(candidate.prompt.name, settings)
        if here.prompt.cases and here.prompt.inputs == candidate.prompt.inputs:
            return here
    return candidate


EVAL_JOBS: web.AppKey[EvalJobs] = web.AppKey("eval_jobs", EvalJobs)

"""The work of one command whose calls go to batch services: what was asked, answered, parked and spent."""

import hashlib
import hmac
import math
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from promptops.config.clock import utc_now, utc_text
from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget, Unavailable
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.untrusted import NO_NONCE
from promptops.providers.batches import create_batch_service
from promptops.providers.batches.types import BatchService
from promptops.providers.catalog import Catalog
from promptops.providers.pricing import BATCH_TIER
from promptops.providers.types import Completion, CompletionRequest, ModelClient, ModelError, OnText
from promptops.registry import (
    RegistryDatabase,
    StartedRun,
    StoredJob,
    StoredWork,
    close_provider_work,
    derived_run_id,
    find_provider_work,
    get_provider_work,
    hold_provider_work,
    jobs_of_work,
    new_lease_holder,
    new_run_id,
    newest_run,
    open_provider_work,
    release_provider_work,
    run_states,
)
from promptops.runner import RunContext
from promptops.runner.batch.budget import Budget, Prices
from promptops.runner.batch.options import BatchOptions
from promptops.runner.batch.provider_jobs.answers import JobAnswers, PlacedCalls
from promptops.runner.batch.provider_jobs.parked import CallParked, ParkedCall, ParkedCalls
from promptops.runner.run import RunIdentity
from promptops.versions.resolve import Version

LOOK_CALLS = 200  # submitted at least before the verdict of pairs is looked for
_LEASE_S = 900.0  # renewed each minute that is waited


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkScope:
    """What is done: the same key is the same work, until it is finished.

    ``spent``: dollars that it has cost before. ``look``: calls that one pass may park; None: all there are.
    """

    verb: str
    key: str
    prompt: str
    spent: float = 0.0
    look: int | None = None


def called_models(prompts: Iterable[Prompt]) -> list[str]:
    """The models that calls of these prompts may go to."""
    return list(dict.fromkeys(pin for prompt in prompts for pin in (prompt.model, *prompt.fallback)))


def require_batch_services(settings: Settings, options: BatchOptions, models: Iterable[str]) -> None:
    """Raise Invalid for a model without a batch service, and ModelError for one without a key."""
    if options.provider is not None:
        catalog = Catalog.load(settings)
        for model in models:
            create_batch_service(model, settings, os.environ, catalog=catalog)


def refuse_while_waiting(registry: RegistryDatabase, work_key: str) -> None:
    """Raise Invalid where calls of this work are with a provider: made now too, they would be paid twice."""
    work = find_provider_work(registry, work_key)
    for job in jobs_of_work(registry, work.work_id) if work else ():
        raise Invalid(
            f"calls of this command are at {job.provider}, as job {job.job_id}",
            hint=f"promptops jobs collect {job.job_id} collects their answers, and jobs cancel ends it",
        )


def open_work(
    stack: ExitStack, settings: Settings, options: BatchOptions, scope: "WorkScope"
) -> "ProviderWork | None":
    """The work that calls of a command belong to until the stack ends; None where they are made at once."""
    return None if options.provider is None else stack.enter_context(ProviderWork(settings, options, scope))


class ProviderWork(Closing):
    """Use as a context. Belongs to one pass at a time, and to one process."""

    def __init__(self, settings: Settings, options: BatchOptions, scope: WorkScope) -> None:
        """Raises Unavailable where another process is at it, Invalid where it is not the one meant."""
        assert options.provider is not None  # noqa: S101 - else there is no work of this kind
        self.settings = settings
        self.provider = options.provider
        self.scope = scope
        self.catalog = Catalog.load(settings)
        self.prices = Prices(self.catalog, options.assume_cost, BATCH_TIER)
        self.retries = options.limits.retries
        self.max_cost = options.max_cost
        self.jobs: dict[str, StoredJob] = {}
        self.calls: dict[str, PlacedCalls] = {}
        self.refused: list[StoredJob] = []
        self.answers = JobAnswers()
        self.parked: dict[str, ParkedCalls] = {}
        self.stopped = False  # park nothing further
        self.budget: Budget | None = None
        self._seen: Counter[bytes] = Counter()
        self._services: dict[str, BatchService] = {}
        self.registry = RegistryDatabase.open(settings.registry)
        self._who = new_lease_holder()
        try:
            self.stored = self._open()
            self.hold()
        except BaseException:
            self.answers.close()
            self.registry.close()
            raise

    def _open(self) -> StoredWork:
        """Raises Invalid where this is not the work that is to be gone on with."""
        only, new = self.provider.only, self._new(self.provider.command)
        if only is None:
            return open_provider_work(self.registry, new)
        found = find_provider_work(self.registry, new.work_key)
        if found is None or found.work_id != only:
            raise Invalid(
                f"what {self.scope.verb} would do is not what was submitted: its prompt, file or options "
                "have changed",
                hint="restore them; promptops jobs cancel gives up the answers",
            )
        return found

    def _new(self, command: Sequence[str]) -> StoredWork:
        scope = self.scope
        return StoredWork(
            work_id=new_run_id(),
            work_key=scope.key,
            verb=scope.verb,
            prompt=scope.prompt,
            seed=secrets.token_hex(32),
            command=command,
            spent_before=scope.spent,
            newest_run=newest_run(self.registry),
            created_at=utc_now(),
        )

    def close(self) -> None:
        self.answers.close()
        self._forget_parked()
        release_provider_work(self.registry, self.id, self._who)
        self.registry.close()

    def hold(self) -> None:
        """Keep all other processes from this work for a while. Raises Unavailable where one is at it."""
        until = utc_text(time.time() + _LEASE_S)
        if not hold_provider_work(self.registry, self.id, self._who, until=until):
            raise Unavailable("another process is working on the same jobs", hint="it collects their answers")

    @property
    def id(self) -> str:
        return self.stored.work_id

    def service(self, model: str) -> BatchService:
        if model not in self._services:
            self._services[model] = create_batch_service(
                model, self.settings, os.environ, catalog=self.catalog
            )
        return self._services[model]

    @property
    def is_closed(self) -> bool:
        """Whether a call that has no answer now gets none later either."""
        return self.stored.closed_at is not None

    @property
    def waiting(self) -> list[StoredJob]:
        return [job for job in self.jobs.values() if job.is_waiting]

    def begin_pass(self) -> None:
        """All is gone over from the beginning: what was not submitted is parked again."""
        self.hold()
        self._forget_parked()
        self.stopped = self.is_closed
        self._seen.clear()
        self.budget = self._budget()

    def _forget_parked(self) -> None:
        for calls in self.parked.values():
            calls.close()
        self.parked = {}

    def _budget(self) -> Budget | None:
        if self.max_cost is None:
            return None
        return Budget(self.max_cost, self.prices, self.stored.spent_before + self.committed_usd)

    @property
    def committed_usd(self) -> float:
        """Dollars that its jobs have cost, and may cost at most where they are not over."""
        return sum(
            (job.ceiling_usd if job.is_waiting else job.spent_usd) or 0.0 for job in self.jobs.values()
        )

    def end(self) -> None:
        """Park nothing further, in this pass or any other."""
        close_provider_work(self.registry, self.id)
        self.stored = get_provider_work(self.registry, self.id)
        self.stopped = True

    @cached_property
    def _key(self) -> bytes:
        return bytes.fromhex(self.stored.seed)

    def identity(self, version: Version, inputs: Mapping[str, Any], origin: RunContext) -> RunIdentity:
        """Who a run is: the same in each pass. Of runs that are alike in all, the n-th is the n-th again."""
        what = [
            [origin.kind, origin.batch_id, origin.batch_line, origin.eval_id, origin.case_id, origin.trial],
            [origin.arm, origin.shadow_of, dict(origin.metadata)],
            [version.prompt.digest, version.prompt.model, dict(inputs)],
        ]
        digest = hashlib.sha256(compact_json(what).encode()).digest()
        number = self._seen[digest]
        self._seen[digest] += 1
        run_id = derived_run_id(self.stored.created_at, self._key, digest + number.to_bytes(4))
        return RunIdentity(run_id, hmac.digest(self._key, run_id.encode(), "sha256").hex()[: len(NO_NONCE)])

    def park(self, run: StartedRun, call: CallParked) -> None:
        """Keep a call of a run until the pass is over."""
        if call.request is None:
            return
        model = call.request.model
        if model not in self.parked:
            self.parked[model] = ParkedCalls()
        at_most = self.prices.ceiling(call.request)
        self.parked[model].add(ParkedCall(run, call.request, call.request_hash, at_most))
        if self.scope.look is not None:  # each look is as large as all before it
            look = max(self.scope.look, sum(job.calls for job in self.jobs.values()))
            self.stopped = sum(each.count for each in self.parked.values()) >= look

    def run_calls(self, run_id: str, direct: Callable[[str], ModelClient]) -> "RunCalls":
        """What answers a run's calls in this pass; ``direct`` is the client that a model has elsewhere."""
        return RunCalls(self, run_id, direct)

    def has_ended(self, run_id: str) -> bool:
        return run_states(self.registry, [run_id]).get(run_id, "started") != "started"


class RunCalls:
    """The calls of one run in one pass, in their order."""

    def __init__(self, work: ProviderWork, run_id: str, direct: Callable[[str], ModelClient]) -> None:
        self._work = work
        self._run_id = run_id
        self._direct = direct
        self._behind: dict[str, int] = {}  # by the hash of a request, how many of its answers are taken

    def client(self, model: str) -> "JobClient":
        return JobClient(self, self._direct(model))

    def answer(self, request: CompletionRequest, request_hash: str) -> Completion:
        """Raises ModelError, CallParked and OverBudget."""
        work, run_id = self._work, self._run_id
        found, behind = work.answers.find(run_id, request_hash, self._behind.get(request_hash, 0))
        self._behind[request_hash] = behind
        if isinstance(found, Completion):
            return found
        if isinstance(found, ModelError):
            raise found
        if found == "pending":
            raise CallParked
        if found is None and behind > work.retries:  # each job is an attempt
            raise ModelError(
                "timeout",
                f"{work.service(request.model).name} has not answered it in {behind} jobs",
                retry_after=math.inf,
            )
        self._check_new(request)
        raise CallParked(request, request_hash)

    def _check_new(self, request: CompletionRequest) -> None:
        """Raise what keeps a call from being submitted."""
        work = self._work
        known = work.answers.knows(self._run_id)
        if known and work.has_ended(self._run_id):  # when it did, no more was to be spent on it
            raise OverBudget("this run has ended already")
        if work.stopped:
            raise CallParked
        if work.budget is not None:
            work.budget.commit(request)


class JobClient:
    """Answers with what jobs have answered, and parks the other calls."""

    def __init__(self, calls: RunCalls, direct: ModelClient) -> None:
        self.name = direct.name
        self._calls = calls
        self._direct = direct

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return self._direct.identity(request)

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        del on_text  # nobody listens to what is answered hours later
        _, _, body = self.identity(request)
        return self._calls.answer(request, hashlib.sha256(body).hexdigest()[:32])

    async def aclose(self) -> None:
        """The client that it stands for is closed by who made it."""

"""What every batch service offers: jobs of many requests, answered within a day, at a lower price.

A job takes this way: ``split`` divides the requests into jobs that the provider takes, ``submit`` sends
one, ``status`` says how far it is, ``results`` has its answers when it is over, ``cancel`` ends it early.
Each result is one request's, found by its ``custom_id``: providers answer in any order.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, Protocol

from promptops.dataclass import dataclass
from promptops.providers.types import Completion, CompletionRequest, ModelError

BatchState = Literal["pending", "ended", "expired", "failed", "cancelled"]
"""``ended``: it ran to its end, whatever became of each request. ``expired`` and ``cancelled``: some requests
may have been answered, and those are billed. ``failed``: the provider refused it whole, and bills nothing."""

ResultKind = Literal["answered", "failed", "expired", "cancelled", "duplicate", "unknown", "unreadable"]
"""
| kind | what it is | billed | what to do |
|---|---|---|---|
| answered | ``completion`` is the answer | yes | keep it |
| failed | ``error`` says why | where ``error.completion`` is metered | as after a call: ``error.retryable`` |
| expired, cancelled | the job was over before the request's turn | no | submit it again |
| duplicate | the request has a result already, and keeps it | no: it is a copy | nothing |
| unknown | the ``custom_id`` is none of those expected | nothing of ours | report it |
| unreadable | a line that is no result, so that nobody knows whose it is | unknown | report it |
"""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one job may hold."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedBatch:
    """A job that the provider has accepted: from here on it costs money.

    ``verified`` is False where it was found again, and the provider does not yet say whose requests it holds.
    """

    id: str
    requests: int | None  # None where the provider does not say yet
    created_at: str | None  # UTC, as the registry holds moments
    expires_at: str | None
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """How far a job is. ``word`` is the provider's name of the state; counts are None until it says them."""

    id: str
    state: BatchState
    word: str
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None  # requests that ended without an answer: errors, and those expired or cancelled
    created_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    errors: tuple[str, ...] = ()  # why it failed, a line each

    @property
    def is_over(self) -> bool:
        return self.state != "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of one request, or a line of the results that is no request's: see ``ResultKind``."""

    kind: ResultKind
    custom_id: str | None = None  # None where the line does not say
    completion: Completion | None = None
    error: ModelError | None = None


class AcceptanceUnknown(ModelError):
    """Nobody knows whether the provider has accepted a job: its answer was lost, and it was not found.

    It may show up yet. Look for it with ``find`` before its requests are submitted again, or they are paid
    for twice.
    """


class BatchService(Protocol):
    """The batch service of one model's provider. Methods wait for the network; call them outside event loops.

    Each raises ModelError: a reading call after its retries, and at once where a retry cannot help.
    """

    model: str
    name: str
    limits: BatchLimits

    def check(self) -> None:
        """Ask whether the endpoint has a batch service and takes the key, before anything is uploaded."""
        ...

    def split(
        self, requests: Iterable[tuple[str, CompletionRequest]]
    ) -> Iterator[list[tuple[str, CompletionRequest]]]:
        """Jobs that keep to ``limits``, in order. Raises ModelError for a request that fits none."""
        ...

    def submit(
        self,
        requests: Sequence[tuple[str, CompletionRequest]],
        key: str,
        known: Collection[str] = (),
    ) -> SubmittedBatch:
        """Send one job of ``custom_id`` and request. ``key`` is this job's alone: ``find`` looks for it.

        ``known`` are the ids of earlier jobs, for providers without a place for the key.

        Raises AcceptanceUnknown when the provider may have accepted it; with any other error it has not.
        """
        ...

    def find(
        self, key: str, *, since: str, custom_ids: Collection[str] = (), known: Collection[str] = ()
    ) -> SubmittedBatch | None:
        """The job that was submitted with ``key`` at ``since`` or later; None where the provider has none.

        ``custom_ids`` are those it was submitted with, and ``known`` the ids of other jobs: providers without
        a place for the key are searched by these. A provider lists a new job with a delay: None is certain a
        minute after ``submit`` has failed.
        """
        ...

    def status(self, batch_id: str) -> BatchStatus: ...

    def results(self, batch_id: str, expected: Collection[str]) -> Iterator[BatchResult]:
        """Every result of a job that is over, each request's once: requests without one have none to come.

        ``expected`` are the ``custom_id`` of the job. All is fetched before the first is handed on, so that
        a job's results are complete or a ModelError (``not_found`` where the provider has deleted them).
        """
        ...

    def cancel(self, batch_id: str) -> BatchStatus:
        """Ask the provider to end a job; it may be pending for some minutes yet, and goes on being billed."""
        ...

"""Requests divided into jobs that a provider takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from promptops.providers.batches.types import BatchLimits
    from promptops.providers.types import CompletionRequest

    Requests = list[tuple[str, CompletionRequest]]


def split_by_limits(
    requests: Iterable[tuple[str, CompletionRequest]],
    limits: BatchLimits,
    size_of: Callable[[str, CompletionRequest], int],
) -> Iterator[Requests]:
    """In order, each job as full as it may be. Raises ModelError for a request that is too large for any."""
    job: Requests = []
    left = limits.bytes
    for custom_id, request in requests:
        size = size_of(custom_id, request)
        if size > limits.bytes:
            raise _too_large(custom_id, limits)
        if job and (len(job) == limits.requests or size > left):
            yield job
            job, left = [], limits.bytes
        job.append((custom_id, request))
        left -= size
    if job:
        yield job


def check_batch(
    requests: Sequence[tuple[str, CompletionRequest]],
    limits: BatchLimits,
    size_of: Callable[[str, CompletionRequest], int],
) -> None:
    """Raise ModelError for what the provider would refuse after the upload."""
    if not requests:
        raise ModelError("bad_request", "a batch needs a request")
    if len({custom_id for custom_id, _ in requests}) != len(requests):
        raise ModelError("bad_request", "two requests of a batch have the same id")
    if next(jobs := split_by_limits(requests, limits, size_of), None) and next(jobs, None):
        most = f"{limits.requests:,} requests and {limits.bytes // 10**6} MB"
        raise ModelError("bad_request", f"a batch of this provider holds no more than {most}")


def _too_large(custom_id: str, limits: BatchLimits) -> ModelError:
    return ModelError(
        "bad_request",
        f"the request {custom_id} is larger than the {limits.bytes // 10**6} MB of a whole batch",
    )

"""Jobs handed to the loopback batch provider."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from promptops.config.settings import find_settings
from promptops.providers.batches import create_batch_service
from promptops.providers.batches.types import BatchResult, BatchService
from promptops.providers.types import CompletionRequest
from support.batch_jobs import ANTHROPIC_MODEL, OPENAI_MODEL
from support.batch_provider import BatchProvider, env_of
from support.provider import Provider

PINS = {"openai": f"openai/{OPENAI_MODEL}", "anthropic": f"anthropic/{ANTHROPIC_MODEL}"}
Requests = list[tuple[str, CompletionRequest]]


def service_of(provider: BatchProvider | Provider, wire: str = "openai") -> BatchService:
    """One that does not wait between its attempts."""
    env = env_of(provider.base_url)
    return create_batch_service(PINS[wire], find_settings(Path.cwd(), {}), env, pause=lambda _: None)


def requests_of(count: int, wire: str = "openai") -> Requests:
    return [
        (
            f"run-{number:05d}",
            CompletionRequest(model=PINS[wire], messages=({"role": "user", "content": f"case {number}"},)),
        )
        for number in range(count)
    ]


@dataclass(frozen=True)
class Collected:
    results: list[BatchResult]

    def ids(self, kind: str) -> list[str | None]:
        return [result.custom_id for result in self.results if result.kind == kind]

    @property
    def texts(self) -> dict[str | None, str]:
        return {each.custom_id: each.completion.text for each in self.results if each.completion}


def collect(service: BatchService, job: str, expected: Iterable[tuple[str, object]]) -> Collected:
    return Collected(list(service.results(job, [custom_id for custom_id, _ in expected])))


def run_job(service: BatchService, requests: Requests) -> Collected:
    """A job from its submission to its results."""
    job = service.submit(requests, "job-1").id
    for _ in range(20):
        if service.status(job).is_over:
            return collect(service, job, requests)
    raise AssertionError("the job is pending for ever")

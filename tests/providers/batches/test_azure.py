"""Azure's batch service through litellm, on the loopback provider."""

import asyncio
import json
import os
from dataclasses import replace

import pytest

from promptops.config.settings import Settings, find_settings
from promptops.providers import create_client
from promptops.providers.batches import create_batch_service
from promptops.providers.batches.types import BatchService
from promptops.providers.types import CompletionRequest, ModelError
from support.batch_jobs import OPENAI_MODEL, Faults
from support.batch_provider import BatchProvider
from support.batch_runs import collect
from support.front_door import Repo

pytestmark = pytest.mark.filterwarnings("ignore")  # litellm's own

PIN = f"azure/{OPENAI_MODEL}"
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
REQUESTS = [
    (f"run-{number}", CompletionRequest(model=PIN, messages=({"role": "user", "content": f"case {number}"},)))
    for number in range(4)
]


@pytest.fixture
def settings(repo: Repo) -> Settings:
    return find_settings(repo.path, {})


def service(provider: BatchProvider, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> BatchService:
    env = {
        "AZURE_API_KEY": "azure-key-of-the-test",
        "AZURE_API_BASE": provider.base_url.removesuffix("/v1"),
        "AZURE_API_VERSION": "2026-01-01",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return create_batch_service(PIN, settings, env, pause=lambda _: None)


def test_a_job_goes_its_way(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchProvider(Faults(polls=1, expire_after=3, fail_every=2)) as provider:
        batches = service(provider, settings, monkeypatch)
        batches.check()
        job = batches.submit(REQUESTS, "job-1")
        assert batches.status(job.id).state == "pending"
        status = batches.status(job.id)
        got = collect(batches, job.id, REQUESTS)
        found = batches.find("job-1", since="2026-01-01T00:00:00Z")
    assert (status.state, status.total, status.succeeded, status.failed) == ("expired", 4, 2, 2)
    assert got.texts == {"run-0": "case 0", "run-2": "case 2"}
    assert (got.ids("failed"), got.ids("expired")) == (["run-1"], ["run-3"])
    assert found
    assert found.id == job.id
    (content,) = provider.uploads.values()
    line = json.loads(content.splitlines()[0])
    assert (line["url"], line["body"]["model"]) == ("/chat/completions", OPENAI_MODEL)


def test_a_line_is_the_body_of_a_direct_call(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(REQUESTS[0][1], parameters={"temperature": 0, "max_tokens": 7}, output_schema=SCHEMA)
    with BatchProvider() as provider:
        batches = service(provider, settings, monkeypatch)
        asyncio.run(create_client(PIN, settings, dict(os.environ)).complete(request))
        batches.submit([("run-1", request)], "job-1")
        (content,) = provider.uploads.values()
        direct = provider.requests[0]
    assert direct.path.startswith("/openai/deployments/")
    assert json.loads(content)["body"] == direct.body


@pytest.mark.parametrize("faults", [Faults(lose_answer=True), Faults(server_error=True)])
def test_a_job_whose_answer_was_lost_is_found(
    faults: Faults, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchProvider(faults) as provider:
        job = service(provider, settings, monkeypatch).submit(REQUESTS, "job-1")
    assert [job.id] == [each.id for each in provider.jobs]


def test_refusals_are_typed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchProvider(Faults(files_gone=True, polls=9, cancel_after=1)) as provider:
        batches = service(provider, settings, monkeypatch)
        with pytest.raises(ModelError) as unknown:
            batches.status("batch_7")
        provider.refusal = "no"
        with pytest.raises(ModelError, match="no") as refused:
            batches.submit(REQUESTS, "job-1")
        assert provider.uploads == {}
        provider.refusal = ""
        job = batches.submit(REQUESTS, "job-1").id
        assert batches.cancel(job).state == "pending"
        assert batches.status(job).state == "cancelled"
        with pytest.raises(ModelError) as gone:
            list(batches.results(job, []))
    assert (unknown.value.type, refused.value.type, gone.value.type) == (
        "not_found",
        "bad_request",
        "not_found",
    )
    assert "submit its requests again" in gone.value.hint

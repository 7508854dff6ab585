"""Which models have a batch service, where it is, and what one job may hold."""

import sys
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import Settings, find_settings
from promptops.errors import Invalid
from promptops.providers.batches import OPENAI_WIRE, create_batch_service
from promptops.providers.batches.splitting import check_batch, split_by_limits
from promptops.providers.batches.types import BatchLimits
from promptops.providers.endpoints import DIRECT_PROVIDERS
from promptops.providers.types import CompletionRequest, ModelError
from support.batch_provider import BatchProvider
from support.batch_runs import PINS, requests_of, service_of


@pytest.fixture
def settings(repo: Any) -> Settings:
    return find_settings(repo.path, {})


def test_every_provider_of_the_table_is_called_directly() -> None:
    assert OPENAI_WIRE.keys() <= DIRECT_PROVIDERS.keys()


@pytest.mark.parametrize(
    "model",
    [
        "deepseek/deepseek-chat",
        "local/qwen",
        "gemini/gemini-2.5-flash",
        "nobody/x",
        "x",
        "openrouter/openai/x",
    ],
)
def test_a_provider_without_a_batch_service_is_refused_by_name(model: str, settings: Settings) -> None:
    with pytest.raises(Invalid, match="no batch service") as caught:
        create_batch_service(model, settings, {})
    assert "anthropic" in caught.value.hint
    assert "openai" in caught.value.hint


def test_a_model_of_another_interface_is_refused(settings: Settings) -> None:
    with pytest.raises(Invalid, match="does not answer chat completions"):
        create_batch_service("openai/responses/gpt-5", settings, {"OPENAI_API_KEY": "k"})


@pytest.mark.parametrize(
    ("model", "variable"), [(PINS["openai"], "OPENAI_API_KEY"), (PINS["anthropic"], "ANTHROPIC_API_KEY")]
)
def test_a_key_that_is_missing_is_named(model: str, variable: str, settings: Settings) -> None:
    with pytest.raises(ModelError, match=f"{variable} is not set") as caught:
        create_batch_service(model, settings, {})
    assert caught.value.exit_code == 4


def test_a_server_of_ones_own_needs_no_key(settings: Settings) -> None:
    with BatchProvider() as provider:
        env = {"HOSTED_VLLM_API_BASE": f"{provider.base_url}?region=eu"}
        service = create_batch_service("hosted_vllm/own", settings, env)
        service.check()
        (request,) = provider.requests
    assert request.path == "/v1/batches?region=eu&limit=1"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/messages"])
def test_anthropics_address_has_the_forms_that_litellm_takes(path: str, settings: Settings) -> None:
    with BatchProvider() as provider:
        base = provider.base_url.removesuffix("/v1")
        env = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_API_BASE": base + path}
        create_batch_service(PINS["anthropic"], settings, env).check()
    assert provider.requests[0].path == "/v1/messages/batches?limit=1"


def test_without_litellm_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # how Python marks what cannot be imported
    requests = requests_of(1, "anthropic")
    with BatchProvider() as provider, pytest.raises(ModelError, match="which is not installed") as caught:
        service_of(provider, "anthropic").submit(requests, "job-1")
    assert "pip install" in caught.value.hint
    assert provider.requests == []


def sizes(custom_id: str, _: CompletionRequest) -> int:
    return int(custom_id.partition("-")[2])


def jobs(*lengths: int, requests: int = 3, most: int = 10) -> list[list[int]]:
    asked = [(f"{number}-{length}", requests_of(1)[0][1]) for number, length in enumerate(lengths)]
    found = split_by_limits(asked, BatchLimits(requests, most), sizes)
    return [[sizes(*each) for each in job] for job in found]


def test_jobs_keep_to_both_limits_and_to_the_order() -> None:
    assert jobs() == []
    assert jobs(1, 1, 1, 1) == [[1, 1, 1], [1]]
    assert jobs(6, 4, 1, 9, 2, 10) == [[6, 4], [1, 9], [2], [10]]
    with pytest.raises(ModelError, match="larger than"):
        jobs(1, 11)


def test_what_a_provider_would_refuse_is_refused_before_the_upload() -> None:
    limits = BatchLimits(2, 100)
    for asked, why in (
        ([], "needs a request"),
        ([*requests_of(1), *requests_of(1)], "the same id"),
        (requests_of(3), "no more than 2 requests"),
    ):
        with pytest.raises(ModelError, match=why):
            check_batch(asked, limits, lambda *_: 1)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_many_requests_are_several_jobs(wire: str) -> None:
    with BatchProvider() as provider:
        service = service_of(provider, wire)
        service.limits = BatchLimits(40, 10_000_000)
        for number, part in enumerate(service.split(requests_of(100, wire))):
            service.submit(part, f"job-{number}")
    assert [len(job.requests) for job in provider.jobs] == [40, 40, 20]


def test_nothing_of_a_job_stays_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with BatchProvider() as provider:
        service = service_of(provider)
        job = service.submit(requests_of(3), "job-1").id
        service.status(job)
        assert len(list(service.results(job, ["run-00000"]))) == 3
    assert list(tmp_path.iterdir()) == []

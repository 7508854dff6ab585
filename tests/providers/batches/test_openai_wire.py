"""OpenAI's batch service: what goes out, and what only this wire has."""

import json

from promptops.providers.types import CompletionRequest
from support.batch_jobs import OPENAI_MODEL, Faults
from support.batch_provider import BatchProvider
from support.batch_runs import PINS, requests_of, service_of


def test_each_line_is_the_body_of_a_direct_call() -> None:
    with BatchProvider() as provider:
        service = service_of(provider)
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        asked = CompletionRequest(
            model=PINS["openai"],
            messages=({"role": "user", "content": "grüß"},),
            parameters={"temperature": 0, "max_tokens": 7},
            output_schema=schema,
            stream=True,
        )
        service.submit([("run-1", asked)], "job-1")
        upload, create = provider.requests
        (content,) = provider.uploads.values()
    line = json.loads(content)
    assert (line["custom_id"], line["method"], line["url"]) == ("run-1", "POST", "/v1/chat/completions")
    assert line["body"]["model"] == OPENAI_MODEL
    assert line["body"]["messages"] == [{"role": "user", "content": "grüß"}]
    assert line["body"]["max_tokens"] == 7
    assert line["body"]["response_format"]["json_schema"]["schema"] == schema
    assert "stream" not in line["body"]
    assert upload.path == "/v1/files"
    assert create.body == {
        "input_file_id": "file_0001",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"promptops_job": "job-1"},
    }
    assert {each.headers["authorization"] for each in (upload, create)} == {"Bearer sk-openai-of-the-stub"}


def test_a_job_that_is_not_valid_says_why() -> None:
    with BatchProvider(Faults(fail_validation=True)) as provider:
        service = service_of(provider)
        job = service.submit(requests_of(2), "job-1").id
        status = service.status(job)
        assert list(service.results(job, ["run-00000"])) == []
    assert status.state == "failed"
    assert status.errors == ("line 1: This line is not parseable as valid JSON.",)
    assert provider.bill == 0


def test_a_job_is_found_by_its_key_among_many() -> None:
    with BatchProvider() as provider:
        service = service_of(provider)
        made = {key: service.submit(requests_of(1), key) for key in map(str, range(205))}
        first = made["0"]
        assert first.created_at
        assert service.find("0", since=first.created_at) == first
        assert service.find("another", since=first.created_at) is None

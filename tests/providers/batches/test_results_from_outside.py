"""Files of results that no provider should send: each line is bounded, and none harms the others."""

import gzip
import json
from typing import Any

import pytest

from promptops.providers.batches.lines import MAX_LINE_BYTES
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelError
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.batch_runs import PINS, Collected, collect, requests_of, run_job, service_of
from support.provider import Answer, Received, body

WIRES = pytest.mark.parametrize("wire", ["openai", "anthropic"])


@WIRES
@pytest.mark.parametrize(
    "line",
    [
        b"<html><body>Bad gateway</body></html>",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{\x00}",
        b'{"custom_id": "run-0000\xff"}',
        b'{"custom_id": 7}',
        b'{"custom_id": ""}',
        b'{"custom_id": "%s"}' % (b"x" * 10_000),
        b"[" * 100_000,
        b"{" + b'"a":1,' * 600_000 + b'"b":1}',
    ],
)
def test_a_line_that_is_no_result_is_reported(wire: str, line: bytes) -> None:
    with BatchProvider(Faults(garbage=[line, b"", b"  "])) as provider:
        got = run_job(service_of(provider, wire), requests_of(3, wire))
    assert len(got.ids("answered")) == 3
    (odd,) = [each for each in got.results if each.kind == "unreadable"]
    assert odd.error
    assert odd.error.type == "malformed_reply"
    assert odd.error.message.isprintable()
    assert len(odd.error.message) < 600


def test_a_line_without_end_takes_no_memory() -> None:
    with BatchProvider(Faults(garbage=[b"x" * (MAX_LINE_BYTES + 5), b"y" * MAX_LINE_BYTES * 2])) as provider:
        got = run_job(service_of(provider), requests_of(2))
    assert len(got.ids("answered")) == 2
    assert len(got.ids("unreadable")) == 2


@WIRES
def test_a_file_that_ends_in_a_line_is_fetched_again(wire: str) -> None:
    with BatchProvider(Faults(cut_downloads=2)) as provider:
        assert len(run_job(service_of(provider, wire), requests_of(4, wire)).ids("answered")) == 4


@WIRES
def test_a_file_that_always_ends_in_a_line_is_an_error(wire: str) -> None:
    """What it lacks is paid for, and would be paid once more."""
    with BatchProvider(Faults(truncate=True)) as provider, pytest.raises(ModelError) as caught:
        run_job(service_of(provider, wire), requests_of(4, wire))
    assert (caught.value.type, caught.value.retryable) == ("cut_off", True)
    assert "jobs cancel" in caught.value.hint


def test_a_last_line_needs_no_end() -> None:
    with BatchProvider() as provider:
        service = service_of(provider)
        requests = requests_of(2)
        job = service.submit(requests, "job-1").id
        service.status(job)
        files = provider.jobs[0].files
        files[f"{job}-output"] = files[f"{job}-output"].rstrip(b"\n")
        assert len(collect(service, job, requests).ids("answered")) == 2


def test_answers_without_a_file_are_waited_for() -> None:
    with BatchProvider() as provider:
        service = service_of(provider)
        requests = requests_of(2)
        job = service.submit(requests, "job-1").id
        service.status(job)
        kept = provider.jobs[0].files
        provider.jobs[0].files = {}
        with pytest.raises(ModelError, match="no file of 2 answers") as caught:
            collect(service, job, requests)
        assert caught.value.retryable
        provider.jobs[0].files = kept
        assert len(collect(service, job, requests).ids("answered")) == 2


def reply(**changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    message = {"role": "assistant", "content": "hello"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "x", "model": "m", "choices": [choice], "usage": usage, **changes}


def collected(row: Any) -> Collected:
    """The results of a job whose output file holds this one line."""
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    with BatchProvider() as provider:
        service = service_of(provider)
        requests = requests_of(1)
        job = service.submit(requests, "job-1").id
        service.status(job)
        provider.jobs[0].files[f"{job}-output"] = line
        return collect(service, job, requests)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"response": None, "error": None}, "malformed_reply"),
        ({"response": 3}, "malformed_reply"),
        ({"response": {"status_code": 200, "body": None}}, "malformed_reply"),
        ({"response": {"status_code": 200, "body": "text"}}, "malformed_reply"),
        ({"response": {"status_code": 200, "body": {}}}, "malformed_reply"),
        ({"response": {"status_code": True, "body": reply()}}, "server"),
        ({"response": {"status_code": 10**400, "body": {}}}, "server"),
        ({"response": {"status_code": "429", "body": {}}}, "server"),
        ({"response": {"status_code": 429, "body": {"error": "slow down"}}}, "rate_limit"),
        ({"response": {"status_code": 404, "body": {"error": {"message": ["no"]}}}}, "not_found"),
        ({"response": None, "error": "no"}, "server"),
        ({"response": None, "error": {"code": ["x"], "message": 7}}, "server"),
        ({"response": {"status_code": 200, "body": reply(choices=[])}}, "malformed_reply"),
    ],
)
def test_a_result_of_the_wrong_shape_is_a_typed_error(row: dict[str, Any], kind: str) -> None:
    (result,) = collected({"custom_id": "run-00000", **row}).results
    assert (result.kind, result.error and result.error.type) == ("failed", kind)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": float("nan")},
        {"prompt_tokens": 10**30, "completion_tokens": 2},
        {"prompt_tokens": "5", "completion_tokens": None},
        {"prompt_tokens": 5, "completion_tokens": 2, "cost": float("nan")},
        {"prompt_tokens": 5, "completion_tokens": 2, "cost": float("inf")},
        {"prompt_tokens": 5, "completion_tokens": 2, "cost": "1e99"},
        {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": [1]},
        [],
    ],
)
def test_counts_and_costs_that_are_none_are_unknown_or_in_bounds(usage: Any) -> None:
    row = {"custom_id": "run-00000", "response": {"status_code": 200, "body": reply(usage=usage)}}
    (result,) = collected(row).results
    assert result.completion
    cost = Catalog.load(None, {}).batch_cost(PINS["openai"], result.completion)
    assert cost is None or 0 <= cost.cost_usd < 1


def test_an_answer_that_was_not_finished_is_paid_for() -> None:
    body_ = reply(choices=[{"message": {"content": "hel"}, "finish_reason": "content_filter"}])
    row = {"custom_id": "run-00000", "response": {"status_code": 200, "body": body_}}
    (result,) = collected(row).results
    assert result.error
    assert result.error.type == "content_filter"
    assert result.error.completion
    assert result.error.completion.service_tier == "batch"
    assert result.error.completion.is_metered


def answering(provider: BatchProvider, answer: Answer, *, to: str) -> None:
    """Answer requests for paths that end so with something else."""
    usual = provider.provider.script
    assert callable(usual)

    def script(request: Received) -> Answer:
        return answer if request.path.endswith(to) else usual(request)

    provider.provider.script = script


def test_a_compressed_file_is_unpacked_as_far_as_it_may_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    with BatchProvider() as provider:
        service = service_of(provider)
        requests = requests_of(1)
        job = service.submit(requests, "job-1").id
        service.status(job)
        content = provider.jobs[0].files[f"{job}-output"]
        packed = gzip.compress(content + b"\n" * 2_000_000)
        answering(provider, body(packed, **{"Content-Encoding": "gzip"}), to="/content")
        assert len(collect(service, job, requests).ids("answered")) == 1
        monkeypatch.setattr("promptops.providers.batches.wire.MAX_RESULT_BYTES", 1_000_000)
        with pytest.raises(ModelError, match="larger than"):
            collect(service, job, requests)


@WIRES
@pytest.mark.parametrize(
    "said",
    [
        b"<html>Sign in</html>",
        b"[]",
        b'{"id": "../../v1/models", "status": "completed", "processing_status": "ended"}',
        b'{"id": "batch_1", "status": "frozen", "processing_status": "frozen"}',
        b'{"id": "batch_1", "status": ["completed"], "processing_status": {}}',
        b'{"id": "batch_1"}',
    ],
)
def test_a_job_that_cannot_be_read_is_an_error(wire: str, said: bytes) -> None:
    with BatchProvider() as provider:
        answering(provider, body(said), to="batch_1")
        with pytest.raises(ModelError) as caught:
            service_of(provider, wire).status("batch_1")
    assert caught.value.type == "malformed_reply"


@WIRES
@pytest.mark.parametrize("id_", ["", "../models", "a/b", "a?b", "a b", "x" * 300, "é"])
def test_an_id_that_may_lead_elsewhere_is_not_sent(wire: str, id_: str) -> None:
    with BatchProvider() as provider:
        service = service_of(provider, wire)
        for call in (service.status, service.cancel, lambda each: list(service.results(each, []))):
            with pytest.raises(ModelError, match="no usable id"):
                call(id_)
    assert provider.requests == []


@WIRES
def test_a_redirect_is_not_followed(wire: str) -> None:
    with BatchProvider(), BatchProvider() as provider:
        answering(provider, Answer(307, {"Location": "http://127.0.0.1:1/v1"}), to="/cancel")
        with pytest.raises(ModelError, match="a key does not follow a redirect"):
            service_of(provider, wire).cancel("batch_1")


def test_times_are_read_in_any_unit() -> None:
    from promptops.providers.batches.wire import moment

    assert moment(1_762_921_219) == moment(1_762_921_219_000) == moment("2025-11-12T04:20:19Z")
    for odd in (None, "soon", -1, 10**30, float("nan"), float("inf"), True, [1], "9" * 100, "9999-99-99"):
        assert moment(odd) is None

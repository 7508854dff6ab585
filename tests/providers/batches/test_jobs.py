"""Each way in which a job can go, on either wire."""

import pytest

from promptops.providers.batches.types import AcceptanceUnknown
from promptops.providers.types import ModelError
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.batch_runs import collect, requests_of, run_job, service_of

pytestmark = pytest.mark.parametrize("wire", ["openai", "anthropic"])


def test_a_job_is_submitted_looked_at_and_collected(wire: str) -> None:
    with BatchProvider(Faults(polls=2, shuffle=True)) as provider:
        service = service_of(provider, wire)
        service.check()
        requests = requests_of(5, wire)
        job = service.submit(requests, "job-1")
        assert (job.requests, job.verified) == (5, True)
        assert job.created_at
        assert job.expires_at
        assert job.expires_at > job.created_at
        states = [service.status(job.id).state for _ in range(3)]
        status = service.status(job.id)
        got = collect(service, job.id, requests)
    assert states == ["pending", "pending", "ended"]
    assert (status.state, status.total, status.succeeded, status.failed) == ("ended", 5, 5, 0)
    assert status.ended_at
    assert got.texts == {custom_id: f"case {number}" for number, (custom_id, _) in enumerate(requests)}
    assert {each.completion.service_tier for each in got.results if each.completion} == {"batch"}


def test_results_of_a_job_under_way_are_refused(wire: str) -> None:
    with BatchProvider(Faults(polls=9)) as provider:
        service = service_of(provider, wire)
        job = service.submit(requests_of(1, wire), "job-1")
        with pytest.raises(ModelError, match="is not over: in_progress"):
            list(service.results(job.id, ["run-00000"]))


def test_what_expires_can_be_submitted_again(wire: str) -> None:
    with BatchProvider(Faults(expire_after=3), Faults()) as provider:
        service = service_of(provider, wire)
        requests = requests_of(5, wire)
        got = run_job(service, requests)
        assert service.status(provider.jobs[0].id).state == "expired"
        assert got.ids("answered") == ["run-00000", "run-00001", "run-00002"]
        assert got.ids("expired") == ["run-00003", "run-00004"]
        again = [(custom_id, request) for custom_id, request in requests if custom_id in got.ids("expired")]
        assert run_job(service, again).ids("answered") == ["run-00003", "run-00004"]
    assert provider.billed == dict.fromkeys([custom_id for custom_id, _ in requests], 1)


def test_three_of_a_hundred_fail(wire: str) -> None:
    with BatchProvider(Faults(fail_every=33)) as provider:
        got = run_job(service_of(provider, wire), requests_of(100, wire))
    assert len(got.ids("answered")) == 97
    failures = [each.error for each in got.results if each.kind == "failed"]
    assert [each and (each.type, each.status, each.retryable) for each in failures] == [
        ("server", 500, True)
    ] * 3


def test_a_request_that_is_wrong_is_not_repeated(wire: str) -> None:
    with BatchProvider(Faults(fail_every=1, fail_status=400)) as provider:
        got = run_job(service_of(provider, wire), requests_of(1, wire))
    (error,) = [each.error for each in got.results]
    assert error
    assert (error.type, error.status, error.retryable) == ("bad_request", 400, False)


def test_an_account_that_runs_empty_is_no_reason_to_try_again(wire: str) -> None:
    with BatchProvider(Faults(no_funds_after=1)) as provider:
        got = run_job(service_of(provider, wire), requests_of(3, wire))
    assert len(got.ids("answered")) == 1
    assert [each.error and each.error.type for each in got.results if each.kind == "failed"] == [
        "authentication"
    ] * 2


def test_a_cancelled_job_has_what_was_answered_before(wire: str) -> None:
    with BatchProvider(Faults(polls=5, cancel_after=2)) as provider:
        service = service_of(provider, wire)
        requests = requests_of(4, wire)
        job = service.submit(requests, "job-1").id
        service.status(job)
        assert service.cancel(job).state == "pending"
        assert service.status(job).state == "cancelled"
        got = collect(service, job, requests)
        assert len(got.ids("answered")) == 2
        assert len(got.ids("cancelled")) == 2
        with pytest.raises(ModelError, match="Cannot cancel"):
            service.cancel(job)


def test_duplicates_and_strangers_are_marked(wire: str) -> None:
    with BatchProvider(Faults(duplicate_every=2, unknown_lines=2, shuffle=True)) as provider:
        got = run_job(service_of(provider, wire), requests_of(10, wire))
    assert sorted(got.texts) == [f"run-{number:05d}" for number in range(10)]
    assert len(got.ids("duplicate")) == 5
    assert sorted(map(str, got.ids("unknown"))) == ["nobody-0", "nobody-1"]
    assert provider.billed.total() == 10


def test_looks_that_are_refused_are_repeated(wire: str) -> None:
    with BatchProvider(Faults(rate_limited_polls=3, retry_after=30)) as provider:
        assert len(run_job(service_of(provider, wire), requests_of(2, wire)).ids("answered")) == 2


def test_results_that_are_gone_are_an_error(wire: str) -> None:
    with BatchProvider(Faults(files_gone=True)) as provider, pytest.raises(ModelError) as caught:
        run_job(service_of(provider, wire), requests_of(2, wire))
    assert caught.value.type == "not_found"
    assert "submit its requests again" in caught.value.hint


@pytest.mark.parametrize("lost", ["lose_answer", "server_error"])
@pytest.mark.parametrize("polls", [0, 9])
def test_an_accepted_job_whose_answer_was_lost_is_found(wire: str, lost: str, polls: int) -> None:
    faults = Faults(lose_answer=lost == "lose_answer", server_error=lost == "server_error", polls=polls)
    with BatchProvider(Faults(), faults) as provider:
        service = service_of(provider, wire)
        earlier = service.submit(requests_of(3, wire), "job-1").id
        job = service.submit(requests_of(3, wire), "job-2", known=[earlier])
    assert job.id == provider.jobs[1].id
    assert job.verified == (wire == "openai")
    assert len(provider.jobs) == 2


def test_an_earlier_job_of_the_same_size_is_not_taken_for_a_lost_one(wire: str) -> None:
    with BatchProvider(Faults(polls=9), Faults(lose_answer=True, polls=9, listed_after=99)) as provider:
        service = service_of(provider, wire)
        service.submit(requests_of(3, wire), "job-1")
        with pytest.raises(AcceptanceUnknown):
            service.submit(requests_of(3, wire), "job-2")


def test_a_job_that_is_not_found_may_still_have_been_accepted(wire: str) -> None:
    with BatchProvider(Faults(lose_answer=True, listed_after=4)) as provider:
        service = service_of(provider, wire)
        requests = requests_of(3, wire)
        with pytest.raises(AcceptanceUnknown, match="closed the connection"):
            service.submit(requests, "job-1")
        since = "2026-01-01T00:00:00Z"
        ids = [custom_id for custom_id, _ in requests]
        assert service.find("job-1", since=since, custom_ids=ids) is None
        found = service.find("job-1", since=since, custom_ids=ids)
    assert found
    assert found.id == provider.jobs[0].id


def test_a_refused_job_is_not_accepted(wire: str) -> None:
    with BatchProvider() as provider:
        provider.refusal = "no"
        with pytest.raises(ModelError, match="answered 400: no") as caught:
            service_of(provider, wire).submit(requests_of(1, wire), "job-1")
        assert not isinstance(caught.value, AcceptanceUnknown)
    assert provider.uploads == {}


def test_an_unreachable_provider_is_said(wire: str) -> None:
    with BatchProvider() as provider:
        service = service_of(provider, wire)
    with pytest.raises(ModelError, match="refused the connection"):
        service.check()


def test_an_endpoint_without_a_batch_service_is_refused_first(wire: str) -> None:
    with BatchProvider() as provider:
        provider.without_batches = True
        with pytest.raises(ModelError, match="has no batch service") as caught:
            service_of(provider, wire).check()
    assert caught.value.type == "bad_request"

"""What a batch service says of a job, and its files of results: whatever comes is a value or a ModelError."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.providers.batches.types import BatchResult, BatchStatus
from promptops.providers.types import Completion, ModelError
from support.batch_jobs import Faults, Job, Outcome, Usage
from support.batch_runs import requests_of, service_of
from support.batch_wires import anthropic_file, openai_files, shown
from support.fuzzing import damaged_bytes, damaged_json, fuzz_settings, settle
from support.provider import Provider, as_json, body

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

USED = Usage(9, 3, cached=2, written=1, reasoning=1)
ENDINGS: list[Any] = ["answered", "failed", "expired", "cancelled", "no_funds"]
WIRES = st.sampled_from(["openai", "anthropic"])


def job(wire: Any) -> Job:
    outcomes = [
        Outcome(f"run-{number:05d}", ending, "m", "Grüße", USED if ending == "answered" else None)
        for number, ending in enumerate(ENDINGS)
    ]
    made = Job("batch_1", wire, [(each.custom_id, {}) for each in outcomes], Faults(), state="ended")
    made.outcomes = outcomes
    made.files = openai_files(made) if wire == "openai" else anthropic_file(made)
    return made


JOBS = {wire: job(wire) for wire in ("openai", "anthropic")}
FILES = {wire: list(JOBS[wire].files.values()) for wire in JOBS}


@given(st.data())
@fuzz_settings(60)
def test_files_of_results_are_results(data: st.DataObject) -> None:
    wire = data.draw(WIRES)
    rows = [json.loads(line) for file in FILES[wire] for line in file.splitlines()]
    lines = st.lists(damaged_json(rows), max_size=4).map(b"\n".join)
    content = data.draw(damaged_bytes(FILES[wire]) | lines)
    with Provider() as provider:
        provider.script = lambda request: (
            body(content)
            if request.path.endswith(("content", "results"))
            else as_json(shown(JOBS[wire], provider.base_url))
        )
        results = settle(lambda: list(service_of(provider, wire).results("batch_1", expected())))
    if isinstance(results, ModelError):
        assert results.type == "cut_off"
        return
    assert len([each for each in results if each.kind in {"answered", "failed"}]) <= len(ENDINGS)
    for result in results:
        check(result)


def check(result: BatchResult) -> None:
    if result.kind == "answered":
        assert isinstance(result.completion, Completion)
        counts = (result.completion.input_tokens, result.completion.output_tokens)
        assert all(count is None or 0 <= count < 2**53 for count in counts)
    elif result.kind == "failed":
        assert isinstance(result.error, ModelError)
        assert result.error.message.isprintable()


@given(st.data())
@fuzz_settings(60)
def test_a_job_is_a_status(data: st.DataObject) -> None:
    wire = data.draw(WIRES)
    content = data.draw(damaged_json([shown(JOBS[wire], "http://127.0.0.1/v1")]))
    with Provider(body(content)) as provider:
        status = settle(lambda: service_of(provider, wire).status("batch_1"))
    assert isinstance(status, BatchStatus | ModelError)


@given(st.data())
@fuzz_settings(60)
def test_a_list_of_jobs_has_ours_or_not(data: st.DataObject) -> None:
    wire = data.draw(WIRES)
    listed = {"data": [shown(JOBS[wire], "http://127.0.0.1/v1")], "has_more": False}
    content = data.draw(damaged_json([listed]))
    results = data.draw(st.sampled_from(FILES[wire]) | damaged_json([{"custom_id": "run-00001"}]))
    with Provider() as provider:
        provider.script = lambda request: body(results if request.path.endswith("results") else content)
        since = "2026-01-01T00:00:00Z"
        settle(lambda: service_of(provider, wire).find("k", since=since, custom_ids=expected()))


def expected() -> list[str]:
    return [custom_id for custom_id, _ in requests_of(len(ENDINGS))]

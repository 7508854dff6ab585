"""Batches that the provider's batch service answers: each line once, at what the provider bills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from support.batch_files import greetings, outputs, rows, write_lines
from support.batch_jobs import ANTHROPIC_MODEL, Faults, echo
from support.batch_provider import BatchProvider
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.provider_jobs import BATCH, JUDGE, PROMPT, billed, point_to, spent


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    with BatchProvider() as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    repo.write("prompts/greet.yaml", PROMPT)
    repo.commit()
    return repo


def answers(repo: Repo) -> list[str]:
    return outputs((repo.path / "out.jsonl").read_text())


def test_a_job_answers_every_line(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    write_lines(folder, 20)
    provider.faults = (Faults(polls=2, shuffle=True),)

    done = cli(*BATCH)

    assert done.code == 0, done.err
    assert answers(folder) == greetings(20)
    (job,) = provider.jobs
    runs = rows(folder)
    assert {run["run_id"] for run in runs} == {custom_id for custom_id, _ in job.requests}
    assert {run["state"] for run in runs} == {"finished"}
    assert spent(folder) == billed(provider) > 0


def test_what_expired_or_failed_is_submitted_again_and_nothing_else(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    write_lines(folder, 100)
    provider.faults = (
        Faults(expire_after=60, fail_every=33, duplicate_every=7, unknown_lines=3),
        Faults(fail_every=33),
        Faults(),
    )

    done = cli(*BATCH)

    assert done.code == 0, done.err
    assert answers(folder) == greetings(100)
    assert [len(job.requests) for job in provider.jobs] == [100, 41, 1]
    assert set(provider.billed.values()) == {1}
    assert spent(folder) == billed(provider)


def test_a_job_whose_answer_was_lost_is_found_again(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    write_lines(folder, 5)
    provider.faults = (Faults(lose_answer=True),)

    done = cli(*BATCH)

    assert done.code == 0, done.err
    assert len(provider.jobs) == 1
    assert spent(folder) == billed(provider)


def test_a_detached_batch_ends_with_3_and_the_same_command_takes_its_answers_up(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    write_lines(folder, 5)
    provider.faults = (Faults(polls=1),)

    done = cli(*BATCH, "--detach")
    assert done.code == 3, done.err
    assert "jobs collect" in done.err
    assert {run["state"] for run in rows(folder)} == {"started"}
    assert cli(*BATCH, "--detach").code == 3

    assert cli(*BATCH, "--detach").code == 0
    assert answers(folder) == greetings(5)
    assert len(provider.jobs) == 1
    assert spent(folder) == billed(provider)


def test_an_answer_that_breaks_its_schema_is_repaired_by_a_second_job(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    folder.write("prompts/greet.yaml", PROMPT + f"output: {json.dumps({'schema': schema, 'repair': 1})}\n")
    folder.commit()
    write_lines(folder, 6)
    provider.answer = lambda request: '{"a": 1}' if len(request["messages"]) > 2 else '{"a": "x"}'

    done = cli(*BATCH)

    assert done.code == 0, done.err
    assert answers(folder) == ['{"a": 1}'] * 6
    assert [len(job.requests) for job in provider.jobs] == [6, 6]
    assert spent(folder) == billed(provider)


def test_kept_answers_are_not_submitted(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    write_lines(folder, 3)
    assert cli(*BATCH).code == 0
    write_lines(folder, 5)

    assert cli(*BATCH[:3], "--provider-batch").code == 0
    assert [len(job.requests) for job in provider.jobs] == [3, 2]


def test_a_refused_job_costs_nothing_and_is_submitted_by_the_same_command(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    write_lines(folder, 3)
    provider.faults = (Faults(fail_validation=True), Faults())

    done = cli(*BATCH)
    assert done.code == 5
    assert "has refused job" in done.err
    assert cli(*BATCH).code == 0
    assert answers(folder) == greetings(3)
    assert spent(folder) == billed(provider)


def test_the_most_that_it_may_cost_is_counted_at_the_batch_price(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    write_lines(folder, 10)
    direct = 10 * 64 * 4.5e-6  # for the answers alone
    assert cli(*BATCH[:-1], "--max-cost", str(direct * 0.6)).code == 6
    assert not provider.jobs

    assert cli(*BATCH, "--max-cost", str(direct * 0.6)).code == 0


def test_models_without_a_batch_service_are_refused_by_name(folder: Repo, cli: Cli) -> None:
    write_lines(folder, 2)
    for model in ("mistral/mistral-small-2506", "local/tiny"):
        done = cli(*BATCH, "--model", model)
        assert done.code == 4
        assert model in done.err
    assert not (folder.path / "registry.db").exists()


def test_calls_that_wait_are_not_made_at_once_as_well(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    write_lines(folder, 2)
    provider.faults = (Faults(polls=9),)
    assert cli(*BATCH, "--detach").code == 3

    done = cli(*BATCH[:-1])
    assert done.code == 4
    assert "calls of this command are at openai" in done.err
    assert cli(*BATCH, "--restart").code == 4


def test_a_fallback_is_asked_by_a_job_of_its_own_when_no_retry_is_left(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    folder.write("prompts/greet.yaml", PROMPT + f"fallback: [anthropic/{ANTHROPIC_MODEL}]\n")
    folder.commit()
    write_lines(folder, 9)
    provider.faults = (Faults(fail_every=3),)

    done = cli(*BATCH, "--retries", "1")

    assert done.code == 0, done.err
    assert answers(folder) == greetings(9)
    assert [(job.wire, len(job.requests)) for job in provider.jobs] == [
        ("openai", 9),
        ("openai", 3),
        ("anthropic", 1),
    ]
    assert spent(folder) == billed(provider)


def test_what_guards_block_is_not_submitted_and_a_judge_of_guards_is_asked_by_a_job(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    guards = [
        {"name": "no 3", "on": "input", "check": {"regex": "^(?!person 3$)"}, "do": "block"},
        {"name": "fine", "on": "output", "check": {"judge": "quality", "threshold": 2}, "do": "block"},
    ]
    folder.write("prompts/greet.yaml", PROMPT + f"guards: {json.dumps(guards)}\n")
    folder.write("prompts/quality.yaml", JUDGE)
    folder.commit()
    write_lines(folder, 6)
    provider.answer = lambda request: '{"score": 4}' if echo(request).startswith("Judge") else echo(request)

    done = cli(*BATCH)

    assert done.code == 1, done.err
    assert "1 blocked by guards" in done.err
    assert [len(job.requests) for job in provider.jobs] == [5, 5]
    assert set(provider.billed.values()) == {1}
    assert len(rows(folder)) == 6 + 5
    assert spent(folder) == billed(provider)


def test_the_tags_around_untrusted_inputs_are_the_same_in_each_process(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    text = PROMPT.replace("  name: string", "  name: {type: string, untrusted: true}")
    folder.write("prompts/greet.yaml", text)
    folder.commit()
    write_lines(folder, 4)
    provider.faults = (Faults(polls=1),)
    assert cli(*BATCH, "--detach").code == 3
    sent = {custom_id: json.dumps(request["messages"]) for custom_id, request in provider.jobs[0].requests}

    assert cli("jobs", "collect", "--wait").code == 0

    assert len(provider.jobs) == 1
    for run in rows(folder):
        assert len(run["nonce"]) == 16
        assert run["nonce"] in sent[run["run_id"]]


def test_a_repair_that_no_money_is_left_for_leaves_the_answer_as_it_is(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    folder.write("prompts/greet.yaml", PROMPT + f"output: {json.dumps({'schema': schema, 'repair': 1})}\n")
    folder.commit()
    write_lines(folder, 4)
    provider.answer = lambda _: '{"a": "x"}'
    ceiling = 4 * (64 * 2.25e-6 + 60 * 0.375e-6)

    done = cli(*BATCH, "--max-cost", str(ceiling))

    assert done.code in (0, 1, 5), done.err
    assert provider.bill <= ceiling
    assert spent(folder) == billed(provider)
    first = len(provider.jobs)
    assert cli(*BATCH, "--max-cost", str(ceiling)).code == done.code
    assert len(provider.jobs) >= first
    assert provider.bill <= ceiling
    assert spent(folder) == billed(provider)


def test_ctrl_c_leaves_the_job_to_the_provider(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    write_lines(folder, 3)
    provider.faults = (Faults(polls=8),)
    process = ForkedPopen(
        [sys.executable, "-m", "promptops", *BATCH], stderr=subprocess.PIPE, encoding="utf-8"
    )
    end = time.monotonic() + 30
    while not (provider.jobs and provider.jobs[0].polls):
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate()

    assert process.returncode == 130
    assert "continues at the provider" in said
    assert "jobs collect" in said
    assert cli("jobs", "collect", "--wait").code == 0
    assert len(provider.jobs) == 1

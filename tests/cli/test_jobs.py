"""Jobs of a provider's batch service: listed, collected and cancelled through the front door."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptops.registry import BatchCallLog, RegistryDatabase
from support.batch_files import greetings, outputs, rows, write_lines
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.front_door import Cli, Repo
from support.provider_jobs import BATCH, PROMPT, billed, point_to, spent


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    with BatchProvider(Faults(polls=1)) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    repo.write("prompts/greet.yaml", PROMPT)
    repo.commit()
    write_lines(repo, 8)
    return repo


def jobs(cli: Cli) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(cli("jobs", "list", "--json").out)
    return found


@pytest.mark.usefixtures("provider")
def test_a_detached_job_is_collected_from_anywhere_by_the_version_that_was_meant(
    folder: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("batch", "greet", *BATCH[2:], "--detach", "--json").code == 3
    (job,) = jobs(cli)
    assert (job["verb"], job["state"], job["calls"], job["answered"]) == ("batch", "pending", 8, None)
    folder.write("prompts/greet.yaml", PROMPT.replace("Greet {{", "Insult {{"))
    monkeypatch.chdir(folder.path / "prompts")

    assert cli("jobs", "collect").code == 3
    done = cli("jobs", "collect", str(job["job_id"])[:14])

    assert done.code == 0, done.err
    assert json.loads(done.out)["run"] == 8
    assert outputs((folder.path / "out.jsonl").read_text()) == greetings(8)
    (job,) = jobs(cli)
    assert (job["state"], job["answered"], job["collected_at"] is None) == ("ended", 8, False)
    assert "collected" in cli("jobs", "list").out
    assert "no jobs are waiting" in cli("jobs", "collect").err


@pytest.mark.usefixtures("provider")
def test_of_two_that_collect_at_once_the_second_is_asked_to_wait(folder: Repo, cli: Cli) -> None:
    """To begin again would be refused: the job is paid for."""
    assert cli("batch", "greet", *BATCH[2:], "--detach").code == 3
    with RegistryDatabase.open(folder.registry) as registry:
        batch = str(registry.read_one("SELECT batch_id FROM batches"))
    other = BatchCallLog.open(folder.registry, batch)
    try:
        refused = cli("jobs", "collect", "--wait")
    finally:
        other.close()
    assert refused.code == 5
    assert "another process is running this very batch\n  wait for it\n" in refused.err
    assert cli("jobs", "collect", "--wait").code == 0


def test_collect_waits_where_it_is_asked_to(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    provider.faults = (Faults(polls=3, expire_after=5), Faults(polls=2))
    assert cli(*BATCH, "--detach").code == 3

    done = cli("jobs", "collect", "--wait")

    assert done.code == 0, done.err
    assert [len(job.requests) for job in provider.jobs] == [8, 3]
    assert spent(folder) == billed(provider)


@pytest.mark.usefixtures("provider")
def test_what_is_not_committed_is_collected_as_it_was_or_not_at_all(folder: Repo, cli: Cli) -> None:
    changed = PROMPT.replace("Greet {{", "Hail {{")
    folder.write("prompts/greet.yaml", changed)
    assert cli("batch", "greet", *BATCH[2:], "--detach").code == 3
    folder.write("prompts/greet.yaml", PROMPT)

    assert cli("jobs", "collect").code == 4
    done = cli("jobs", "collect")
    assert done.code == 4
    assert "is not what was submitted" in done.err

    folder.write("prompts/greet.yaml", changed)
    assert cli("jobs", "collect", "--wait").code == 0


def test_what_was_answered_before_a_cancel_is_collected_and_paid_for(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    provider.faults = (Faults(polls=9, cancel_after=3), Faults())
    assert cli(*BATCH, "--detach").code == 3
    job = str(jobs(cli)[0]["job_id"])

    assert cli("jobs", "cancel", job).code == 2
    assert cli("jobs", "cancel", job, "--yes").code == 0
    done = cli("jobs", "collect", job)
    assert done.code == 5, done.err
    assert "cancelled" in done.err

    states = [run["state"] for run in rows(folder)]
    assert (states.count("finished"), states.count("interrupted")) == (3, 5)
    assert spent(folder) == billed(provider)
    assert len(provider.jobs) == 1

    assert cli(*BATCH).code == 0
    assert outputs((folder.path / "out.jsonl").read_text()) == greetings(8)
    assert [len(job.requests) for job in provider.jobs] == [8, 5]
    assert spent(folder) == billed(provider)


def test_answers_that_no_command_can_take_up_are_given_up(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    assert cli(*BATCH, "--detach").code == 3
    os.truncate(folder.path / "in.jsonl", 0)
    assert cli("jobs", "collect", "--wait").code == 4

    assert cli("jobs", "cancel", str(jobs(cli)[0]["job_id"]), "--yes").code == 0
    assert cli("jobs", "cancel", str(jobs(cli)[0]["job_id"]), "--yes").code == 0

    assert {run["state"] for run in rows(folder)} == {"interrupted"}
    assert spent(folder) == billed(provider)


def test_a_job_that_the_provider_has_deleted_can_be_cancelled(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    assert cli(*BATCH, "--detach").code == 3
    job = str(jobs(cli)[0]["job_id"])
    provider.jobs.clear()
    lost = cli("jobs", "collect")
    assert lost.code == 4
    assert f"promptops jobs cancel {job}" in lost.err

    cancelled = cli("jobs", "cancel", job, "--yes")
    assert cancelled.code == 0
    assert f"openai knows no job {job}" in cancelled.err
    assert cli("jobs", "collect").code == 5

    assert {run["state"] for run in rows(folder)} == {"interrupted"}
    assert "no jobs are waiting" in cli("jobs", "collect").err
    assert cli(*BATCH).code == 0
    assert outputs((folder.path / "out.jsonl").read_text()) == greetings(8)


def test_an_id_that_is_none(folder: Repo, cli: Cli) -> None:
    assert Path("registry.db").exists() is False
    for verb in ("collect", "cancel"):
        done = cli("jobs", verb, "01K7Y3M9QX")
        assert done.code == 4
        assert "no job" in done.err
    assert "no jobs" in cli("jobs", "list").err
    del folder

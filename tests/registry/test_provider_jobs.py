"""Work of a provider's batch service on each engine: submitted, held by one process, collected, given up."""

import json
import time
from collections.abc import Iterator

import pytest

from promptops.config.clock import utc_text
from promptops.config.registry_location import RegistryLocation
from promptops.registry import (
    RegistryDatabase,
    hold_provider_work,
    open_provider_jobs,
    release_provider_work,
    run_states,
)
from support.batch_files import greetings, outputs, write_lines
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.front_door import Cli, Repo
from support.provider_jobs import BATCH, PROMPT, billed, point_to

LINES = 40


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    with BatchProvider(Faults(polls=1, expire_after=30, fail_every=7), Faults()) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo, location: RegistryLocation, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(location))
    repo.write("prompts/greet.yaml", PROMPT)
    repo.commit()
    write_lines(repo, LINES)
    return repo


def test_a_batch_is_submitted_and_collected(
    folder: Repo, cli: Cli, provider: BatchProvider, location: RegistryLocation
) -> None:
    assert cli(*BATCH, "--detach").code == 3
    assert [job["state"] for job in json.loads(cli("jobs", "list", "--json").out)] == ["pending"]

    done = cli("jobs", "collect", "--wait")

    assert done.code == 0, done.err
    assert outputs((folder.path / "out.jsonl").read_text()) == greetings(LINES)
    with RegistryDatabase.open(location) as registry:
        spent = registry.read_one("SELECT sum(spent_usd) FROM runs")
        assert registry.read_one("SELECT count(*) FROM provider_calls") == 0
    assert round(spent * 10**10) == round(billed(provider) * 10**10)
    assert cli("runs", "stats", "greet").code == 0


def test_one_process_holds_work_until_it_lets_go_or_its_time_is_over(
    folder: Repo, cli: Cli, provider: BatchProvider, location: RegistryLocation
) -> None:
    assert cli(*BATCH, "--detach").code == 3
    with RegistryDatabase.open(location) as registry:
        (job,) = open_provider_jobs(registry)
        until = utc_text(time.time() + 60)
        assert hold_provider_work(registry, job.work_id, "elsewhere:1:ab", until=until)
        done = cli("jobs", "collect")
        assert done.code == 5
        assert "another process" in done.err
        release_provider_work(registry, job.work_id, "elsewhere:1:ab")
        assert hold_provider_work(registry, job.work_id, "elsewhere:2:cd", until=utc_text(time.time() - 1))
        assert run_states(registry, ["none"]) == {}
    assert cli("jobs", "collect", "--wait").code == 0
    del folder, provider


def test_a_cancelled_job_is_given_up(
    folder: Repo, cli: Cli, provider: BatchProvider, location: RegistryLocation
) -> None:
    provider.faults = (Faults(polls=9, cancel_after=10),)
    assert cli(*BATCH, "--detach").code == 3
    job = json.loads(cli("jobs", "list", "--json").out)[0]["job_id"]
    assert cli("jobs", "cancel", job, "--yes").code == 0
    assert cli("jobs", "cancel", job, "--yes").code == 0
    with RegistryDatabase.open(location) as registry:
        states = [row["state"] for row in registry.read("SELECT state FROM runs")]
        assert states == ["interrupted"] * LINES
        spent = registry.read_one("SELECT sum(spent_usd) FROM runs")
    assert round(spent * 10**10) == round(billed(provider) * 10**10)
    del folder

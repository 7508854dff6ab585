"""Batches on a channel: each line placed by its unit, a row before each call, carried on after a kill."""

import json
import sys
import time
from typing import Any

import pytest

from promptops.registry import RegistryDatabase, unit_key
from promptops.release.assignment import on_canary
from support.batch_files import outputs, results, rows
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.git_repositories import GitFolder, prompt_text
from support.provider import Provider, Received, echo, slow, status
from support.release_states import released, write_state

LINES = 40
GREET = "prompts/greet.yaml"


@pytest.fixture
def folder(repo: Repo) -> GitFolder:
    folder = GitFolder(repo.path)
    folder.commit("1", {GREET: prompt_text("Hi"), ".gitignore": "registry.db*\n*.jsonl\n"})
    folder.commit("2", {GREET: prompt_text("Bye")}, day=2)
    write_state(folder, "greet", released(folder, "greet", "HEAD~1", "v1"), canary(folder))
    lines = [
        {"inputs": {"who": f"p{number}"}, "metadata": {"user": f"u{number % 10}"}} for number in range(LINES)
    ]
    repo.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return folder


def canary(folder: GitFolder) -> dict[str, Any]:
    return released(folder, "greet", "HEAD", "v2")


def expected(folder: GitFolder) -> list[str]:
    salt = f"greet/production/{canary(folder)['digest']}"
    return [
        f"{'Bye' if on_canary(salt, f'u{number % 10}', 5000) else 'Hi'} p{number}" for number in range(LINES)
    ]


BATCH = ("batch", "greet:production", "in.jsonl", "--unit", "metadata.user", "--out", "out.jsonl")


def test_each_line_meets_the_version_of_its_unit(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    done = cli(*BATCH)
    assert done.code == 0, done.err
    out = (repo.path / "out.jsonl").read_text()
    assert outputs(out) == expected(folder)
    assert {result["arm"] for result in results(out)} == {"stable", "canary"}
    logged = rows(repo)
    assert len(logged) == LINES
    assert {row["state"] for row in logged} == {"finished"}
    assert {(row["rollout"], row["weight_bp"], row["kind"]) for row in logged} == {("r-1", 5000, "batch")}
    with RegistryDatabase.open(repo.registry) as registry:
        key = unit_key(registry)
    assert {row["unit_hash"] for row in logged} == {key.hash(f"u{number}") for number in range(10)}
    assert [row["writer_counter"] for row in logged] == list(range(1, LINES + 1))


def test_a_row_is_on_disk_before_each_call(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    begun: list[bool] = []

    def answer(request: Received) -> Any:
        who = request.body["messages"][-1]["content"].split()[-1]
        texts = rows(repo, "SELECT inputs FROM runs JOIN run_texts USING (seq) WHERE state = 'started'")
        begun.append(any(json.loads(row["inputs"])["who"] == who for row in texts))
        return echo(request)

    provider.script = answer
    assert cli(*BATCH, "-j", "4").code == 0
    assert begun == [True] * LINES


def test_the_cache_is_neither_read_nor_filled(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    assert cli(*BATCH).code == 0
    assert cli(*BATCH, "--restart").code == 0
    assert len(provider.requests) == 2 * LINES
    assert {row["cache_key"] for row in rows(repo)} == {None}


def test_a_killed_batch_is_carried_on_whatever_was_released_meanwhile(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    provider.script = lambda request: slow(0.05, echo(request))
    child = ForkedPopen([sys.executable, "-m", "promptops", *BATCH, "-j", "4"], cwd=repo.path)
    deadline = time.monotonic() + 60
    while len(provider.requests) < 12:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.kill()
    child.wait()
    left = [row for row in rows(repo) if row["state"] == "started"]
    assert 1 <= len(left) <= 4
    write_state(folder, "greet", canary(folder))
    done = cli(*BATCH)
    assert done.code == 0, done.err
    assert "that an earlier process left under way" in done.err
    assert len(outputs((repo.path / "out.jsonl").read_text())) == LINES
    finished = [row for row in rows(repo) if row["state"] == "finished"]
    assert len(finished) == LINES
    assert {row["version"] for row in finished[-10:]} == {"v2"}
    assert len({row["batch_id"] for row in rows(repo)}) == 1


def test_a_canary_that_cannot_be_sent(folder: GitFolder, repo: Repo, cli: Cli, provider: Provider) -> None:
    broken = prompt_text("Bye {{ nobody.at.home }}")
    folder.commit("3", {GREET: broken}, day=3)
    write_state(folder, "greet", released(folder, "greet", "HEAD~2", "v1"), canary(folder))
    assert cli(*BATCH).code == 0
    assert outputs((repo.path / "out.jsonl").read_text()) == [f"Hi p{number}" for number in range(LINES)]
    arms = {(row["arm"], row["fallback"] is not None) for row in rows(repo)}
    assert arms >= {("stable", False), ("canary", True)}


def test_failures_in_a_row_put_the_canary_out_of_service_within_the_batch(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    lines = [{"inputs": {"who": f"p{number}"}, "unit": f"u{number}"} for number in range(150)]
    repo.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    provider.script = lambda request: status(400) if b"Bye" in request.raw else slow(0.01, echo(request))
    done = cli("batch", "greet:production", "in.jsonl", "-j", "2", "--out", "out.jsonl")
    assert done.code == 5
    assert "out of service here" in done.err
    after = [row for row in rows(repo) if row["rollout"] is None]
    assert len(after) > 30
    assert {row["version"] for row in after} == {"v1"}
    assert [row["rollout"] for row in rows(repo, "SELECT rollout FROM breakers")] == ["r-1"]


def test_a_budget_is_kept_by_the_canary_too(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    folder.commit("3", {GREET: prompt_text("Bye", model="openai/nobody-knows-its-price")}, day=3)
    write_state(folder, "greet", released(folder, "greet", "HEAD~2", "v1"), canary(folder))
    done = cli(*BATCH, "--max-cost", "1")
    assert (done.code, "openai/nobody-knows-its-price" in done.err) == (4, True), done.err
    assert not provider.requests


def test_a_line_without_a_unit(folder: GitFolder, repo: Repo, cli: Cli, provider: Provider) -> None:
    repo.write("in.jsonl", '{"inputs": {"who": "Ada"}}\n')
    assert cli(*BATCH).code == 4
    assert cli("batch", "greet:production", "in.jsonl").code == 0
    assert rows(repo)[0]["unit_hash"] is None


def test_a_channel_is_not_overridden(folder: GitFolder, repo: Repo, cli: Cli, provider: Provider) -> None:
    done = cli(*BATCH, "--model", "openai/gpt-4o")
    assert (done.code, "a channel serves what was released" in done.err) == (4, True)
    assert not provider.requests


def test_a_long_batch_follows_the_release(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    def answer(request: Received) -> Any:
        if len(provider.requests) == 3:
            write_state(folder, "greet", canary(folder))
        if len(provider.requests) == 20:
            folder.branch_from_files("refs/heads/promptops-state", {"releases/greet.yaml": "channels: 7"})
        return slow(0.13, echo(request))

    provider.script = answer
    done = cli(*BATCH, "-j", "2")
    assert done.code == 0, done.err
    assert done.err.count("does not continue") == 1
    logged = rows(repo)
    assert {row["rollout"] for row in logged[:8]} == {"r-1"}
    assert {(row["version"], row["rollout"]) for row in logged[-20:]} == {("v2", None)}


@pytest.mark.sqlite  # a server does not lose a table
def test_a_registry_that_takes_no_more_rows_stops_it_before_the_next_call(
    folder: GitFolder, repo: Repo, cli: Cli, provider: Provider
) -> None:
    def answer(request: Received) -> Any:
        if len(provider.requests) == 5:
            rows(repo, "ALTER TABLE runs RENAME TO away")
        return slow(0.05, echo(request))

    provider.script = answer
    done = cli(*BATCH, "-j", "4")
    assert done.code != 0
    assert len(provider.requests) <= 8
    provider.script = echo
    rows(repo, "ALTER TABLE away RENAME TO runs")
    done = cli(*BATCH)
    assert done.code == 0, done.err
    assert outputs((repo.path / "out.jsonl").read_text()) == expected(folder)

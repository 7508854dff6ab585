"""Answers that nobody gets before a person has released them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from promptops import Invalid, NotFound, Workspace
from promptops.config.settings import find_settings
from promptops.registry import RegistryDatabase, claim_item, get_run, run_as_record, run_from_record
from promptops.review.labels import label_item
from promptops.review.queue import QueueRequest, start_queue
from support.front_door import GREET, Cli, Repo
from support.gateway_client import running_gateway
from support.greet_releases import go_live
from support.provider import Provider, text
from support.reviews import ADA, a_label

SECRET = "Hello Ada, a zebra"


@pytest.fixture
def held(cli: Cli, repo: Repo, provider: Provider) -> Repo:
    """``greet:production`` is live, and a person releases its answers."""
    go_live(cli, repo, more="review: required\nchecks: [{contains: lemon}]\n")
    provider.script = text(SECRET)
    return repo


def decide(folder: Path, *, passed: bool = True, **fields: Any) -> None:
    """Label the answers that wait."""
    settings = find_settings(folder, os.environ)
    with RegistryDatabase.open(settings.registry) as registry:
        request = QueueRequest(target="greet:production", by=ADA, sample=0, reasons=("held",))
        queue = start_queue(registry, settings, request).id
        while item := claim_item(registry, queue, ADA):
            label_item(registry, item.id, a_label(passed=passed, **fields), settings.log)


def test_run_ends_with_3_and_prints_no_answer(cli: Cli, held: Repo) -> None:
    for more in ([], ["--json"], ["--stream"], ["--all-checks"]):
        done = cli("run", "greet:production", "-i", "name=Ada", *more)
        assert done.code == 3, done.err
        assert "is held until a person has released it" in done.err
        assert "zebra" not in done.out + done.err
    told = json.loads(cli("run", "greet:production", "-i", "name=Ada", "--json").out)
    assert (told["held"], told["output"], told["attempts"]) == ("waiting", None, [])
    assert (cli("runs", "show", told["run_id"]).code, cli("run", "greet", "-i", "name=Ada").code) == (0, 1)
    done = cli("run", "greet:production", "-i", "name=Ada", "--no-log")
    assert (done.code, "cannot release an answer that is not logged" in done.err) == (4, True)
    done = cli("run", "greet:production", "-i", "name=Ada", "--prepare")
    assert (done.code, "your own client cannot" in done.err) == (4, True)


def test_batch_writes_no_held_answer(cli: Cli, held: Repo) -> None:
    held.write("names.jsonl", '{"inputs": {"name": "Ada"}}\n')
    done = cli("batch", "greet:production", "names.jsonl", "--out", "answers.jsonl")
    assert "zebra" not in done.out + done.err
    assert done.code == 1, done.err  # the check fails
    line = json.loads((held.path / "answers.jsonl").read_text())
    assert (line["held"], line["output"]) == ("waiting", None)
    (held.path / "answers.jsonl").unlink()
    cli("batch", "greet:production", "names.jsonl", "--out", "answers.jsonl")
    assert "zebra" not in (held.path / "answers.jsonl").read_text()


def test_an_application_gets_the_answer_once_it_is_released(held: Repo) -> None:
    with Workspace.open(held.path) as workspace:
        run = workspace.run("greet:production", {"name": "Ada"})
        assert (run.held, run.text, run.answer, run.reasoning) == (True, "", "", None)
        assert "zebra" not in repr(run)
        with workspace.stream("greet:production", {"name": "Ada"}) as stream:
            assert list(stream) == []
        assert stream.run.held
        assert workspace.released_answer(run.id) is None
        decide(held.path)
        assert workspace.released_answer(run.id) == SECRET
        other = workspace.run("greet:production", {"name": "Ada"})
        decide(held.path, answer="Good day")
        assert workspace.released_answer(other.id) == "Good day"
        third = workspace.run("greet:production", {"name": "Ada"})
        decide(held.path, passed=False)
        with pytest.raises(Invalid, match="has rejected the answer"):
            workspace.released_answer(third.id)
        with pytest.raises(NotFound):
            workspace.released_answer("01J00000000000000000000000")
        free = workspace.run("greet@HEAD", {"name": "Ada"})
        assert (free.held, free.text) == (False, SECRET)
        with pytest.raises(Invalid, match="never held"):
            workspace.released_answer(free.id)
        with pytest.raises(Invalid, match="your own client cannot"):
            workspace.prepare("greet:production", {"name": "Ada"})


@pytest.mark.parametrize("stream", [False, True])
def test_the_gateway_answers_202_with_the_run(held: Repo, stream: bool) -> None:
    with running_gateway(held.path) as client:
        answer = client.chat(stream=stream)
        assert (answer.status, answer.body["held"]) == (202, "waiting")
        assert b"zebra" not in answer.raw
        where = answer.headers["location"]
        assert where == f"/v1/runs/{answer.headers['x-promptops-run-id']}"
        waiting = client.get(where)
        assert (waiting.body["held"], waiting.body["output"]) == ("waiting", None)
        assert b"zebra" not in waiting.raw
        decide(held.path)
        released = client.get(where)
        assert (released.body["held"], released.body["output"]) == ("released", SECRET)


def test_a_rejected_answer_is_never_told(held: Repo) -> None:
    with running_gateway(held.path) as client:
        prompt = {"id": "greet", "version": "production", "variables": {"name": "Ada"}}
        first = client.respond(prompt=prompt, headers={"Idempotency-Key": "k"})
        again = client.respond(prompt=prompt, headers={"Idempotency-Key": "k"})
        assert (first.status, again.status) == (202, 202)
        assert again.body["run_id"] == first.body["run_id"]
        decide(held.path, passed=False)
        found = client.get(first.headers["location"])
        assert (found.body["held"], found.body["output"]) == ("rejected", None)


def test_review_is_no_part_of_the_version(cli: Cli, greeting: Repo) -> None:
    before = json.loads(cli("show", "greet", "--json").out)["digest"]
    greeting.write("prompts/greet.yaml", GREET + "review: required\n")
    assert json.loads(cli("show", "greet", "--json").out)["digest"] == before
    assert cli("lint").code == 0
    greeting.write("promptops.yaml", "log: {outputs: none}\n")
    done = cli("lint")
    assert (done.code, "review-without-outputs" in done.out) == (1, True)


def test_a_held_run_that_waits_beside_the_registry_is_still_held(held: Repo, cli: Cli) -> None:
    cli("run", "greet:production", "-i", "name=Ada")
    settings = find_settings(held.path, os.environ)
    with RegistryDatabase.open(settings.registry) as registry:
        run_id = registry.read_one("SELECT run_id FROM runs")
        assert get_run(registry, run_id)["held"] == "waiting"
        from support.logged_runs import a_run, an_end

        record = json.loads(json.dumps(run_as_record(a_run(channel="production"), an_end(held="waiting"))))
        run, end = run_from_record(record)
        registry.replay(run, end)
        assert get_run(registry, run.run_id)["held"] == "waiting"

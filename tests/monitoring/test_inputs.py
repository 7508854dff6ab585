"""Logged inputs that the golden set knows nothing like."""

import json

import pytest

from promptops.registry import RegistryDatabase
from support.front_door import GREET, Cli, Repo
from support.logged_runs import a_run, an_end

USUAL = [f"where is my parcel number {number} that I ordered" for number in range(30)]
OTHER = [f"Bitte setzen Sie das Kennwort von Konto {number} zurück" for number in range(60)]


@pytest.fixture
def logged(repo: Repo) -> Repo:
    repo.write("prompts/greet.yaml", GREET + "cases: greet.cases.jsonl\n")
    lines = [json.dumps({"id": f"c{number}", "inputs": {"name": text}}) for number, text in enumerate(USUAL)]
    repo.write("prompts/greet.cases.jsonl", "\n".join(lines) + "\n")
    repo.commit()
    return repo


def log(repo: Repo, texts: list[str]) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        rows = [a_run(prompt="greet", channel="production", inputs={"name": text}) for text in texts]
        registry.record([(run, an_end()) for run in rows])


def test_the_farthest_are_listed_and_put_into_review(logged: Repo, cli: Cli) -> None:
    log(logged, [*USUAL, *USUAL, *OTHER[:3]])
    found = json.loads(cli("monitor", "inputs", "greet", "-n", "4", "--json").out)
    assert (found["cases"], found["inputs"], found["far"], found["stale"]) == (30, 33, 3, False)
    texts = [each["text"] for each in found["farthest"]]
    assert set(texts[:3]) == set(OTHER[:3])
    distances = [each["distance"] for each in found["farthest"]]
    assert distances == sorted(distances, reverse=True)
    assert distances[3] == 0.0  # the same as a case
    done = cli("monitor", "inputs", "greet:production", "-n", "3", "--add")
    assert "Kennwort" in done.out
    assert "queue 1 has 3 answers" in done.err
    status = json.loads(cli("review", "status", "greet", "--json").out)
    assert status["queues"][0]["selection"]["reasons"] == ["far"]


def test_a_golden_set_that_lacks_what_users_send_is_stale(logged: Repo, cli: Cli) -> None:
    before = json.loads(cli("cases", "stats", "greet", "--json").out)["logged_inputs"]
    log(logged, [*USUAL, *OTHER])
    done = cli("cases", "stats", "greet")
    assert before is None or before["inputs"] == 0  # there is no file, or a server that has nothing
    assert "the golden set is stale: 66.7 % of 90 logged inputs" in done.err
    assert "monitor inputs greet lists them" in done.err
    assert "the golden set is stale" in cli("monitor", "check", "greet:production").err
    assert "stale" not in cli("cases", "stats", "greet", "--tag", "x").err
    assert json.loads(cli("cases", "stats", "greet", "--json").out)["logged_inputs"]["far"] == 60


def test_what_is_known_of_few_is_no_verdict(logged: Repo, cli: Cli) -> None:
    log(logged, OTHER[:20])
    assert "stale" not in cli("cases", "stats", "greet").err
    logged.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
    log(logged, OTHER)
    found = json.loads(cli("monitor", "inputs", "greet", "--json").out)
    assert (found["usual_distance"], found["far"], found["stale"]) == (None, 0, False)


def test_without_inputs_or_cases_it_says_so(logged: Repo, cli: Cli) -> None:
    done = cli("monitor", "inputs", "greet")
    assert (done.code, "no inputs of greet are kept" in done.err) == (4, True)
    logged.write("prompts/greet.yaml", GREET)
    done = cli("monitor", "inputs", "greet")
    assert (done.code, "greet has no cases" in done.err) == (4, True)
    logged.write("promptops.yaml", "log: {outputs: none}\n")
    log(logged, OTHER)
    logged.write("prompts/greet.yaml", GREET + "cases: greet.cases.jsonl\n")
    done = cli("monitor", "inputs", "greet", "--add")
    assert (done.code, "answers that are not kept" in done.err) == (4, True)

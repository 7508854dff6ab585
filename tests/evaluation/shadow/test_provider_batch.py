"""Shadow runs that a provider's batch service answers: pairs in looks, each side once, verdicts as ever."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.batch_files import rows, write_lines
from support.batch_jobs import ANTHROPIC_MODEL, Faults, echo
from support.batch_provider import BatchProvider
from support.front_door import Cli, Repo
from support.provider_jobs import MODEL, PROMPT, billed, point_to, spent

LINES = 60
OTHER = f"anthropic/{ANTHROPIC_MODEL}"
SHADOW = ("shadow", "run", "greet@HEAD", "--against", "greet@HEAD~1", "--inputs", "in.jsonl")
ON_JOBS = (*SHADOW, "--provider-batch", "--json")
JUDGE = f"""\
model: {MODEL}
parameters: {{max_completion_tokens: 60}}
inputs: {{name: string, a: string, b: string}}
messages: [{{role: user, content: "Compare {{{{ a }}}} with {{{{ b }}}} for {{{{ name }}}}."}}]
output:
  schema: {{type: object, properties: {{choice: {{enum: [a, b, tie]}}}}, required: [choice]}}
"""


def answer(request: Mapping[str, Any]) -> str:
    text = echo(request)
    return json.dumps({"choice": "tie"}) if text.startswith("Compare") else text


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    with BatchProvider(Faults(polls=1), answer=answer) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    checks = "checks: [{contains: Greet}]\n"
    repo.write("prompts/greet.yaml", PROMPT + checks)
    repo.write("prompts/pairs.yaml", JUDGE)
    repo.commit()
    repo.write("prompts/greet.yaml", PROMPT.replace("Greet {{", "Salute {{") + checks)
    repo.commit()
    write_lines(repo, LINES)
    return repo


def test_a_look_at_a_time_until_the_verdict(
    folder: Repo, cli: Cli, provider: BatchProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptops.evaluation.shadow.replay.LOOK_CALLS", 20)
    provider.faults = (Faults(fail_every=9, shuffle=True),)

    done = cli(*ON_JOBS)

    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["verdict"], result["stopped"]) == ("worse", "verdict")
    assert sum(len(job.requests) for job in provider.jobs) < 2 * LINES
    runs = rows(folder)
    states = [run["state"] for run in runs]
    assert states.count("finished") == len(provider.billed)
    assert set(states) <= {"finished", "interrupted"}  # what failed, and was not asked again
    assert len({(run["batch_line"], run["arm"]) for run in runs}) == len(runs)
    assert spent(folder) == billed(provider)


def test_all_pairs_with_a_judge_of_pairs_through_collect(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    provider.faults = (Faults(expire_after=100), Faults(fail_every=33), Faults())
    asked = (*ON_JOBS, "--until", "all", "--judge", "pairs")
    assert cli(*asked, "--detach").code == 3
    assert cli(*SHADOW, "--until", "all", "--judge", "pairs").code == 4

    done = cli("jobs", "collect", "--wait")

    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["stopped"], result["pairs"]) == ("all", LINES)
    runs = rows(folder)
    kinds = [run["kind"] for run in runs]
    assert (kinds.count("shadow"), kinds.count("judge")) == (2 * LINES, 2 * LINES)
    assert {run["state"] for run in runs} == {"finished"}
    names = rows(folder, "SELECT count(*) AS n FROM outcomes WHERE name = 'preference'")
    assert names[0]["n"] == LINES
    assert spent(folder) == billed(provider)
    assert set(provider.billed.values()) == {1}


def test_answers_of_the_log_are_recorded_once(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    lines = (folder.path / "in.jsonl").read_text().splitlines()[:12]
    folder.write("in.jsonl", "\n".join(lines) + "\n")
    assert cli("batch", "greet@HEAD~1", "in.jsonl").code == 0
    provider.faults = (Faults(fail_every=5), Faults())

    done = cli("shadow", "run", "greet@HEAD", "--recorded", "--until", "all", "--provider-batch", "--json")

    assert done.code == 0, done.err
    arms = [run["arm"] for run in rows(folder) if run["kind"] == "shadow"]
    assert (arms.count("control"), arms.count("candidate")) == (12, 12)
    assert [len(job.requests) for job in provider.jobs] == [12, 2]


def test_each_of_several_models_is_a_job(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    provider.faults = (Faults(polls=1),)
    models = ("--model", MODEL, "--model", OTHER)
    done = cli(*ON_JOBS, "--until", "all", *models, "--detach")
    assert done.code == 3, done.err
    jobs = json.loads(cli("jobs", "list", "--json").out)
    assert {job["model"] for job in jobs} == {MODEL, OTHER}

    assert cli("jobs", "collect", "--wait").code == 0
    assert spent(folder) == billed(provider)
    assert [job["answered"] for job in json.loads(cli("jobs", "list", "--json").out)] == [60, 60, 120]

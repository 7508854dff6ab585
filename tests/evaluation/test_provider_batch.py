"""Evals that a provider's batch service answers: judges by another job, verdicts as of direct calls."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.batch_files import rows
from support.batch_jobs import Faults, echo
from support.batch_provider import BatchProvider
from support.front_door import Cli, Repo
from support.provider_jobs import MODEL, PROMPT, billed, echo_or_judge, point_to, spent

CASES = 40
EVAL = ("eval", "greet@HEAD", "--provider-batch", "--json")
JUDGE = f"""\
model: {MODEL}
parameters: {{max_completion_tokens: 60}}
inputs: {{name: string, output: string}}
messages: [{{role: user, content: "Judge {{{{ output }}}} for {{{{ name }}}}."}}]
output:
  schema:
    type: object
    properties: {{score: {{type: integer, minimum: 1, maximum: 5}}}}
    required: [score]
"""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    with BatchProvider(Faults(polls=1), answer=echo_or_judge) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    repo.write("prompts/greet.yaml", PROMPT + "cases: greet.cases.jsonl\nchecks: [{contains: person}]\n")
    cases = [{"id": f"c{n}", "inputs": {"name": f"person {n}"}, "expected": f"{n}"} for n in range(CASES)]
    checks = [{"contains": "{{ expected }}"}]
    lines = [json.dumps({**case, "checks": checks if n % 4 else []}) for n, case in enumerate(cases)]
    repo.write("prompts/greet.cases.jsonl", "\n".join(lines) + "\n")
    repo.write("prompts/quality.yaml", JUDGE)
    repo.commit()
    return repo


def result_of(out: str) -> Any:
    return json.loads(out)


def test_an_eval_says_what_one_of_direct_calls_says_at_half_the_price(
    folder: Repo, cli: Cli, provider: BatchProvider
) -> None:
    provider.faults = (Faults(polls=1, fail_every=9, shuffle=True),)
    direct = result_of(cli("eval", "greet@HEAD", "--json", "--refresh").out)
    paid = provider.bill

    done = cli(*EVAL, "--refresh")

    assert done.code == 1, done.err
    batch = result_of(done.out)
    assert batch["sides"][0]["overall"] == direct["sides"][0]["overall"]
    assert provider.bill - paid == paid / 2
    (eval_id,) = {run["eval_id"] for run in rows(folder) if run["eval_id"] != direct["eval_id"]}
    assert batch["eval_id"] == eval_id
    assert spent(folder) == billed(provider)
    assert len(rows(folder)) == 2 * CASES


def test_judges_are_asked_by_a_job_of_their_own(folder: Repo, cli: Cli, provider: BatchProvider) -> None:
    judges = "{judge: {prompt: quality, votes: 2}, threshold: 3}, {judge: quality, name: again, threshold: 1}"
    folder.write("prompts/greet.yaml", f"{PROMPT}cases: greet.cases.jsonl\nchecks: [{judges}]\n")
    folder.commit()
    provider.faults = (Faults(fail_every=33), Faults(expire_after=50), Faults())

    assert cli(*EVAL, "--detach").code == 3
    assert cli("jobs", "collect").code == 3
    done = cli("jobs", "collect", "--wait")

    assert done.code == 1, done.err
    assert len(provider.jobs[0].requests) == CASES
    runs = rows(folder)
    kinds = [run["kind"] for run in runs]
    assert (kinds.count("eval"), kinds.count("judge")) == (CASES, 3 * CASES)
    assert set(provider.billed.values()) == {1}
    assert spent(folder) == billed(provider)
    outcomes = rows(folder, "SELECT run_seq, name FROM outcomes WHERE source = 'check'")
    assert len(outcomes) == len({(row["run_seq"], row["name"]) for row in outcomes})


def test_a_sequential_eval_submits_a_look_at_a_time(
    folder: Repo, cli: Cli, provider: BatchProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptops.evaluation.engine.LOOK_CALLS", 20)
    prompt = (folder.path / "prompts/greet.yaml").read_text()
    folder.write("prompts/greet.yaml", prompt.replace("Greet {{", "No {{"))
    folder.commit()
    provider.answer = lambda request: "" if echo(request).startswith("No") else echo(request)

    done = cli(*EVAL, "--against", "greet@HEAD~1", "--sequential")

    assert done.code == 1, done.err
    result = result_of(done.out)
    assert result["comparison"]["verdict"] == "worse"
    assert result["stopped"] == "verdict"
    assert 20 <= sum(len(job.requests) for job in provider.jobs) < 2 * CASES
    assert {run["state"] for run in rows(folder)} == {"finished"}
    assert spent(folder) == billed(provider)

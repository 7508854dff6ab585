"""Evals whose checks ask again: judges, votes, invariants."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.batch_files import rows
from support.front_door import Cli, Repo
from support.golden_set import JUDGE, WRITER, jsonl, result
from support.provider import Answer, Provider, Received, as_json, status, text


def said(request: Received) -> str:
    content: str = request.body["messages"][0]["content"]
    return content


@pytest.fixture
def project(repo: Repo) -> Repo:
    repo.write("prompts/judges/quality.yaml", JUDGE)
    repo.write(
        "prompts/write.cases.jsonl", jsonl(*({"id": f"c{n}", "inputs": {"id": f"{n}"}} for n in range(6)))
    )
    for style in ("first", "second"):
        repo.write("prompts/write.yaml", WRITER.format(style=style))
        repo.commit(f"Write {style}")
    return repo


def judging(request: Received) -> Answer:
    """Odd cases are good."""
    content = said(request)
    if content.startswith("Judge: "):
        return text(json.dumps({"score": 4 + int(content.split()[-1]) % 2 - 1}))
    return text(content)


def test_judges_are_asked_logged_and_found_again(cli: Cli, project: Repo, provider: Provider) -> None:
    provider.script = judging
    found = result(cli("eval", "write", "--against", "write@HEAD~1", "--json"))
    assert [side["overall"]["passed"] for side in found["sides"]] == [3, 3]
    assert [side["scores"] for side in found["sides"]] == [{"judge": 3.5}] * 2
    (score,) = found["comparison"]["scores"]
    assert (score["pairs"], score["difference"], score["p"]) == (6, 0.0, 1.0)
    logged = rows(project)
    assert [sum(row["kind"] == kind for row in logged) for kind in ("eval", "judge")] == [12, 12]
    assert {row["eval_id"] for row in logged} == {found["eval_id"]}
    judged = rows(project, "SELECT * FROM runs r JOIN outcomes o ON o.run_seq = r.seq WHERE o.name = 'judge'")
    assert {row["kind"] for row in judged} == {"eval"}
    asked = len(provider.requests)
    assert asked == 24
    done = cli("eval", "write", "--against", "write@HEAD~1", "--verbose")
    assert len(provider.requests) == asked
    assert "judge: 3.5 -> 3.5" in done.err
    cli("eval", "write", "--trials", "2")
    assert len(provider.requests) == asked + 12


def test_a_judge_that_says_nothing_is_counted_apart(cli: Cli, project: Repo, provider: Provider) -> None:
    def silent_on_3(request: Received) -> Answer:
        if said(request) == "Judge: second 3":
            return text('{"score": 9}')
        return judging(request)

    provider.script = silent_on_3
    found = result(cli("eval", "write", "--json"))
    (side,) = found["sides"]
    assert (side["judge_failures"], side["errors"], side["overall"]["passed"]) == (1, 1, 2)
    trial = found["cases"][0][3]["trials"][0]
    assert trial["error"] == "check"
    assert "the judge gave no verdict" in trial["failed"][0]


def test_a_budget_that_ends_while_judging_is_no_failure_of_the_case(
    cli: Cli, project: Repo, provider: Provider
) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60}
    provider.script = lambda request: replace(judging(request), usage=usage)
    done = cli("eval", "write", "--max-cost", "0.0018", "-j", "1", "--json")
    assert done.code == 6
    found = result(done)
    assert found["stopped"] == "budget"
    assert found["sides"][0]["errors"] == 0
    assert 0 < found["cases_run"] < 6


def test_a_judge_that_does_not_fit_is_found_before_anything_is_run(
    cli: Cli, project: Repo, provider: Provider
) -> None:
    project.write("prompts/write.yaml", WRITER.format(style="x").replace("    threshold: 4\n", ""))
    done = cli("eval", "write")
    assert (done.code, "gives scores (1, 2, 3, 4, 5)" in done.err) == (4, True)
    assert not provider.requests


def test_texts_of_judged_answers_are_kept_out_where_that_is_asked(
    cli: Cli, project: Repo, provider: Provider
) -> None:
    project.write("promptops.yaml", "log: {outputs: hash}\n")
    provider.script = judging
    cli("eval", "write")
    assert {row["text"] for row in rows(project, "SELECT * FROM outcomes WHERE source = 'check'")} == {""}


def test_an_invariant_asks_the_version_again(cli: Cli, project: Repo, provider: Provider) -> None:
    check = "invariant: {input: id, values: [x, y]}"
    project.write(
        "prompts/write.yaml",
        WRITER.format(style="x").replace("judge: judges/quality\n    threshold: 4", check),
    )
    provider.script = text("always this")
    found = result(cli("eval", "write", "--json"))
    assert found["sides"][0]["overall"]["passed"] == 6
    assert len(provider.requests) == 18


def test_whether_a_judge_looks_at_what_is_expected(cli: Cli, project: Repo, provider: Provider) -> None:
    provider.script = judging
    project.write("prompts/write.cases.jsonl", jsonl({"id": "a", "inputs": {"id": "1"}, "expected": "x"}))
    assert set(result(cli("eval", "write", "--json"))["sides"][0]["by_check"]) == {"judge", "equals"}
    seeing = JUDGE.replace("output: string}", "output: string, expected: string}").replace(
        "{{ output }}", "{{ expected }} {{ output }}"
    )
    project.write("prompts/judges/quality.yaml", seeing)
    assert set(result(cli("eval", "write", "--json"))["sides"][0]["by_check"]) == {"judge"}


def test_a_case_brings_its_own_judge(cli: Cli, project: Repo, provider: Provider) -> None:
    provider.script = judging
    project.write(
        "prompts/write.yaml",
        WRITER.format(style="x").replace("judge: judges/quality\n    threshold: 4", "max_words: 9"),
    )
    own = {"judge": "judges/quality", "threshold": 3}
    project.write("prompts/write.cases.jsonl", jsonl({"id": "a", "inputs": {"id": "1"}, "checks": [own]}))
    side = result(cli("eval", "write", "--json"))["sides"][0]
    assert side["by_check"]["judge"]["passed"] == 1


def test_the_same_judge_asked_again_is_no_change(
    cli: Cli, project: Repo, provider: Provider, shared: Path
) -> None:
    """Recorded: 121 of 320 scores differ between runs of one judge on the same answers."""
    file = shared / "data/judge-noise/vicuna_eval.jsonl"
    scores = [json.loads(line)["scores"] for line in file.read_text("utf-8").splitlines()]
    project.write(
        "prompts/write.cases.jsonl",
        jsonl(*({"id": f"c{n}", "inputs": {"id": f"{n}"}} for n in range(len(scores)))),
    )
    project.commit("Many cases")

    def recorded(request: Received) -> Answer:
        content = said(request)
        if not content.startswith("Judge: "):
            return text(content)
        _, style, number = content.split()
        return text(json.dumps({"score": int(scores[int(number)][style == "second"])}))

    provider.script = recorded
    found = result(cli("eval", "write@HEAD", "--against", "write@HEAD~2", "--json", "-j", "8"))
    compared = found["comparison"]
    assert compared["whole"]["broke"] + compared["whole"]["fixed"] > 5
    assert compared["verdict"] in ("undecided", "not worse")
    assert compared["worse_slices"] == []
    (score,) = compared["scores"]
    assert score["low"] < 0 < score["high"]
    assert min(score["p"], compared["whole"]["p"]) > 0.05


def test_a_judge_that_cannot_be_reached(cli: Cli, project: Repo, provider: Provider) -> None:
    provider.script = lambda request: status(500) if said(request).startswith("Judge") else judging(request)
    done = cli("eval", "write", "--retries", "0", "--json")
    side = result(done)["sides"][0]
    assert (done.code, side["errors"], side["judge_failures"]) == (1, 6, 6)


def test_vectors_are_asked_for(cli: Cli, project: Repo, provider: Provider) -> None:
    def answer(request: Received) -> Answer:
        if request.path.endswith("/embeddings"):
            vectors = [{"index": at, "embedding": [1.0, 0.0]} for at, _ in enumerate(request.body["input"])]
            return as_json({"data": vectors})
        return text("a dog")

    provider.script = answer
    check = "similarity: {to: a hound, by: embedding}"
    written = WRITER.format(style="x").replace("judge: judges/quality\n    threshold: 4", check)
    project.write("prompts/write.yaml", written)
    side = result(cli("eval", "write", "--json"))["sides"][0]
    assert (side["overall"]["passed"], side["scores"]) == (6, {"similarity": 1.0})

"""Answers that nobody has measured are marked, and are no evidence of anything."""

import pytest

from support.front_door import GREET, Cli, Repo
from support.greet_releases import QUICK, go_live, ok, runs
from support.provider import Provider

PARAMETERS = [
    "mock_response: Hello",
    "mock_tool_calls: []",
    "Mock_Delay: 0.1",
    "caching: true",
    "extra_body: {mock_response: Hello}",
]


def made_up(repo: Repo, parameter: str, more: str = "") -> None:
    text = GREET.replace("max_tokens: 64}", f"max_tokens: 64, {parameter}}}")
    assert text != GREET
    repo.write("prompts/greet.yaml", text + more)
    repo.commit("Make answers up")


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_such_a_version_is_not_released(cli: Cli, repo: Repo, parameter: str) -> None:
    go_live(cli, repo)
    made_up(repo, parameter)
    for verb in (("canary", "greet@HEAD", *QUICK), ("promote", "greet@HEAD", "--yes")):
        done = cli(*verb)
        assert (done.code, "answers are made up" in done.err) == (4, True)


def test_a_run_is_marked(cli: Cli, repo: Repo, provider: Provider) -> None:
    made_up(repo, PARAMETERS[0])
    cli("run", "greet", "-i", "name=Ada")
    assert [row["excluded"] for row in runs(repo)] in ([], ["mock"])  # or it is refused outright


def test_an_eval_does_not_count_it(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}, "checks": [{"contains": "Ada"}]}\n')
    made_up(repo, PARAMETERS[0], "cases: greet.cases.jsonl\n")
    done = cli("eval", "greet")
    assert done.code == 4, done.out
    assert "mock_response" in done.err


def test_a_run_that_was_measured_is_not_marked(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/greet.yaml", GREET)
    repo.commit("Greet")
    ok(cli("run", "greet", "-i", "name=Ada"))
    assert [row["excluded"] for row in runs(repo)] == [None]

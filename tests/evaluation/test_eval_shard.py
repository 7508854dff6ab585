"""A golden set answered in parts by several processes, and judged once."""

import json

import pytest

from support.batch_files import rows
from support.front_door import Cli, Repo
from support.golden_set import animals, asked, many, result, says
from support.provider import Provider

CASES = 40
COMPARED = ("eval", "sound@HEAD", "--against", "sound@HEAD~1")


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    """Two versions, and forty cases of which the second fails a fifth."""
    animals(repo)
    many(repo, CASES)
    animals_of = repo.path / "prompts/sound.cases.jsonl"
    cases = animals_of.read_text()
    animals(repo, "plainly", "loudly")
    repo.write("prompts/sound.cases.jsonl", cases)
    repo.commit("Forty cases")
    provider.script = says(lambda style, animal: style == "loudly" and int(animal) % 5 == 0)
    return repo


def test_the_verdict_is_that_of_one_eval(cli: Cli, farm: Repo, provider: Provider) -> None:
    for number in (1, 2, 3):
        done = cli("eval", "sound@HEAD", "--against", "sound@HEAD~2", "--shard", f"{number}/3", "--json")
        assert done.code == 0, done.err  # cases that fail are told of by the whole
        found = result(done)
        assert (found["cases_total"], found["stopped"]) == (CASES, "shard")
        assert found["cases_run"] == (14 if number == 1 else 13)
    assert len(provider.requests) == len({asked(request) for request in provider.requests}) == 2 * CASES
    whole = result(cli("eval", "sound@HEAD", "--against", "sound@HEAD~2", "--max-cost", "0", "--json"))
    assert len(provider.requests) == 2 * CASES
    again = result(cli("eval", "sound@HEAD", "--against", "sound@HEAD~2", "--refresh", "--json"))
    assert len(provider.requests) == 4 * CASES
    assert whole["comparison"]["whole"] == again["comparison"]["whole"]
    assert whole["comparison"]["verdict"] == again["comparison"]["verdict"]
    assert (whole["cases_run"], whole["stopped"]) == (CASES, None)


def test_a_shard_is_no_eval_that_came_to_its_end(cli: Cli, farm: Repo) -> None:
    done = cli("eval", "sound@HEAD", "--shard", "2/4")
    assert done.code == 0
    assert "10 of 40 cases" in done.out
    assert "one shard of the cases: the same command without --shard judges all of them" in done.out
    (kept,) = rows(farm, "SELECT * FROM evals")
    assert kept["finished_at"] is None
    assert json.loads(cli("list", "--json").out)[0]["latest_eval"] is None


@pytest.mark.parametrize(
    "asked_for",
    [
        ("--fail-under", "0.9"),
        (*COMPARED[2:], "--no-worse-than", "0.1"),
        (*COMPARED[2:], "--sequential"),
        ("--plan", "sound"),
        ("--no-cache",),
    ],
)
def test_what_is_asked_of_all_cases_is_not_asked_of_some(
    asked_for: tuple[str, ...], cli: Cli, farm: Repo, provider: Provider
) -> None:
    refused = cli("eval", "sound@HEAD", *asked_for, "--shard", "1/2")
    assert refused.code == 2
    assert "--shard 1/2" in refused.err
    assert not provider.requests


def test_more_shards_than_cases(cli: Cli, farm: Repo) -> None:
    refused = cli("eval", "sound@HEAD", "--shard", "41/50")
    assert refused.code == 4
    assert "shard 41/50 has none of the 40 cases" in refused.err

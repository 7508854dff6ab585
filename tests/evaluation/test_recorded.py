"""``promptops eval`` on recorded answers: known changes come out with their known counts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.replay_server import replay

PROMPT = """\
model: openai/{version}
parameters: {{temperature: 0, max_tokens: 500}}
inputs: {{question: string}}
messages: [{{role: user, content: "{{{{ question }}}}"}}]
checks: [{{python: "grading:correct"}}]
cases: solve.cases.jsonl
"""

GRADING = """\
def correct(output, expected):
    said = output.split("the answer is ")[-1].strip()
    return said == expected or said == f"{expected}."
"""


def recorded(shared: Path) -> list[dict[str, Any]]:
    file = shared / "data/bbh-prompt-change/pairs.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture
def provider_url(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with replay(shared, "bbh-prompt-change/pairs.jsonl") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield


@pytest.fixture
def bbh(repo: Repo, shared: Path, provider_url: None) -> Repo:
    """Five tasks of BIG-Bench Hard: HEAD~1 answers directly, HEAD thinks first."""
    cases = [
        {
            "id": each["id"],
            "inputs": {"question": each["prompt"]},
            "expected": each["expected"],
            "tags": [each["task"]],
        }
        for each in recorded(shared)
    ]
    repo.write("prompts/solve.cases.jsonl", "\n".join(map(json.dumps, cases)) + "\n")
    repo.write("grading.py", GRADING)
    for version in ("direct", "cot"):
        repo.write("prompts/solve.yaml", PROMPT.format(version=version))
        repo.commit(f"Answer by {version}")
    return repo


@pytest.mark.thorough
def test_a_recorded_prompt_change_comes_out_as_it_is_known(cli: Cli, bbh: Repo, shared: Path) -> None:
    versions = ("solve@HEAD", "--against", "solve@HEAD~1")
    done = cli("eval", *versions, "--json", "-j", "4")
    found = json.loads(done.out)
    known = json.loads((shared / "data/bbh-prompt-change/truth.json").read_text("utf-8"))
    control, candidate = found["sides"]
    compared = found["comparison"]
    assert 100 * compared["whole"]["difference"] == pytest.approx(12.5, abs=0.05)
    assert compared["verdict"] == "better"
    for each in compared["tags"]:
        truth = known[each["name"]]
        assert [each[key] for key in ("pairs", "broke", "fixed")] == [
            truth[key] for key in ("n", "broke", "fixed")
        ]
        assert each["p"] == pytest.approx(truth["mcnemar_exact_p"], rel=0.006)
        assert each["difference"] == pytest.approx(truth["diff"], abs=6e-5)
        assert each["p_adjusted"] >= each["p"]
        for side, key in ((control, "baseline_acc"), (candidate, "candidate_acc")):
            assert side["by_tag"][each["name"]]["rate"] == pytest.approx(truth[key], abs=6e-5)
    assert len(compared["tags"]) == len(known)
    assert compared["worse_slices"] == []  # two of five have p 0.047 and 0.0498, as chance brings
    assert len(compared["broke"]) == 100
    assert "of 135 cases that broke the worst 100 are listed" in found["notes"]
    assert (found["unlisted"], len(found["cases"][0])) == (115, 1000)
    _the_same_from_the_cache(cli, versions)


def _the_same_from_the_cache(cli: Cli, versions: tuple[str, ...]) -> None:
    done = cli("eval", *versions, "--no-worse-than", "0.03")
    assert done.code == 0
    assert "2,230 answers came from the cache" in done.out
    assert "worse on" not in done.out  # as the slices are five
    done = cli("eval", *versions, "--sequential", "--json")
    found = json.loads(done.out)
    assert (found["stopped"], found["comparison"]["verdict"]) == ("verdict", "better")
    assert found["cases_run"] < 600

"""The answers of an eval are read back from the log as the eval itself told them."""

import json
from typing import Any

import pytest

from promptops.errors import NotFound
from promptops.evaluation import stored_answers
from promptops.evaluation.stored_answers import StoredAnswers, read_stored_answers
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.golden_set import animals, result, says
from support.provider import Provider, status


def read_back(repo: Repo, eval_id: str) -> StoredAnswers:
    with RegistryDatabase.open_existing(repo.registry) as registry:
        return read_stored_answers(registry, eval_id)


def shown(case: Any) -> tuple[Any, ...]:
    """What an eval tells of a case and the log holds as well."""
    trials = [
        (each["run_id"], each["output"], each["passed"], each["error"], tuple(each["failed"]))
        for each in case["trials"]
    ]
    return case["case_id"], case["inputs"], case["passed"], case["flaky"], trials


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    provider.script = says(lambda _, animal: animal == "pig")
    return animals(repo, "plainly")


def test_two_versions_and_several_trials(cli: Cli, farm: Repo, provider: Provider) -> None:
    cli("eval", "sound", "--trials", "2")
    provider.script = says(lambda _, animal: animal in ("cow", "dog"))
    told = result(cli("eval", "sound", "--against", "sound@HEAD", "--trials", "2", "--refresh", "--json"))
    found = read_back(farm, told["eval_id"])
    assert [side.arm for side in found.sides] == ["control", "candidate"]
    assert [side.label for side in found.sides] == ["sound@HEAD", "sound"]
    for place in range(2):
        cases = {each["case_id"]: shown(each) for each in told["cases"][place]}
        back = {
            case[place].case_id: shown(json.loads(json.dumps(as_json(case[place])))) for case in found.cases
        }
        assert back == cases


def as_json(case: Any) -> dict[str, Any]:
    names = ("run_id", "output", "passed", "error", "failed")
    trials = [{name: getattr(trial, name) for name in names} for trial in case.trials]
    return {
        "case_id": case.case_id,
        "inputs": dict(case.inputs),
        "passed": case.passed,
        "flaky": case.flaky,
        "trials": trials,
    }


def test_models_and_settings_are_sides_of_their_own(cli: Cli, farm: Repo, provider: Provider) -> None:
    settings = ("--set", "parameters.temperature=0.1", "--set", "parameters.temperature=0.9")
    told = result(cli("eval", "sound", *settings, "--json"))
    found = read_back(farm, told["eval_id"])
    assert {side.label for side in found.sides} == {"sound temperature=0.1", "sound temperature=0.9"}
    assert len(found.cases) == 6


def test_a_failed_call_is_told_with_its_error(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = lambda _: status(400, "no")
    done = cli("eval", "sound", "--retries", "0")
    assert done.code == 4
    (eval_id,) = {row["eval_id"] for row in json.loads(cli("runs", "list", "--kind", "eval", "--json").out)}
    found = read_back(farm, eval_id)
    (trial,) = found.cases[0][0].trials
    assert (trial.passed, trial.output) == (False, None)
    assert trial.error
    assert trial.failed[0].startswith(f"{trial.error}: ")


def test_no_more_cases_are_read_than_are_held(
    cli: Cli, farm: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = result(cli("eval", "sound", "--json"))
    monkeypatch.setattr(stored_answers, "MAX_STORED_CASES", 4)
    found = read_back(farm, told["eval_id"])
    assert (len(found.cases), found.left_out) == (4, 2)


def test_an_eval_that_is_not_in_the_log(cli: Cli, farm: Repo, provider: Provider) -> None:
    cli("eval", "sound")
    with pytest.raises(NotFound, match="holds no answers of eval 01NONE"):
        read_back(farm, "01NONE")

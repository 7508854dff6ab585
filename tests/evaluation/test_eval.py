"""``promptops eval``: a golden set, a model, rates with intervals, rows in the registry."""

import json
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from support.batch_files import rows
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.golden_set import ANIMALS, animals, asked, case, jsonl, many, result, says
from support.provider import Answer, Provider, Received, echo, slow, status, text


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    provider.script = says(lambda _, animal: animal == "pig")
    return animals(repo, "plainly")


def test_one_version_is_told_with_rates_and_everything_is_logged(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    done = cli("eval", "sound", "--json")
    assert done.code == 1
    assert "1 of 6 cases failed" in done.err
    found = result(done)
    (side,) = found["sides"]
    assert (side["overall"]["passed"], side["overall"]["counted"]) == (5, 6)
    assert 0.35 < side["overall"]["low"] < 5 / 6 < side["overall"]["high"] < 1
    assert {name: rate["passed"] for name, rate in side["by_check"].items()} == {"max_words": 6, "equals": 5}
    assert {name: rate["counted"] for name, rate in side["by_tag"].items()} == {"farm": 4, "home": 2}
    assert side["label"].startswith("sound")
    assert side["latency_p50_ms"] > 0
    assert side["cost_per_passed_usd"] > side["cost_per_case_usd"] > 0
    logged = rows(farm)
    assert len(logged) == len(provider.requests) == 6
    assert {row["kind"] for row in logged} == {"eval"}
    assert {row["eval_id"] for row in logged} == {found["eval_id"]}
    assert {row["case_id"] for row in logged} == {"cow", "pig", "sheep", "duck", "dog", "cat"}
    assert {row["trial"] for row in logged} == {0}
    (kept,) = rows(farm, "SELECT * FROM evals")
    assert (kept["eval_id"], kept["digest"]) == (found["eval_id"], side["digest"])
    assert json.loads(kept["counts"])["passed"] == 5
    failed = next(each for each in found["cases"][0] if not each["passed"])
    assert failed["trials"][0]["failed"] == ["equals: expected 'oink', got 'ring'"]


def test_history_and_list_show_the_latest_eval(cli: Cli, farm: Repo, provider: Provider) -> None:
    cli("eval", "sound")
    provider.script = says()
    cli("eval", "sound", "--refresh")
    (entry,) = json.loads(cli("history", "sound", "--json").out)
    assert (entry["figures"]["eval_rate"], entry["figures"]["eval_cases"]) == (1.0, 6)
    assert entry["figures"]["runs"] == 0
    assert "100% of 6, " in cli("history", "sound").out
    (listed,) = json.loads(cli("list", "--json").out)
    assert listed["latest_eval"]["rate"] == 1.0
    assert "100% of 6, " in cli("list").out


def test_a_second_eval_asks_nothing_and_refresh_asks_again(cli: Cli, farm: Repo, provider: Provider) -> None:
    first = result(cli("eval", "sound", "--json"))["sides"][0]
    provider.requests.clear()
    again = result(cli("eval", "sound", "--json"))["sides"][0]
    assert (again["cache_hits"], len(provider.requests)) == (6, 0)
    assert again["spent_usd"] == 0
    assert {again[key] == first[key] for key in ("latency_p50_ms", "cost_usd", "overall")} == {True}
    cli("eval", "sound", "--no-cache")
    cli("eval", "sound", "--refresh")
    assert len(provider.requests) == 12


def test_trials_are_calls_of_their_own_and_show_what_is_flaky(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    seen: Counter[str] = Counter()

    def moody(request: Received) -> Answer:
        _, animal = asked(request)
        seen[animal] += 1
        return text("ring") if animal == "cow" and seen[animal] == 1 else says()(request)

    provider.script = moody
    done = cli("eval", "sound", "--trials", "3", "--json", "-j", "1")
    side = result(done)["sides"][0]
    assert (done.code, side["overall"]["passed"], side["flaky"]) == (0, 6, 1)
    assert set(seen.values()) == {3}
    cow = result(done)["cases"][0][0]
    assert ([each["passed"] for each in cow["trials"]], cow["flaky"]) == ([False, True, True], True)
    assert {row["trial"] for row in rows(farm)} == {0, 1, 2}
    provider.requests.clear()
    cli("eval", "sound", "--trials", "4")
    assert len(provider.requests) == 6


def test_a_control_is_held_to_the_same_cases_and_checks(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "tersely", "at length")
    long = "a very long answer indeed"

    def wordy(request: Received) -> Answer:
        style, animal = asked(request)
        return text(long) if style == "at length" and animal in ("cow", "duck") else says()(request)

    provider.script = wordy
    repo.write("prompts/sound.yaml", ANIMALS.format(style="tersely").replace("max_words: 3", "max_words: 9"))
    repo.commit("Allow more")
    found = result(cli("eval", "sound@HEAD~1", "--against", "sound", "--json"))
    control, candidate = found["sides"]
    assert control["by_check"]["max_words"]["passed"] == 6
    assert candidate["by_check"]["max_words"]["passed"] == 4
    compared = found["comparison"]
    assert (compared["whole"]["broke"], compared["whole"]["fixed"]) == (2, 0)
    assert compared["whole"]["difference"] == pytest.approx(-2 / 6)
    assert compared["verdict"] == "undecided"
    assert {flip["case_id"] for flip in compared["broke"]} == {"cow", "duck"}
    assert compared["broke"][0]["control"]["output"] == "moo"
    assert compared["broke"][0]["candidate"]["output"] == long
    assert any("tersely" in line or "messages" in line for line in found["changed"])
    assert {row["arm"] for row in rows(repo)} == {"control", "candidate"}
    assert len(rows(repo, "SELECT * FROM evals")) == 2


def test_a_side_that_does_not_accept_a_cases_inputs_fails_it_by_name(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = says()
    animals(repo, "plainly")
    new = ANIMALS.format(style="plainly").replace("animal: string", "animal: string, mood: {default: calm}")
    repo.write("prompts/sound.yaml", new)
    repo.write(
        "prompts/sound.cases.jsonl",
        jsonl(case("cow"), {**case("dog"), "inputs": {"animal": "dog", "mood": "angry"}}),
    )
    done = cli("eval", "sound", "--against", "sound@HEAD", "--json")
    found = result(done)
    assert [side["overall"]["passed"] for side in found["sides"]] == [1, 2]
    assert found["sides"][0]["errors"] == 1
    trial = found["cases"][0][1]["trials"][0]
    assert (trial["error"], trial["failed"]) == ("invalid_input", ["unknown input `mood` of `sound`"])
    assert any("does not accept the inputs of 1 case" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "sound.cases.jsonl:731: not JSON"),
        ('{"inputs": {}}', "sound.cases.jsonl:731: the input `animal` is missing"),
        (
            '{"inputs": {"animal": "x"}, "checks": [{"contians": "x"}]}',
            "no such check: contians (did you mean",
        ),
        (
            '{"inputs": {"animal": "x"}, "checks": [{"contains": "x", "name": []}]}',
            "sound.cases.jsonl:731: `checks[0].name` must be a string",
        ),
        (
            '{"inputs": {"animal": "x"}, "checks": [{"contains": "x", "weight": "1"}]}',
            "sound.cases.jsonl:731: `checks[0].weight` must be a number",
        ),
        ('{"inputs": {"animal": "x"}, "checks": [7]}', "sound.cases.jsonl:731: a check is a name"),
        ('{"inputs": {"animal": "x"}, "checks": [{"regex": "("}]}', "sound.cases.jsonl:731: the check regex"),
    ],
)
def test_a_bad_case_is_found_before_anything_is_run(
    line: str, message: str, cli: Cli, farm: Repo, provider: Provider
) -> None:
    many(farm, 900)
    lines = (farm.path / "prompts/sound.cases.jsonl").read_text().splitlines()
    lines[730] = line
    farm.write("prompts/sound.cases.jsonl", "\n".join(lines))
    done = cli("eval", "sound")
    assert (done.code, message in done.err) == (4, True), done.err
    assert not provider.requests


def test_nothing_to_evaluate(cli: Cli, farm: Repo, provider: Provider) -> None:
    done = cli("eval", "sound", "--tag", "sea")
    assert (done.code, "no cases to evaluate" in done.err) == (4, True)
    farm.write("prompts/sound.yaml", ANIMALS.format(style="x").replace("cases: sound.cases.jsonl\n", ""))
    done = cli("eval", "sound")
    assert (done.code, "sound has no cases" in done.err) == (4, True)
    assert "name its cases in prompts/sound.yaml: `cases: sound.cases.jsonl`" in done.err
    done = cli("eval", "sound", "--cases", "nowhere.jsonl")
    assert (done.code, "cannot read nowhere.jsonl" in done.err) == (4, True)


def test_cases_of_a_file_and_of_a_tag(cli: Cli, farm: Repo, provider: Provider) -> None:
    assert result(cli("eval", "sound", "--tag", "home", "--json"))["cases_total"] == 2
    farm.write("more.csv", "animal,expected\ndog,woof\n")
    found = result(cli("eval", "sound", "--cases", "more.csv", "--json"))
    assert (found["cases_total"], found["sides"][0]["overall"]["passed"]) == (1, 1)


def test_a_check_of_the_case_and_one_that_raises(cli: Cli, farm: Repo, provider: Provider) -> None:
    farm.write("broken.py", "def check(output):\n    raise RuntimeError('oh')\n")
    farm.write(
        "prompts/sound.cases.jsonl",
        jsonl(
            case("cow", checks=[{"contains": "o"}, {"max_words": 1}]),
            case("dog", checks=[{"python": "broken:check"}]),
            {"id": "any", "inputs": {"animal": "cat"}},
        ),
    )
    found = result(cli("eval", "sound", "--json"))
    side = found["sides"][0]
    assert (side["overall"]["passed"], side["errors"]) == (2, 1)
    assert set(side["by_check"]) == {"max_words", "contains", "max_words_2", "equals", "python"}
    dog = found["cases"][0][1]["trials"][0]
    assert (dog["error"], dog["failed"]) == ("check", ["python: RuntimeError: oh"])


def test_what_is_expected_is_compared_unless_a_check_looks_at_it(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    for check, found in (
        ('contains: "{{ expected }}"', {"contains"}),
        ("numeric", {"numeric"}),
        ("numeric: {tolerance: 1}", {"numeric"}),
        ("numeric: 7", {"numeric", "equals"}),
        ("similarity", {"similarity"}),
        ("similarity: {to: moo}", {"similarity", "equals"}),
        ('equals: "moo"', {"equals", "equals_2"}),
        ('contains_any: [a, "{{ expected }}"]', {"contains_any"}),
        ("contains_any: [a, b]", {"contains_any", "equals"}),
        ("json_path: {path: $.a, equals: '{{ expected }}'}", {"json_path"}),
        ("contains: '{{ animal }} is expected'", {"contains", "equals"}),
        ("contains: '{{ [animal, expected] | join }}'", {"contains"}),
        ("{contains: '{{ expected_by }}', name: by}", {"by", "equals"}),
        ("json_schema: {const: '{{ expected }}'}", {"json_schema", "equals"}),
    ):
        text_ = ANIMALS.format(style="x").replace("{max_words: 3}", check)
        text_ = text_.replace("{animal: string}", "{animal: string, expected_by: {type: string, default: o}}")
        farm.write("prompts/sound.yaml", text_)
        side = result(cli("eval", "sound", "--json"))["sides"][0]
        assert set(side["by_check"]) == found, check


def test_gates(cli: Cli, farm: Repo, provider: Provider) -> None:
    assert cli("eval", "sound", "--fail-under", "0.8").code == 0
    done = cli("eval", "sound", "--fail-under", "0.9")
    assert (done.code, "passes 83.3% of the cases, and --fail-under is 90.0%" in done.err) == (1, True)
    done = cli("eval", "sound", "--against", "sound@HEAD", "--no-worse-than", "0.03")
    assert (done.code, "undecided" in done.err) == (3, True)
    assert cli("eval", "sound", "--against", "sound@HEAD", "--no-worse-than", "0.9").code == 0
    done = cli("eval", "sound", "--no-worse-than", "0.1")
    assert (done.code, "--no-worse-than compares two versions" in done.err) == (4, True)
    done = cli("eval", "sound", "sound@HEAD", "--against", "sound")
    assert (done.code, "--against compares two versions, and 3 are named" in done.err) == (4, True)
    assert cli("eval", "sound", "--format", "pdf").code == 2


def test_a_change_for_the_worse_is_called_so(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "badly")
    many(repo, 60)
    provider.script = says(lambda style, animal: style == "badly" and int(animal) % 3 == 0)
    done = cli("eval", "sound", "--against", "sound@HEAD~1", "--no-worse-than", "0.05", "--verbose")
    assert done.code == 1
    assert "WORSE: sound" in done.out
    assert "fails checks at least" in done.err
    assert "McNemar p" in done.err
    done = cli("eval", "sound@HEAD~1", "--against", "sound", "--cases", "prompts/sound.cases.jsonl", "--json")
    assert (done.code, result(done)["comparison"]["verdict"]) == (0, "better")


def test_calls_are_made_only_until_the_verdict_is_in(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "badly")
    many(repo, 400)
    provider.script = says(lambda style, animal: style == "badly" and int(animal) % 2 == 0)
    arguments = ("eval", "sound", "--against", "sound@HEAD~1", "--sequential", "-j", "2")
    done = cli(*arguments, "--json", "--verbose")
    found = result(done)
    assert (done.code, found["stopped"], found["comparison"]["verdict"]) == (1, "verdict", "worse")
    assert found["comparison"]["e_values"]["worse"] >= 20
    assert 5 < found["cases_run"] < 60
    assert len(provider.requests) <= 2 * found["cases_run"] + 16
    assert "e-value worse" in done.err
    assert any("random order" in note for note in found["notes"])
    provider.requests.clear()
    assert 5 < result(cli(*arguments, "--json"))["cases_run"] < 60
    assert len(provider.requests) < 20
    provider.script = says()
    found = result(cli(*arguments, "--json", "--margin", "0.1", "--refresh"))
    assert (found["stopped"], found["comparison"]["verdict"]) == ("verdict", "not worse")
    done = cli("eval", "sound", "--sequential")
    assert (done.code, "--sequential compares two versions" in done.err) == (4, True)


def test_models_and_settings_stand_in_one_table(cli: Cli, farm: Repo, provider: Provider) -> None:
    def by_model(request: Received) -> Answer:
        weak = request.body["model"].startswith("gpt-4o-mini")
        return text("ring") if weak and asked(request)[1] != "cow" else says()(request)

    provider.script = by_model
    models = ("openai/gpt-4o-mini-2024-07-18", "openai/gpt-4o-2024-08-06")
    done = cli("eval", "sound", *(f"--model={model}" for model in models), "--json")
    found = result(done)
    assert (done.code, found["comparison"]) == (0, None)
    assert [side["label"] for side in found["sides"]] == list(models)
    assert [side["pareto"] for side in found["sides"]] == [True, True]
    assert found["sides"][0]["cost_per_case_usd"] < found["sides"][1]["cost_per_case_usd"]
    assert cli("eval", "sound", *(f"--model={model}" for model in models), "--fail-under", "0.9").code == 0
    sets = ("--set", "parameters.temperature=0.5", "--set", "parameters.temperature=1")
    found = result(cli("eval", "sound", *sets, "--set", "parameters.seed=7", "--json"))
    assert [side["label"] for side in found["sides"]] == ["temperature=0.5", "temperature=1"]
    assert provider.requests[-1].body["seed"] == 7
    found = result(cli("eval", "sound", "sound@HEAD", "--model", models[0], "--json"))
    assert found["sides"][0]["label"].startswith("sound")
    assert [side["model"] for side in found["sides"]] == [models[0]] * 2
    done = cli("eval", "sound", "--model", models[1], "--against", "sound", "--json")
    assert result(done)["sides"][1]["label"] == f"sound {models[1]}"


def test_budgets(cli: Cli, farm: Repo, provider: Provider) -> None:
    done = cli("eval", "sound", "--max-cost", "0.000001")
    assert (done.code, "nothing was called" in done.err) == (6, True)
    assert not provider.requests
    done = cli("eval", "sound", "--model", "openai/unknown", "--max-cost", "1")
    assert (done.code, "the price of openai/unknown is unknown" in done.err) == (4, True)
    done = cli("eval", "sound", "--model", "openai/unknown", "--max-cost", "1", "--assume-cost", "0.1")
    assert done.code == 1
    cheap = ("--sequential", "--against", "sound@HEAD", "--max-cost", "0.00003", "-j", "1", "--no-cache")
    done = cli("eval", "sound", *cheap, "--json")
    assert done.code == 6
    assert result(done)["stopped"] == "budget"
    assert 0 < result(done)["cases_run"] < 6
    assert rows(farm, "SELECT count(*) AS n FROM evals WHERE finished_at IS NULL")[0]["n"] == 2


def test_failed_calls_are_errors_of_their_cases(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = lambda request: status(500) if asked(request)[1] == "cow" else says()(request)
    done = cli("eval", "sound", "--retries", "0", "--json")
    side = result(done)["sides"][0]
    assert (done.code, side["errors"], side["overall"]["passed"]) == (1, 1, 5)
    provider.script = status(500)
    done = cli("eval", "sound", "--retries", "0", "--no-cache")
    assert (done.code, "every call failed" in done.err) == (5, True)
    provider.script = status(401)
    done = cli("eval", "sound", "--no-cache")
    assert (done.code, "call after call failed" in done.err) == (4, True)


def test_a_provider_that_goes_down_midway_and_the_same_command_later(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    many(farm, 200)
    left = iter(range(80))
    provider.script = lambda request: status(503) if next(left, None) is None else says()(request)
    done = cli("eval", "sound", "--retries", "0", "-j", "4", "--json")
    assert (done.code, result(done)["stopped"]) == (5, "failures")
    assert 80 <= result(done)["cases_run"] < 200
    provider.script = says()
    provider.requests.clear()
    done = cli("eval", "sound", "--json")
    assert (done.code, result(done)["stopped"], len(provider.requests)) == (0, None, 120)


def test_forms_and_files(cli: Cli, farm: Repo, provider: Provider) -> None:
    assert "83.3 %" in cli("eval", "sound").out
    suite = ET.fromstring(cli("eval", "sound", "--format", "junit").out)  # noqa: S314 - our own
    assert len(list(suite.iter("testcase"))) == 6
    done = cli("eval", "sound", "--against", "sound@HEAD", "--format", "html", "--out", "eval.html")
    assert (done.code, done.out, "written to eval.html" in done.err) == (1, "", True)
    assert (farm.path / "eval.html").read_text().lower().startswith("<!doctype html")
    assert "sound" in cli("eval", "sound", "--format", "markdown").out
    text = cli("eval", "sound", "--answers").out
    assert "answers to 6 cases" in text
    both = cli("eval", "sound", "--against", "sound@HEAD", "--answers").out
    assert "  ✓ control  ✓ candidate  the same answer\n" in both
    assert max(map(len, both.splitlines())) <= 80
    assert "✗" in text
    assert "✓" in text
    assert cli("eval", "sound", "--format", "csv").out.startswith("case,tags,")
    done = cli("eval", "sound", "--answers", "--json")
    assert (done.code, "--format html, csv and json hold every answer" in done.err) == (2, True)
    done = cli("eval", "sound", "--out", "no/such/folder.txt")
    assert (done.code, "cannot write no/such/folder.txt" in done.err) == (4, True)


def test_a_prompt_without_checks_says_that_all_pass(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = echo
    farm.write(
        "prompts/sound.yaml", ANIMALS.format(style="x").split("checks:")[0] + "cases: sound.cases.yaml\n"
    )
    farm.write("prompts/sound.cases.yaml", "- inputs: {animal: cow}\n")
    found = result(cli("eval", "sound", "--json"))
    assert found["notes"] == ["1 case without any check or expected answer: all pass"]


def test_a_control_without_a_schema_is_held_to_the_candidates(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    animals(repo, "plainly")
    checks = "- json_schema\noutput: {schema: {type: object, required: [sound]}}"
    repo.write("prompts/sound.yaml", ANIMALS.format(style="as JSON").replace("- {max_words: 3}", checks))
    repo.write("prompts/sound.cases.jsonl", jsonl({"id": "cow", "inputs": {"animal": "cow"}}))
    provider.script = lambda request: text('{"sound": "moo"}' if asked(request)[0] == "as JSON" else "moo")
    found = result(cli("eval", "sound", "--against", "sound@HEAD", "--json"))
    assert [side["by_check"]["json_schema"]["passed"] for side in found["sides"]] == [0, 1]


def test_diff_run_tells_what_changed_and_what_came_of_it(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "badly")
    provider.script = says(lambda style, animal: style == "badly" and animal in ("cow", "pig"))
    done = cli("diff", "sound@HEAD~1", "sound@HEAD", "--run")
    assert done.code == 0, done.err
    assert "messages" in done.out
    assert "broke 2" in done.out
    assert len(provider.requests) == 12
    (entry,) = json.loads(cli("diff", "sound@HEAD~1", "sound@HEAD", "--run", "--json").out)
    assert (entry["kinds"], entry["eval"]["comparison"]["whole"]["broke"]) == (["messages"], 2)
    assert "cow" in cli("diff", "sound@HEAD~1", "sound@HEAD", "--run", "--format", "markdown").out
    assert len(provider.requests) == 12
    repo.write("prompts/sound.yaml", ANIMALS.format(style="new").replace("cases: sound.cases.jsonl\n", ""))
    repo.write("prompts/other.yaml", ANIMALS.format(style="other"))
    repo.git("add", "-A")
    done = cli("diff", "--run", "--stat")
    assert "sound is not run: the new version has no golden set" in done.err
    assert "other is not run: it is not a prompt on both sides" in done.err
    provider.script = status(401)
    assert cli("diff", "sound@HEAD~1", "sound@HEAD", "--run").code == 0
    repo.write("prompts/sound.yaml", ANIMALS.format(style="newest"))
    assert cli("diff", "sound", "--run").code == 4


def test_a_gate_on_all_that_changed_within_one_budget(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "badly")
    provider.script = says(lambda style, animal: style == "badly" and animal in ("cow", "pig"))
    gate = ("diff", "HEAD~1..HEAD", "--run", "--stat", "--no-worse-than", "0.03")
    undecided = cli(*gate, "--format", "markdown")
    assert undecided.code == 3
    assert "sound: undecided: " in undecided.err
    repo.write("prompts/sound.yaml", ANIMALS.format(style="terribly"))
    repo.commit()
    spent = cli(*gate, "--max-cost", "0.0000001", "--format", "markdown")
    assert spent.code == 6
    assert "- `sound` is not evaluated: " in spent.out
    assert "above `--max-cost" in spent.out
    provider.script = says(lambda style, _: style == "terribly")
    worse = cli("diff", "HEAD~2..HEAD", *gate[2:], "--max-cost", "1")
    assert worse.code == 1
    assert "sound: " in worse.err
    repo.write("prompts/sound.yaml", ANIMALS.format(style="well"))
    repo.commit()
    assert cli("diff", "HEAD~3..HEAD", "--run", "--no-worse-than", "0.03").code == 0  # nothing changed
    refused = cli("diff", "--max-cost", "1")
    assert refused.code == 2
    assert "are for --run" in refused.err


def test_a_gate_is_not_passed_by_what_cannot_be_evaluated(cli: Cli, repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "better")
    other = ANIMALS.format(style="well").replace("sound.cases", "other.cases")
    repo.write("prompts/other.yaml", other)
    repo.write("prompts/other.cases.jsonl", jsonl(case("cow")))
    repo.commit()
    provider.script = says()
    gate = ("diff", "HEAD~1..HEAD", "--run", "--stat", "--no-worse-than", "0.9", "--format")
    assert cli(*gate, "markdown").code == 0  # a prompt that is new is worse than nothing
    repo.write("prompts/other.yaml", other.replace("well", "worse").replace("cases: other.cases.jsonl\n", ""))
    repo.write("prompts/sound.yaml", ANIMALS.format(style="best"))
    repo.commit()
    bare = cli(*gate, "markdown")
    assert bare.code == 3
    assert "- `other` is not evaluated: the new version has no golden set" in bare.out
    assert "- **not shown**: " in bare.out
    assert "#### `sound`" in bare.out
    repo.write("prompts/other.yaml", "model: [")
    repo.commit()
    assert cli(*gate, "json").code == 3
    (repo.path / "prompts/other.yaml").unlink()
    repo.commit()
    gone = cli(*gate, "json")
    assert gone.code == 0
    assert [entry["eval_problem"] for entry in json.loads(gone.out)] == ["it is not a prompt on both sides"]


def test_what_ends_one_eval_is_in_the_comment_with_what_came_before(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    animals(repo, "well")
    for name in ("a", "b"):
        repo.write(f"prompts/{name}.yaml", ANIMALS.format(style=name))
    repo.commit()
    for name in ("a", "b", "sound"):
        repo.write(f"prompts/{name}.yaml", ANIMALS.format(style=f"{name} again"))
    repo.commit()
    provider.script = lambda request: (
        status(401) if re.search(rb'"b( again)?"', request.raw) else says()(request)
    )
    gate = ("diff", "HEAD~1..HEAD", "--run", "--stat", "--no-worse-than", "0.9", "--format")
    done = cli(*gate, "markdown")
    assert done.code == 4
    assert "- `b` is not evaluated to its end: " in done.out
    assert "- `sound` is not evaluated: the evals ended before it" in done.out
    entries = json.loads(cli(*gate, "json").out)
    assert [entry["eval_problem"] is None for entry in entries] == [True, False, False]


def test_ctrl_c_finishes_what_is_under_way_and_goes_on_later(
    farm: Repo, provider: Provider, cli: Cli
) -> None:
    many(farm, 60)

    def interrupting(request: Received) -> Answer:
        if asked(request)[1] == "20":
            child.send_signal(signal.SIGINT)
        return slow(0.02, says()(request))

    provider.script = interrupting
    command = [sys.executable, "-m", "promptops", "eval", "sound", "-j", "4", "--json"]
    with ForkedPopen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, json.loads(out)["stopped"]) == (130, "interrupted"), err
    assert "the same command goes on from here" in err
    assert 20 <= json.loads(out)["cases_run"] < 60
    provider.script = says()
    made = len(provider.requests)
    assert result(cli("eval", "sound", "--json"))["stopped"] is None
    assert len(provider.requests) == 60
    assert made < 60


def test_two_evals_at_once_on_one_registry(farm: Repo, provider: Provider) -> None:
    many(farm, 40)
    command = [sys.executable, "-m", "promptops", "eval", "sound", "--json"]
    children = [ForkedPopen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(2)]
    found = [json.loads(child.communicate(timeout=60)[0]) for child in children]
    assert [each["sides"][0]["overall"]["passed"] for each in found] == [40, 40]
    assert rows(farm, "SELECT count(*) AS n FROM runs WHERE kind = 'eval'")[0]["n"] == 80
    assert rows(farm, "SELECT count(*) AS n FROM evals")[0]["n"] == 2


def test_checks_of_different_weights_add_up_to_a_score(cli: Cli, farm: Repo, provider: Provider) -> None:
    prompt = (farm.path / "prompts/sound.yaml").read_text(encoding="utf-8")
    assert "weighted checks" not in result(cli("eval", "sound", "--json"))["sides"][0]["scores"]
    heavy = prompt.replace(
        "  - {max_words: 3}\n", '  - {max_words: 3}\n  - {equals: "{{ expected }}", weight: 3}\n'
    )
    farm.write("prompts/sound.yaml", heavy.replace("plainly", "loudly"))
    provider.script = says(lambda style, animal: animal == "pig" or (style == "loudly" and animal == "dog"))
    done = cli("eval", "sound", "--against", "sound@HEAD", "--json")
    control, candidate = result(done)["sides"]
    assert control["scores"]["weighted checks"] == pytest.approx((5 + 1 / 4) / 6)
    assert candidate["scores"]["weighted checks"] == pytest.approx((4 + 2 / 4) / 6)
    differences = {each["name"]: each["difference"] for each in result(done)["comparison"]["scores"]}
    assert differences["weighted checks"] == pytest.approx(-0.125)

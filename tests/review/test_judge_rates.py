"""Judges held against what reviewers said."""

import json

import pytest

from promptops.config.settings import current_settings
from promptops.registry import RegistryDatabase, claim_item, runs_by_seq
from promptops.review.labels import label_item
from promptops.review.queue import QueueRequest, start_queue
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end
from support.provider import Answer, Provider, Received, text
from support.reviews import ADA, a_label

SCORE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {name: string, output: string}
messages: [{role: user, content: "{{ name }}: {{ output }}"}]
output:
  schema:
    type: object
    properties: {score: {type: integer, minimum: 1, maximum: 5}}
    required: [score]
"""
CHOICE = SCORE.replace("score: {type: integer, minimum: 1, maximum: 5}", "choice: {enum: [good, bad]}")


@pytest.fixture
def reviewed(greeting: Repo) -> Repo:
    """Ten answers: reviewers passed the first six, and failed the others."""
    greeting.write("prompts/score.yaml", SCORE)
    greeting.write("prompts/choice.yaml", CHOICE.replace("[score]", "[choice]"))
    settings = current_settings()
    with RegistryDatabase.open(settings.registry) as registry:
        registry.record(
            [
                (a_run(prompt="greet", inputs={"name": f"N{n}"}), an_end(output=f"Hello {n}"))
                for n in range(10)
            ]
        )
        queue = start_queue(registry, settings, QueueRequest(target="greet", by=ADA)).id
        while item := claim_item(registry, queue, ADA):
            (run,) = runs_by_seq(registry, [item.seq])
            passed = int(run["output"].rpartition(" ")[2]) < 6
            label_item(registry, item.id, a_label(passed=passed), settings.log)
    return greeting


def number_in(received: Received) -> int:
    return int(received.body["messages"][0]["content"].rpartition(" ")[2])


def test_rates_of_a_judge_that_scores(reviewed: Repo, cli: Cli, provider: Provider) -> None:
    def judge(received: Received) -> Answer:  # passes 0 to 4 and 9
        return text(json.dumps({"score": 4 if number_in(received) in {0, 1, 2, 3, 4, 9} else 2}))

    provider.script = judge
    done = cli("judge", "calibrate", "score", "--reviewed", "greet", "--votes", "1", "--json")
    rates = json.loads(done.out)
    assert (rates["items"], rates["judged"], rates["passes"]) == (10, 10, "3 or more")
    assert (rates["true_positive"]["value"], rates["true_positive"]["count"]) == (pytest.approx(5 / 6), 6)
    assert (rates["true_negative"]["value"], rates["true_negative"]["count"]) == (0.75, 4)
    assert 0.5 < rates["kappa"]["value"] < 0.7
    shown = cli("judge", "calibrate", "score", "--reviewed", "greet", "--votes", "1").out
    assert "fails what people failed" in shown


def test_rates_of_a_judge_that_chooses(reviewed: Repo, cli: Cli, provider: Provider) -> None:
    provider.script = text('{"choice": "good"}')
    asked = ("judge", "calibrate", "choice", "--reviewed", "greet", "--votes", "1")
    rates = json.loads(cli(*asked, "--pass", "good", "--json").out)
    assert (rates["true_positive"]["value"], rates["true_negative"]["value"]) == (1.0, 0.0)
    assert "--pass CHOICE, of good, bad" in cli(*asked).err
    assert cli(*asked, "--pass", "fine").code == 4


def test_labels_come_from_one_place(reviewed: Repo, cli: Cli, provider: Provider) -> None:
    for wrong in ([], ["--reviewed", "greet", "--labels", "x"], ["--labels", "x", "--pass", "good"]):
        done = cli("judge", "calibrate", "score", *wrong)
        assert (done.code, "--labels FILE, or --reviewed NAME" in done.err) == (4, True)
    assert "promptops review start other" in cli("judge", "calibrate", "score", "--reviewed", "other").err

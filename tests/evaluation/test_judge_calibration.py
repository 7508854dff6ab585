"""Judges held against people and against themselves, on recorded ratings."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import Any

import krippendorff
import numpy as np
import pytest
import scipy

from promptops.checks import GraderCall, GraderReply
from promptops.checks.judge import Judge, judge_from_prompt
from promptops.errors import Invalid
from promptops.evaluation.judge_calibration import JudgedItem, calibrate, judge_items, read_labels
from promptops.prompt import Prompt
from support.front_door import Cli, Repo
from support.prompt_files import load_text
from support.provider import Provider, Received, status, text

SOURCE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {output: string}
messages: [{role: user, content: "{{ output }}"}]
output:
  schema:
    type: object
    properties: {score: {type: integer, minimum: 1, maximum: 5}}
    required: [score]
"""
CHOICE = SOURCE.replace("score: {type: integer, minimum: 1, maximum: 5}", "choice: {enum: [good, bad]}")
CHOICE = CHOICE.replace("[score]", "[choice]")
PAIR = CHOICE.replace("{output: string}", "{a: string, b: string}").replace("[good, bad]", "[a, b, tie]")
PAIR = PAIR.replace("{{ output }}", "{{ a }} or {{ b }}")


def judge(source: str = SOURCE) -> Judge:
    return judge_from_prompt(load_text(source))


@dataclass
class Recorded:
    """Answers as they were recorded: by what is judged, one for each trial."""

    answers: dict[str, Sequence[str]]
    calls: list[GraderCall] = field(default_factory=list)

    def prompt(self, reference: str) -> Prompt:
        raise AssertionError(reference)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError(model, texts)

    async def ask(self, call: GraderCall) -> GraderReply:
        self.calls.append(call)
        return GraderReply(output=self.answers[call.inputs["output"]][call.trial])


def read_lines(file: Path) -> list[Any]:
    return [json.loads(each) for each in file.read_text(encoding="utf-8").splitlines()]


def test_a_recorded_judge_is_as_noisy_as_its_record_says(shared: Path) -> None:
    rows = read_lines(shared / "data/judge-noise/vicuna_eval.jsonl")
    replies = {row["id"]: [json.dumps({"score": score}) for score in row["scores"]] for row in rows}
    labels = [json.dumps({"inputs": {"output": row["id"]}, "label": 3}).encode() for row in rows]
    items = list(read_labels("l.jsonl", labels, judge()))
    found = asyncio.run(judge_items(judge(), "judge", items, Recorded(replies), votes=3, jobs=8))
    result = calibrate(found, judge().scale, votes=3)
    assert result.self_agreement is not None
    assert round(result.self_agreement.value * 320) == 320 - 121
    votes = np.array([row["scores"] for row in rows], dtype=float)
    assert result.self_alpha is not None
    wanted = krippendorff.alpha(votes.T, level_of_measurement="interval")
    assert result.self_alpha.value == pytest.approx(wanted)
    noise = float(np.sqrt(votes.var(axis=1, ddof=1).mean()))
    assert result.noise == pytest.approx(noise)
    factor = scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)
    assert result.detectable == pytest.approx(factor * noise * np.sqrt(2 / 320))
    first, second = votes[:, 0].mean(), votes[:, 1].mean()
    assert abs(first - second) < result.detectable  # the same judge twice is not a change


def test_people_who_judge_people_agree_as_much_as_people_do(shared: Path) -> None:
    rows = read_lines(shared / "data/sentiment-raters/tweets.jsonl")[:400]
    source = SOURCE.replace("minimum: 1, maximum: 5", "minimum: -4, maximum: 4")
    found = [JudgedItem(tuple(map(float, r["ratings"][1:20])), (float(r["ratings"][0]),)) for r in rows]
    result = calibrate(found, judge(source).scale, votes=1)
    people = [[float(v) for v in r["ratings"][1:20]] for r in rows]
    alpha = krippendorff.alpha(np.array(people).T, level_of_measurement="interval")
    assert result.people_alpha is not None
    assert result.people_alpha.value == pytest.approx(alpha)
    assert result.correlation is not None
    r = scipy.stats.pearsonr([r["ratings"][0] for r in rows], [np.mean(each) for each in people])
    assert result.correlation.value == pytest.approx(r.statistic)
    same = [median_low(each) == row["ratings"][0] for each, row in zip(people, rows, strict=True)]
    assert result.raw is not None
    assert result.raw.value == pytest.approx(np.mean(same))
    assert result.kappa is not None
    assert result.kappa.low < result.kappa.value < result.kappa.high
    assert (result.self_agreement, result.noise, result.detectable) == (None, None, None)


def test_raters_of_faithfulness_agree_moderately(shared: Path) -> None:
    rows = read_lines(shared / "data/faithfulness-raters/xsum-votes.jsonl")
    votes = [tuple(sorted(each["factual_votes"].items())) for each in rows]
    found = [
        JudgedItem(
            tuple("good" if said == "yes" else "bad" for _, said in each[1:]),
            (("bad", "good")[each[0][1] == "yes"],),
        )
        for each in votes
        if len(each) > 2
    ]
    result = calibrate(found, judge(CHOICE).scale, votes=1)
    assert result.kappa is not None
    assert result.people_alpha is not None
    assert 0.2 < result.kappa.value < result.kappa.high < 1
    assert result.correlation is None


def test_failures_are_a_figure_of_their_own() -> None:
    found = [
        JudgedItem((4.0,), (4.0,), ("rate_limit: busy", "rate_limit: busy")),
        JudgedItem((2.0,), (), ("outside 1 to 5",) * 3),
    ]
    result = calibrate(found, judge().scale, votes=3)
    assert (result.items, result.judged) == (2, 1)
    assert result.failure_rate.value == pytest.approx(5 / 6)
    assert dict(result.failures) == {"outside 1 to 5": 3, "rate_limit: busy": 2}
    assert result.raw is not None
    assert result.raw.value == 1
    assert result.kappa is None


def test_a_scale_without_steps_has_correlations_alone() -> None:
    source = SOURCE.replace(
        "{type: integer, minimum: 1, maximum: 5}", "{type: number, minimum: 0, maximum: 1}"
    )
    found = [JudgedItem((n / 10,), (n / 10 + 0.01,)) for n in range(9)]
    result = calibrate(found, judge(source).scale, votes=1)
    assert result.correlation is not None
    assert result.correlation.value == pytest.approx(1)
    assert (result.raw, result.kappa) == (None, None)


def test_mean_ratings_count_as_the_nearest_step() -> None:
    found = [JudgedItem((n + 0.4,), (float(n),)) for n in range(1, 6)]
    result = calibrate(found, judge().scale, votes=1)
    assert result.raw is not None
    assert result.raw.value == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "l.jsonl:2: not JSON"),
        ("[" * 100_000, "l.jsonl:2: not JSON"),
        (f'{{"inputs": {{"output": "x"}}, "label": {"9" * 400}}}', "l.jsonl:2: the label is 999"),
        ("[]", "l.jsonl:2: a labelled item is a mapping"),
        ('{"inputs": {"output": "x"}}', "l.jsonl:2: no label"),
        ('{"inputs": {"output": "x"}, "labels": []}', "l.jsonl:2: no label"),
        ('{"inputs": {"output": "x"}, "lable": 3}', "l.jsonl:2: unknown key `lable`"),
        ('{"inputs": {"output": "x"}, "label": 6}', "l.jsonl:2: the label is 6, outside 1, 2, 3, 4, 5"),
        ('{"inputs": {"output": "x"}, "label": "4"}', 'l.jsonl:2: the label is "4", outside'),
        ('{"inputs": {}, "label": 4}', "l.jsonl:2: the judge p needs the input `output`"),
    ],
)
def test_a_bad_label_is_named_with_its_line(line: str, message: str) -> None:
    good = '{"inputs": {"output": "x"}, "labels": [4, 4.5]}'
    with pytest.raises(Invalid) as caught:
        list(read_labels("l.jsonl", [good.encode(), line.encode()], judge()))
    assert message in caught.value.message


# through the command line


def project(repo: Repo, labels: Sequence[Any], source: str = SOURCE) -> None:
    repo.write("prompts/judge.yaml", source)
    repo.write("labels.jsonl", "".join(json.dumps(each) + "\n" for each in labels))
    repo.commit("A judge")


def scores(request: Received) -> Any:
    """Scores by the length of what is judged; now and then one that is none."""
    said = request.body["messages"][-1]["content"]
    return text("no idea" if said == "?" else json.dumps({"score": min(5, len(said))}))


def test_calibrate_shows_what_a_judge_is_worth(repo: Repo, cli: Cli, provider: Provider) -> None:
    provider.script = scores
    labels = [{"inputs": {"output": "x" * n}, "labels": [n, min(5, n + 1)]} for n in (1, 2, 3, 4, 5)]
    project(repo, [*labels, {"inputs": {"output": "?"}, "label": 1}])
    done = cli("judge", "calibrate", "judge", "--labels", "labels.jsonl", "--votes", "2")
    assert done.code == 0
    assert "judge on 6 items, 2 votes each; it answers 1, 2, 3, 4, 5" in done.out
    assert [row.split()[-4:] for row in done.out.splitlines() if row.startswith("no verdict")] == [
        ["0.047", "to", "0.448", "12"]
    ]
    assert "it can see a difference" not in done.out
    assert "its votes never differ" in done.err
    assert "2 × no verdict: invalid_output: not JSON" in done.err
    found = json.loads(cli("judge", "calibrate", "judge", "--labels", "labels.jsonl", "--json").out)
    assert (found["items"], found["judged"], found["votes"]) == (6, 5, 3)
    assert found["raw"] == {"value": 1.0, "low": pytest.approx(0.566, abs=1e-3), "high": 1.0, "count": 5}
    kinds = {run["kind"] for run in json.loads(cli("runs", "list", "--all", "--json").out)}
    assert kinds == {"judge"}


def test_a_judge_of_pairs_is_asked_in_both_orders(repo: Repo, cli: Cli, provider: Provider) -> None:
    def longer(request: Received) -> Any:
        a, b = request.body["messages"][-1]["content"].split(" or ")
        return text(json.dumps({"choice": "a" if len(a) >= len(b) else "b"}))

    provider.script = longer
    labels = [
        {"inputs": {"a": "long one", "b": "short"}, "label": "a"},
        {"inputs": {"a": "short", "b": "long one"}, "label": "B"},
        {"inputs": {"a": "equal", "b": "alike"}, "label": "tie"},
    ]
    project(repo, labels, PAIR)
    done = cli("judge", "calibrate", "judge", "--labels", "labels.jsonl", "--votes", "1", "--json")
    found = json.loads(done.out)
    assert len(provider.requests) == 6
    assert (found["raw"]["value"], found["kappa"]["value"]) == (1, 1)
    assert found["flipped"]["value"] == pytest.approx(1 / 3)
    project(repo, [{"inputs": {"a": "x", "b": "y"}, "label": "both"}], PAIR)
    assert "not one of a, b, tie" in cli("judge", "calibrate", "judge", "--labels", "labels.jsonl").err


def test_a_judge_of_choices_has_noise_in_shares(repo: Repo, cli: Cli, provider: Provider) -> None:
    turn = iter(["good", "good", "bad", "good"] * 10)
    provider.script = lambda _: text(json.dumps({"choice": next(turn)}))
    project(repo, [{"inputs": {"output": f"x{n}"}, "label": "good"} for n in range(8)], CHOICE)
    done = cli(
        "judge", "calibrate", "judge", "--labels", "labels.jsonl", "--votes", "2", "-j", "1", "--cases", "100"
    )
    assert "Over 100 cases it can see a difference of" in done.out
    assert "of the share of a choice" in done.out


@pytest.mark.parametrize(
    ("source", "labels", "script", "code_and_message"),
    [
        (SOURCE, [], None, (4, "labels.jsonl holds no labels")),
        (SOURCE.partition("output:\n")[0], [{"inputs": {}, "label": 1}], None, (4, "is not a judge")),
        (
            SOURCE,
            [{"inputs": {"output": "?"}, "label": 1}],
            status(400, "no"),
            (3, "no verdict at all: bad_request"),
        ),
    ],
)
def test_what_cannot_be_calibrated(
    repo: Repo,
    cli: Cli,
    provider: Provider,
    source: str,
    labels: Any,
    script: Any,
    code_and_message: tuple[int, str],
) -> None:
    project(repo, labels, source)
    provider.script = script or scores
    done = cli("judge", "calibrate", "judge", "--labels", "labels.jsonl")
    assert done.code == code_and_message[0]
    assert code_and_message[1] in done.err


def test_labels_that_cannot_be_read(repo: Repo, cli: Cli) -> None:
    project(repo, [])
    assert "cannot read gone.jsonl" in cli("judge", "calibrate", "judge", "--labels", "gone.jsonl").err

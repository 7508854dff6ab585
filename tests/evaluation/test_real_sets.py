"""Evals of real golden sets, with a model whose share of wrong answers is known to the case."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.front_door import Finished, Repo
from support.golden_set import jsonl, result
from support.provider import Answer, Provider, Received, text

pytestmark = pytest.mark.thorough
Example = dict[str, Any]
Process = Callable[..., Any]
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 100}}
inputs: {{{inputs}}}
messages:
  - {{role: system, content: "{system}"}}
  - {{role: user, content: "{user}"}}
checks: {checks}
cases: real.cases.jsonl
"""


def read(file: Path) -> list[Example]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def spoil(examples: Sequence[Example], seed: int, **shares: int) -> dict[str, str]:
    """So many examples of each way to be wrong, by id, drawn among those that are asked once."""
    times = Counter(question(each) for each in examples)
    chosen = [each["id"] for each in examples if times[question(each)] == 1]
    random.Random(seed).shuffle(chosen)
    ways = [way for way, count in shares.items() for _ in range(count)]
    return dict(zip(chosen, ways, strict=False))


def question(example: Example) -> str:
    """What the model is sent of an example."""
    if "context" in example:
        return f"{example['context']}\n\n{example['question']}"
    return (
        f"{example['input']} {json.dumps(example['requested'])}"
        if "requested" in example
        else example["input"]
    )


def answering(
    examples: Sequence[Example], wrong: Mapping[str, str], say: Callable[[Example, str], str]
) -> Callable[[Received], Answer]:
    by_length = sorted(examples, key=lambda each: len(each["expected"]))
    # a question with two truths is answered with the longer one, which holds the other
    answers = {question(each): text(say(each, wrong.get(each["id"], ""))) for each in by_length}
    return lambda request: answers[request.body["messages"][1]["content"]]


def evaluate(process: Process, repo: Repo, *options: str) -> dict[str, Any]:
    done = process(["eval", "real", "-j", "32", "--json", *options], cwd=repo.path)
    assert done.returncode in (0, 1), done.stderr
    return {**result(Finished(done.returncode, done.stdout, done.stderr)), "code": done.returncode}


def passed(rates: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    return {name: (rate["passed"], rate["counted"]) for name, rate in rates.items()}


def test_3080_utterances_of_77_intents(
    shared: Path, repo: Repo, provider: Provider, process: Process
) -> None:
    examples = read(shared / "data/intents/banking77-test.jsonl")
    labels = json.loads((shared / "data/intents/labels.json").read_text(encoding="utf-8"))
    assert (len(examples), len(labels)) == (3080, 77)
    checks = json.dumps([{"one_of": labels}, {"equals": "{{ expected }}"}])
    prompt = PROMPT.format(inputs="text: string", system="Name the intent.", user="{{ text }}", checks=checks)
    repo.write("prompts/real.yaml", prompt)
    cases = [
        {**each, "inputs": {"text": each["input"]}, "tags": [each["expected"], f"part {number % 3}"]}
        for number, each in enumerate(examples)
    ]
    keys = ("id", "inputs", "expected", "tags")
    repo.write("prompts/real.cases.jsonl", jsonl(*({key: case[key] for key in keys} for case in cases)))
    wrong = spoil(examples, 77, other=200, none=108)

    def say(example: Example, way: str) -> str:
        other = labels[(labels.index(example["expected"]) + 1) % 77]
        return str({"": example["expected"], "other": other, "none": "I cannot say."}[way])

    provider.script = answering(examples, wrong, say)
    found = evaluate(process, repo, "--fail-under", "0.9")
    (side,) = found["sides"]
    assert (found["code"], found["cases_run"], side["errors"]) == (0, 3080, 0)
    assert (side["overall"]["passed"], side["overall"]["rate"]) == (2772, 0.9)
    assert passed(side["by_check"]) == {"one_of": (2972, 3080), "equals": (2772, 3080)}
    right = Counter(tag for case in cases if case["id"] not in wrong for tag in case["tags"])
    counted = Counter(tag for case in cases for tag in case["tags"])
    assert passed(side["by_tag"]) == {tag: (right[tag], counted[tag]) for tag in counted}
    assert len(provider.requests) == 3080
    again = evaluate(process, repo, "--fail-under", "0.9001")
    assert (again["code"], again["sides"][0]["cache_hits"], len(provider.requests)) == (1, 3080, 3080)
    assert again["sides"][0]["overall"] == side["overall"]


SLOTS = ("people", "time", "date", "first_name", "last_name")
SCHEMA = {
    "type": "object",
    "properties": {slot: {"type": "string"} for slot in SLOTS},
    "additionalProperties": False,
}


def slots_said(example: Example, way: str) -> str:
    """The same object however it is laid out: a model keeps to no order of keys."""
    right = dict(reversed(example["expected"].items()))
    if way == "value":
        return json.dumps({**right, "people": "ninety-nine"})
    if way == "key":
        return json.dumps({**right, "mood": "hungry"})
    return "The slots are these." if way == "prose" else json.dumps(right, indent=2)


def test_1500_turns_of_a_dialogue_as_json_slots(
    shared: Path, repo: Repo, provider: Provider, process: Process
) -> None:
    examples = read(shared / "data/slots-json/restaurant8k-1500.jsonl")
    assert len(examples) == 1500
    checks = json.dumps([{"json_schema": SCHEMA}, {"json_path": {"path": "$", "equals": "{{ expected }}"}}])
    prompt = PROMPT.format(
        inputs="turn: string", system="Give the slots as JSON.", user="{{ turn }}", checks=checks
    )
    repo.write("prompts/real.yaml", prompt)
    cases = (
        {
            "id": each["id"],
            "inputs": {"turn": question(each)},
            "expected": each["expected"],
            "tags": [f"{len(each['expected'])} slots"],
        }
        for each in examples
    )
    repo.write("prompts/real.cases.jsonl", jsonl(*cases))
    wrong = spoil(examples, 8, value=150, key=75, prose=75)
    provider.script = answering(examples, wrong, slots_said)
    (side,) = evaluate(process, repo)["sides"]
    assert (side["overall"]["passed"], side["overall"]["rate"], side["errors"]) == (1200, 0.8, 0)
    assert passed(side["by_check"]) == {"json_schema": (1350, 1500), "json_path": (1200, 1500)}
    right = Counter(len(each["expected"]) for each in examples if each["id"] not in wrong)
    counted = Counter(len(each["expected"]) for each in examples)
    assert passed(side["by_tag"]) == {f"{n} slots": (right[n], counted[n]) for n in counted}


def test_578_questions_answered_from_a_passage(
    shared: Path, repo: Repo, provider: Provider, process: Process
) -> None:
    examples = read(shared / "data/grounding-qa/xquad-en.jsonl")
    assert len(examples) == 578
    checks = json.dumps([{"grounded": "context", "threshold": 1}, {"contains": "{{ expected }}"}])
    prompt = PROMPT.format(
        inputs="context: string, question: string",
        system="Answer in words of the passage.",
        user=r"{{ context }}\n\n{{ question }}",
        checks=checks,
    )
    repo.write("prompts/real.yaml", prompt)
    cases = (
        {
            "id": each["id"],
            "inputs": {"context": each["context"], "question": each["question"]},
            "expected": each["expected"],
        }
        for each in examples
    )
    repo.write("prompts/real.cases.jsonl", jsonl(*cases))
    wrong = spoil(examples, 5, elsewhere=40, invented=58, embroidered=60)

    def say(example: Example, way: str) -> str:
        words = example["context"].split()
        elsewhere = next(word for word in words if word.isalpha() and example["expected"] not in word)
        said = {
            "": example["expected"],
            "elsewhere": elsewhere,
            "invented": "Zanzibar, xylophonic 9999999",
            "embroidered": f"{example['expected']}, quothly Zanzibar",
        }
        return str(said[way])

    provider.script = answering(examples, wrong, say)
    (side,) = evaluate(process, repo)["sides"]
    assert (side["overall"]["passed"], side["overall"]["counted"], side["errors"]) == (420, 578, 0)
    assert side["overall"]["rate"] == 420 / 578
    assert passed(side["by_check"]) == {"grounded": (460, 578), "contains": (480, 578)}

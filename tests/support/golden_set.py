"""A small golden set for tests of evals, and a model that answers as told."""

import json
import re
from collections.abc import Callable
from typing import Any

from support.front_door import Finished, Repo
from support.provider import Answer, Received, text

ANIMALS = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 20}}
inputs: {{animal: string}}
messages:
  - {{role: system, content: "{style}"}}
  - {{role: user, content: "{{{{ animal }}}}"}}
checks:
  - {{max_words: 3}}
cases: sound.cases.jsonl
"""
WRITER = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 50}}
inputs: {{id: string}}
messages: [{{role: user, content: "{style} {{{{ id }}}}"}}]
checks:
  - judge: judges/quality
    threshold: 4
cases: write.cases.jsonl
"""
JUDGE = """\
model: openai/gpt-4o-2024-08-06
parameters: {temperature: 0, max_tokens: 50}
inputs: {output: string}
messages: [{role: user, content: "Judge: {{ output }}"}]
output:
  schema: {type: object, properties: {score: {type: integer, minimum: 1, maximum: 5}}, required: [score]}
"""
SOUNDS = {"cow": "moo", "dog": "woof", "cat": "meow", "duck": "quack", "pig": "oink", "sheep": "baa"}


def case(animal: str, *tags: str, **more: Any) -> dict[str, Any]:
    return {"id": animal, "inputs": {"animal": animal}, "expected": SOUNDS.get(animal), "tags": tags, **more}


def jsonl(*cases: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in cases)


def animals(repo: Repo, *styles: str) -> Repo:
    """A prompt ``sound`` with six cases; one commit for each style of its system message."""
    farm, home = ("cow", "pig", "sheep", "duck"), ("dog", "cat")
    repo.write(
        "prompts/sound.cases.jsonl",
        jsonl(*(case(each, "farm") for each in farm), *(case(each, "home") for each in home)),
    )
    for style in styles:
        repo.write("prompts/sound.yaml", ANIMALS.format(style=style))
        repo.commit(f"Say it {style}")
    return repo


def many(repo: Repo, count: int) -> None:
    """So many cases, each a number that is to be said as it is."""
    lines = [{"id": f"c{n}", "inputs": {"animal": str(n)}, "expected": f"n{n}"} for n in range(count)]
    repo.write("prompts/sound.cases.jsonl", jsonl(*lines))


def asked(request: Received) -> tuple[str, str]:
    """Style and animal of a request."""
    system, user = request.body["messages"][:2]
    return system["content"], user["content"]


def says(wrong: Callable[[str, str], bool] | None = None) -> Callable[[Received], Answer]:
    """Answers rightly unless (style, animal) is wrong; numbers are said as ``n7``."""

    def answer(request: Received) -> Answer:
        style, animal = asked(request)
        right = SOUNDS.get(animal) or re.sub(r"^(?=\d)", "n", animal)
        return text("ring" if wrong and wrong(style, animal) else right)

    return answer


def result(done: Finished) -> dict[str, Any]:
    assert done.out.startswith("{"), done.err
    found: dict[str, Any] = json.loads(done.out)
    return found

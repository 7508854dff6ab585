"""Prompt files in memory, for tests of what stands below git."""

import json
from collections.abc import Mapping
from typing import Any

from promptops.errors import NotFound
from promptops.prompt import FileReader, Prompt, load_prompt
from support.front_door import GREET

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16

TRIAGE = """\
description: Route a support ticket to one queue.
model: openai/gpt-4o-mini-2024-07-18   # pinned
parameters: {temperature: 0, max_tokens: 64, seed: 7}
inputs:
  ticket: {type: string, maxLength: 4000}
  language: {type: string, enum: [en, de], default: en}
  chat: {type: messages, default: []}
messages:
  - role: system
    content: |
      You route support tickets.
      {% include "partials/tone.j2" %}
  - insert: chat
  - role: user
    content: "{{ ticket }}"
fallback: [local/smollm2-135m-instruct]
output: {schema: schemas/triage.json, repair: 1}
max_input_tokens: 2000
checks:
  - json_schema
  - contains: refund
    name: mentions_refund
cases: triage.cases.jsonl
metadata: {owner: support}
"""

FILES: Mapping[str, str | bytes] = {
    "support/triage.yaml": TRIAGE,
    "partials/tone.j2": "Answer in {{ language }}.\n",
    "schemas/triage.json": """{
  "type": "object",
  "properties": {"queue": {"type": "string"}, "asap": {"type": "boolean"}}
}
""",
}

ASKING = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 64}
inputs: {question: string}
messages: [{role: user, content: "{{ question }}"}]
checks:
  - {contains: nothing-of-the-kind, name: contains}
  - {judge: judges/tone, name: tone, threshold: 5}
cases: ask.cases.jsonl
"""
"""Its answers are looked at by a check and by the judge below."""

TONE_JUDGE = """\
model: openai/gpt-4o-2024-08-06
parameters: {temperature: 0, max_tokens: 50}
inputs: {question: string, output: string}
messages: [{role: user, content: "{{ question }} {{ output }}"}]
output:
  schema:
    type: object
    properties: {score: {type: integer, minimum: 1, maximum: 5}, reason: {type: string}}
    required: [score]
"""


def reader(files: Mapping[str, str | bytes]) -> FileReader:
    def read(path: str) -> bytes:
        if path not in files:
            raise NotFound(f"no file {path}")
        data = files[path]
        return data if isinstance(data, bytes) else data.encode()

    return read


def load(files: Mapping[str, str | bytes] = FILES, name: str = "support/triage") -> Prompt:
    return load_prompt(name, reader(files))


def load_text(text: str | bytes, files: Mapping[str, str | bytes] = FILES) -> Prompt:
    """A prompt `p` from its text."""
    return load({**files, "p.yaml": text}, "p")


def minimal(content: str = "hi", **keys: Any) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **keys}
    return json.dumps(body)


def greet_prompt() -> Prompt:
    def read(path: str) -> bytes:
        if path != "greet.yaml":
            raise NotFound(path)
        return GREET.encode()

    return load_prompt("greet", read)

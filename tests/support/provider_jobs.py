"""A repository whose prompt is answered by the loopback batch provider."""

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from promptops.runner.batch.provider_jobs import passes
from support.batch_files import rows
from support.batch_jobs import OPENAI_MODEL, echo
from support.batch_provider import BatchProvider
from support.front_door import GREET, Repo

MODEL = f"openai/{OPENAI_MODEL}"
PROMPT = GREET.replace("openai/gpt-4o-mini-2024-07-18", MODEL)
JUDGE = f"""\
model: {MODEL}
parameters: {{max_completion_tokens: 60}}
inputs: {{output: string}}
messages: [{{role: user, content: "Judge {{{{ output }}}}."}}]
output:
  schema:
    type: object
    properties: {{score: {{type: integer, minimum: 1, maximum: 5}}}}
    required: [score]
"""
BATCH = ("batch", "greet@HEAD", "in.jsonl", "--out", "out.jsonl", "--provider-batch")


def point_to(provider: BatchProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of this process go there, and jobs that are waited for are looked at without long pauses."""
    monkeypatch.setattr(passes, "_FIRST_PAUSE_S", 0.01)
    for name, value in provider.env.items():
        monkeypatch.setenv(name, value)


def echo_or_judge(request: Mapping[str, Any]) -> str:
    text = echo(request)
    return json.dumps({"score": 1 + len(text) % 5}) if text.startswith("Judge") else text


def spent(repo: Repo) -> Fraction:
    """Dollars of the log, to a hundred picodollars, of which all prices are multiples."""
    return Fraction(round(sum(row["spent_usd"] or 0 for row in rows(repo)) * 10**10), 10**10)


def billed(provider: BatchProvider) -> Fraction:
    return Fraction(round(provider.bill * 10**10), 10**10)

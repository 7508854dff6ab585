"""JSON of users: whichever way it comes, what has two meanings is refused."""

import json

import pytest

from promptops.config.json_text import parse_strict_json
from support.front_door import Cli, Repo
from support.provider import Provider

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {facts: object}
messages: [{role: user, content: "{{ facts }}"}]
cases: p.cases.jsonl
"""
TWICE = '{"a": 1, "b": {"c": 1, "c": 2}}'
DEEP = "[" * 100_000


def test_what_is_read_is_what_json_says() -> None:
    text = b'\xef\xbb\xbf{"a": [1, {"a": null}], "b": true}'
    assert parse_strict_json(text) == {"a": [1, {"a": None}], "b": True}


@pytest.mark.parametrize(
    ("text", "said"),
    [(TWICE, "duplicate key `c`"), ('{"a": -Infinity}', "-Infinity is not"), (DEEP, "nested too deeply")],
    ids=["twice", "no number", "deep"],
)
def test_every_way_in_refuses_it(text: str, said: str, cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT)
    line = f'{{"inputs": {{"facts": {text}}}}}\n'
    repo.write("in.jsonl", line)
    repo.write("inputs.json", f'{{"facts": {text}}}')
    repo.write("prompts/p.cases.jsonl", line)
    repo.write("said.jsonl", f'{{"run_id": "x", "metric": "thumbs", "value": 1, "more": {text}}}\n')
    for words in (
        ("run", "p", "-i", f"facts={text}"),
        ("run", "p", "--inputs", "inputs.json"),
        ("batch", "p", "in.jsonl"),
        ("eval", "p"),
        ("feedback", "--from", "said.jsonl"),
    ):
        done = cli(*words)
        assert (done.code, said in done.err) == (4, True), (words, done.err[:500])
    assert provider.requests == []


def test_a_cell_of_a_table_refuses_it_as_well(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT)
    cell = TWICE.replace('"', '""')
    repo.write("in.csv", f'facts\n"{cell}"\n')
    done = cli("batch", "p", "in.csv")
    assert (done.code, "in.csv:2: column `facts`" in done.err) == (4, True), done.err
    assert provider.requests == []
    assert json.loads(TWICE)  # which Python reads

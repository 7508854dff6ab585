"""Generations that did not end well: retried, handed to the next pin, never cached, never repaired."""

import json
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.provider import Provider, Received, reply, text

PIN, NEXT = "openai/gpt-4o-mini-2024-07-18", "openai/gpt-4.1-mini-2025-04-14"
PROMPT = f"""\
model: {PIN}
%s
messages:
  - {{role: user, content: hello}}
"""
SCHEMA = "output: {repair: 1, schema: {type: object, properties: {a: {type: string}}, required: [a]}}"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    with Provider(text("hi")) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
        yield provider


def run(cli: Cli, repo: Repo, settings: str = "", *options: str) -> dict[str, Any]:
    repo.write("prompts/p.yaml", PROMPT % settings)
    return json.loads(cli("run", "p", "--json", *options).out)  # type: ignore[no-any-return]


def test_a_generation_that_failed_is_asked_for_again(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = [text("half", finish="error"), text("whole")]
    got = run(cli, repo)
    assert (got["output"], got["error"], len(got["attempts"])) == ("whole", None, 2)
    assert got["attempts"][0]["error"]["type"] == "server"


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "context_length_exceeded"])
def test_what_one_model_does_not_answer_goes_to_the_next(
    finish: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    def script(request: Received) -> Any:
        return text("no", finish=finish) if request.body["model"] in PIN else text("yes")

    provider.script = script
    assert run(cli, repo, f"fallback: [{NEXT}]")["output"] == "yes"
    assert len(provider.requests) == 2


def test_it_is_a_failed_run_with_its_partial_text(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = text("half", finish="SAFETY")
    got = run(cli, repo)
    assert (got["state"], got["output"], got["error"]["type"]) == ("failed", "half", "content_filter")


def test_it_answers_nobody_later(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT % "")
    repo.write("in.jsonl", '{"inputs": {}}\n')
    provider.script = [text("half", finish="SAFETY"), text("whole")]
    cli("batch", "p", "in.jsonl", "--out", "one.jsonl")
    cli("batch", "p", "in.jsonl", "--out", "two.jsonl", "--restart")
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply({"role": "assistant", "content": None, "refusal": "I cannot."}), "declined"),
        (text('{"a": ', finish="length"), "max_tokens"),
    ],
)
def test_neither_a_refusal_nor_a_cut_answer_is_repaired(
    answer: Any, words: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = answer
    got = run(cli, repo, SCHEMA)
    assert got["error"]["type"] == "invalid_output"
    assert words in got["error"]["message"]
    assert len(provider.requests) == 1


def test_the_refusal_check_takes_the_providers_word(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = reply({"role": "assistant", "content": None, "refusal": "Nope, next question."})
    got = run(cli, repo, "checks: [refusal]")
    assert (got["finish_reason"], got["checks"][0]["pass"]) == ("refusal", True)


def test_thoughts_are_kept_apart(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = text('<think>hm, JSON</think>\n{"a": "b"}')
    got = run(cli, repo, SCHEMA)
    assert (got["output_json"], got["error"]) == ({"a": "b"}, None)
    assert got["attempts"][0]["reasoning"] == "hm, JSON"

"""Generations that did not end well: retried, handed to the next pin, never cached, never repaired."""

import json
import sqlite3
from typing import Any

import pytest

from support.batch_files import rows
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, go_live, ok, versions
from support.greet_traffic import ticked
from support.provider import Answer, Provider, Received, as_json, reply, status, text

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


@pytest.mark.parametrize(
    "refused",
    [
        *(text("no", finish=finish) for finish in ("content_filter", "SAFETY", "context_length_exceeded")),
        status(400, "too long", code="context_length_exceeded"),
        status(403, "Content violates usage guidelines."),
    ],
    ids=["content_filter", "SAFETY", "length", "400", "403"],
)
def test_what_one_model_does_not_answer_goes_to_the_next(
    refused: Answer, cli: Cli, repo: Repo, provider: Provider
) -> None:
    def script(request: Received) -> Any:
        return refused if request.body["model"] in PIN else text("yes")

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


PRICED = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
PRICE = 1000 * 0.15e-6 + 100 * 0.6e-6  # of one such call


@pytest.mark.parametrize("stream", ["--json", "--stream"])
@pytest.mark.parametrize("finish", ["SAFETY", "error", "context_length_exceeded"])
def test_a_failed_generation_has_been_paid_for(
    finish: str, stream: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = text("half", finish=finish, usage=PRICED)
    repo.write("prompts/p.yaml", PROMPT % "")
    cli("run", "p", "--retries", "0", stream)
    (row,) = rows(repo)
    assert (row["state"], row["input_tokens"], row["output_tokens"]) == ("failed", 1000, 100)
    assert row["spent_usd"] == pytest.approx(PRICE)


def test_what_a_retry_has_cost_is_in_the_price_of_the_run(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = [
        text("half", finish="error", usage=PRICED),
        status(500),
        text("whole", usage=PRICED),
    ]
    got = run(cli, repo)
    assert (got["output"], got["input_tokens"]) == ("whole", 2000)
    assert got["spent_usd"] == pytest.approx(2 * PRICE)


def test_a_run_that_was_retried_answers_later_ones(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT % SCHEMA)
    repo.write("in.jsonl", '{"inputs": {}}\n')
    provider.script = [text("half", finish="error", usage=PRICED), text('{"a": "b"}', usage=PRICED)]
    for out in ("one.jsonl", "two.jsonl"):
        assert cli("batch", "p", "in.jsonl", "--out", out, "--restart").code == 0
    assert len(provider.requests) == 2


def test_the_budget_counts_what_failed(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT % "parameters: {max_tokens: 100}")
    repo.write("in.jsonl", '{"inputs": {}}\n' * 20)
    usage = {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010}  # ten times the ceiling
    provider.script = text("half", finish="SAFETY", usage=usage)
    most = 25 * (10 * 0.15e-6 + 100 * 0.6e-6)
    options = ("--max-cost", f"{most:.7f}", "--jobs", "1", "--retries", "0")
    cli("batch", "p", "in.jsonl", "--out", "out.jsonl", *options)
    assert sum(row["spent_usd"] or 0 for row in rows(repo)) <= most
    assert len(provider.requests) == 2


def test_a_generation_of_unknown_price_stays_unknown(cli: Cli, repo: Repo, provider: Provider) -> None:
    choice = {"index": 0, "message": {"content": "half"}, "finish_reason": "SAFETY"}
    provider.script = as_json({"id": "x", "model": "m", "choices": [choice]})
    assert run(cli, repo)["spent_usd"] is None


GOOD_FINISHES = ["end_turn", "MAX_TOKENS", "STOP", "tool-calls"]


@pytest.mark.parametrize(
    "finish", ["error", "SAFETY", "network_error", "content_filter: hate", *GOOD_FINISHES]
)
def test_only_good_answers_that_were_cached_before_are_found(
    finish: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/p.yaml", PROMPT % "")
    repo.write("in.jsonl", '{"inputs": {}}\n')
    cli("batch", "p", "in.jsonl", "--out", "one.jsonl")
    with sqlite3.connect(repo.path / "registry.db") as registry:
        registry.execute("UPDATE runs SET finish_reason = ?", (finish,))
    found = finish in GOOD_FINISHES
    assert json.loads(cli("cache", "stats", "--json").out)["replies"] == found
    cli("batch", "p", "in.jsonl", "--out", "two.jsonl", "--restart")
    assert len(provider.requests) == 2 - found


@pytest.mark.parametrize(
    "failure",
    [
        text("no", finish="content_filter"),
        text("half", finish="error"),
        as_json({"error": {"message": "overloaded", "code": 502}, "choices": []}),
        as_json({"choices": [{"message": {"content": "half"}, "error": {"message": "gone"}}]}),
    ],
)
def test_a_canary_whose_generations_fail_in_good_replies_loses(
    failure: Answer, cli: Cli, repo: Repo, provider: Provider
) -> None:
    def script(request: Received) -> Answer:
        return failure if "Salute" in request.body["messages"][-1]["content"] else text("hello")

    provider.script = script
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    lines = [{"inputs": {"name": "Ada"}, "metadata": {"user": f"u{number}"}} for number in range(60)]
    repo.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    options = ("--unit", "metadata.user", "--out", "out.jsonl", "--retries", "0")
    cli("batch", "greet:production", "in.jsonl", *options)
    assert ticked(cli)["move"] == "rollback"
    assert versions(cli) == ("v1", None)

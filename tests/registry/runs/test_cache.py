"""Replies that are in the registry already."""

import json

import pytest

from support.batch_files import outputs, results, rows, write_lines
from support.front_door import GREET, Cli, Repo
from support.provider import Provider, status, text


def test_a_second_batch_asks_nothing(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("hello", usage={"prompt_tokens": 10, "completion_tokens": 2})
    write_lines(greeting, 3)
    first = results(cli("batch", "greet", "in.jsonl").out)
    done = cli("batch", "greet", "in.jsonl")
    second = results(done.out)
    assert len(provider.requests) == 3
    assert "3 from the cache, $0.0000 spent" in done.err
    for one, again in zip(first, second, strict=True):
        assert again["cache"] == {"run_id": one["run_id"]}
        assert again["run_id"] != one["run_id"]
        assert again["spent_usd"] == 0
        assert one["cache"] is None
        for kept in ("output", "cost_usd", "latency_ms", "input_tokens", "response_model", "finish_reason"):
            assert again[kept] == one[kept]
    third = results(cli("batch", "greet", "in.jsonl").out)
    assert [each["cache"]["run_id"] for each in third] == [each["run_id"] for each in first]


@pytest.mark.parametrize("temperature", ["0", "1"])
def test_run_fills_it_and_never_reads_it(
    temperature: str, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    change = ("--set", f"parameters.temperature={temperature}")
    for _ in range(2):
        assert cli("run", "greet", "-i", "name=person 1", *change).code == 0
    assert len(provider.requests) == 2
    write_lines(greeting, 1)
    assert cli("batch", "greet", "in.jsonl", *change).code == 0
    assert len(provider.requests) == 2
    assert rows(greeting)[-1]["cache_source"] == rows(greeting)[1]["run_id"]


def test_only_the_very_same_request_is_answered(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(greeting, 1)
    assert cli("batch", "greet", "in.jsonl").code == 0
    greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: nowhere}]\n")
    done = cli("batch", "greet", "in.jsonl", "--no-cache", "--restart")
    assert len(provider.requests) == 2
    greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: elsewhere}]\n")
    done = cli("batch", "greet", "in.jsonl")
    assert len(provider.requests) == 2  # checks are no part of it, and are made again
    assert results(done.out)[0]["checks"][0]["pass"] is False
    assert cli("batch", "greet", "in.jsonl", "--set", "parameters.max_tokens=65").code == 1
    assert len(provider.requests) == 3
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url.replace("127.0.0.1", "localhost"))
    assert cli("batch", "greet", "in.jsonl").code == 1
    assert len(provider.requests) == 4


def test_failed_calls_are_not_kept_and_invalid_outputs_are(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    write_lines(greeting, 1)
    provider.script = status(400)
    assert cli("batch", "greet", "in.jsonl").code == 5
    greeting.write("prompts/greet.yaml", GREET + "output: {schema: {type: object}}\n")
    provider.script = text("no object")
    assert cli("batch", "greet", "in.jsonl").code == 1
    asked = len(provider.requests)
    done = cli("batch", "greet", "in.jsonl")
    assert (done.code, len(provider.requests)) == (1, asked)
    assert results(done.out)[0]["error"]["type"] == "invalid_output"


def test_a_repaired_answer_is_for_those_who_repair(cli: Cli, greeting: Repo, provider: Provider) -> None:
    prompt = GREET + "output: {schema: {type: object}, repair: 1}\n"
    greeting.write("prompts/greet.yaml", prompt)
    provider.script = [text("no object"), text("{}")]
    write_lines(greeting, 1)
    assert outputs(cli("batch", "greet", "in.jsonl").out) == ["{}"]
    assert outputs(cli("batch", "greet", "in.jsonl").out) == ["{}"]
    assert len(provider.requests) == 2
    greeting.write("prompts/greet.yaml", prompt.replace("repair: 1", "repair: 0"))
    provider.script = text("no object")
    assert outputs(cli("batch", "greet", "in.jsonl").out) == ["no object"]
    assert len(provider.requests) == 3
    greeting.write("prompts/greet.yaml", prompt)
    assert outputs(cli("batch", "greet", "in.jsonl").out) == ["{}"]
    assert len(provider.requests) == 3


def test_equal_lines_are_all_asked(cli: Cli, greeting: Repo, provider: Provider) -> None:
    greeting.write("in.jsonl", '{"inputs": {"name": "Ada"}}\n' * 5)
    assert cli("batch", "greet", "in.jsonl", "-j", "1").code == 0
    assert len(provider.requests) == 5


def test_refresh_replaces_and_no_cache_leaves(cli: Cli, greeting: Repo, provider: Provider) -> None:
    write_lines(greeting, 1)
    for answer, option in (("old", ()), ("new", ("--refresh",)), ("other", ("--no-cache",))):
        provider.script = text(answer)
        assert outputs(cli("batch", "greet", "in.jsonl", *option).out) == [answer]
    assert outputs(cli("batch", "greet", "in.jsonl").out) == ["new"]
    assert len(provider.requests) == 3


def test_stats_and_clear(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("hello", usage={"prompt_tokens": 1000, "completion_tokens": 100})
    assert json.loads(cli("cache", "stats", "--json").out) == {
        "replies": 0,
        "stale": 0,
        "hits": 0,
        "saved_usd": 0.0,
    }
    write_lines(greeting, 4)
    for _ in range(2):
        assert cli("batch", "greet", "in.jsonl").code == 0
    assert cli("cache", "stats").out == (
        "4 answers can be used again; 0 were cleared\n"
        "4 runs were answered from the cache, which saved $0.0008\n"
    )
    for nothing in (("other",), ("--model", "anthropic/*"), ("--older-than", "1d")):
        assert cli("cache", "clear", *nothing).out.startswith("0 answers")
    assert json.loads(cli("cache", "clear", "greet", "--model", "openai/*", "--json").out) == {"cleared": 4}
    stats = json.loads(cli("cache", "stats", "greet", "--json").out)
    assert (stats["replies"], stats["stale"]) == (0, 4)
    assert len(rows(greeting)) == 8
    assert cli("batch", "greet", "in.jsonl").code == 0
    assert len(provider.requests) == 8
    assert cli("cache", "clear").out == "4 answers will not be used again; no run was deleted\n"

"""Tool calls are a part of the answer; answers that were cut off are marked."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from promptops.prompt.tool_calls import answer_text, comparable_answer, comparable_calls
from support.front_door import Cli, Repo
from support.paths import FIXTURES
from support.provider import Provider, Received, as_json, reply, text

ASK = """\
model: openai/gpt-4o-2024-08-06
inputs: {city: string}
messages: [{role: user, content: "{{ city }}"}]
tools: [{type: function, function: {name: weather, parameters: {type: object}}}]
"""
TRIAGE = """\
model: openai/gpt-4o-2024-08-06
messages: [{role: user, content: hi}]
parameters: {max_tokens: 64}
checks: [complete]
"""


def call(name: str, arguments: str, id: str = "c1") -> dict[str, Any]:  # noqa: A002 - the field's name
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def recorded(file: str) -> Any:
    return as_json(json.loads((FIXTURES / "replies" / file).read_bytes()))


OSLO = call("weather", '{"city": "Oslo", "days": 1}')


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([OSLO], [call("weather", '{ "days":1.0,"city":"Oslo"}', "c9")], True),
        ([OSLO, call("time", "{}")], [call("time", ""), OSLO], True),
        ([OSLO], [call("weather", '{"city": "Bergen", "days": 1}')], False),
        ([OSLO], [call("forecast", '{"city": "Oslo", "days": 1}')], False),
        ([OSLO], [OSLO, OSLO], False),
        ([OSLO], [], False),
        ([call("pay", '{"usd": 5}')], [call("pay", '{"usd": -5}')], False),
        ([call("pay", '{"usd": true}')], [call("pay", '{"usd": 1}')], False),
        ([call("pay", "no json")], [call("pay", "no json", "c2")], True),
        (
            [{"type": "custom", "id": "1", "custom": {"input": "x"}}],
            [{"type": "custom", "custom": {}}],
            False,
        ),
    ],
)
def test_calls_are_the_same_by_name_and_arguments(
    one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], same: bool
) -> None:
    assert (comparable_calls(one) == comparable_calls(other)) is same
    assert (comparable_answer("ok", one) == comparable_answer("ok", other)) is same
    assert comparable_answer("ok", one) != comparable_answer("no", one)


def test_odd_calls_are_compared_all_the_same() -> None:
    deep = "[" * 100_000
    for odd in (
        {},
        {"function": None},
        {"function": {"arguments": {"a": 1}}},
        call("f", deep),
        call("f", "1e999"),
    ):
        assert comparable_calls([odd]) == comparable_calls([odd])
    assert comparable_answer(None, ()) is None
    assert answer_text(None, ()) == ""


def test_run_and_runs_show_have_text_and_calls(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/ask.yaml", ASK)
    provider.script = recorded("tool-call-with-text.json")
    for flag in ("--no-stream", "--stream"):
        done = cli("run", "ask", "-i", "city=Oslo", flag)
        assert done.out.startswith("Let me look.\n[")
        assert '"name": "weather"' in done.out
    run = json.loads(cli("run", "ask", "-i", "city=Oslo", "--json").out)
    assert (run["output"], run["tool_calls"][0]["function"]["name"]) == ("Let me look.", "weather")
    shown = cli("runs", "show", run["run_id"]).out
    assert "=== answer\nLet me look.\n[" in shown
    assert '"name": "weather"' in shown


def test_a_replay_with_another_call_differs(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/ask.yaml", ASK)
    message = {"role": "assistant", "content": "Let me look."}
    answers = [[OSLO], [{**OSLO, "id": "c7"}], [call("weather", '{"city": "Bergen"}')]]
    provider.script = [reply({**message, "tool_calls": calls}, finish="tool_calls") for calls in answers]
    run = json.loads(cli("run", "ask", "-i", "city=Oslo", "--json").out)
    same = cli("runs", "replay", run["run_id"])
    assert (same.code, same.err.splitlines()[-1]) == (0, "the same answer again")
    other = cli("runs", "replay", run["run_id"])
    assert other.code == 1
    assert "Bergen" in other.out


def test_a_shadow_run_finds_calls_that_differ(cli: Cli, repo: Repo, provider: Provider) -> None:
    def answer(request: Received) -> Any:
        usd = -5 if "temperature" in request.body else 5
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("pay", json.dumps({"usd": usd}))],
        }
        return reply(message, finish="tool_calls")

    provider.script = answer
    repo.write("prompts/ask.yaml", ASK)
    repo.commit("ask")
    for city in ("Oslo", "Bergen"):
        assert cli("run", "ask", "-i", f"city={city}").code == 0
    repo.write("prompts/ask.yaml", ASK + "parameters: {temperature: 0}\n")
    done = cli("shadow", "run", "ask", "--against", "ask@HEAD", "--json")
    likeness = json.loads(done.out)["likeness"]
    assert (likeness["pairs"], likeness["equal"], likeness["semantic"]) == (2, 0, 0)
    assert [each["path"] for each in likeness["fields"]] == ["[].arguments.usd"]


def test_an_eval_shows_the_calls(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/ask.yaml", ASK + "cases: ask.cases.jsonl\nchecks: [{contains: Bergen}]\n")
    repo.write("prompts/ask.cases.jsonl", '{"id": "one", "inputs": {"city": "Oslo"}}\n')
    provider.script = reply({"role": "assistant", "content": "", "tool_calls": [OSLO]}, finish="tool_calls")
    for form in ("table", "markdown", "html"):
        out = cli("eval", "ask", "--format", form).out
        assert "Oslo" in out
        assert "weather" in out
    repo.write("prompts/ask.yaml", ASK + "cases: ask.cases.jsonl\nchecks: [{contains: Oslo}]\n")
    assert cli("eval", "ask").code == 0


def test_a_cut_answer_says_so_everywhere(cli: Cli, repo: Repo, provider: Provider) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 64}
    provider.script = text("The first half of", finish="length", usage=usage)
    repo.write("prompts/triage.yaml", TRIAGE + "cases: triage.cases.jsonl\n")
    repo.write("prompts/triage.cases.jsonl", '{"id": "one", "inputs": {}}\n')
    repo.write("in.jsonl", '{"inputs": {}}\n')
    done = cli("run", "triage")
    assert done.code == 1
    assert "the answer was cut off at 64 tokens: raise parameters.max_tokens" in done.err
    assert "check failed: complete: cut off" in done.err
    assert "1 failed (cut off)" in cli("runs", "list").out
    assert "result     1 failed (cut off)" in cli("runs", "show", "last").out
    summary = cli("batch", "triage", "in.jsonl", "--out", "out.jsonl", "--json")
    assert json.loads(summary.out)["truncated"] == 1
    assert "1 cut off at the most tokens allowed" in summary.err
    assert "1 answer cut off at the most tokens allowed" in cli("eval", "triage").out
    assert json.loads(cli("eval", "triage", "--json").out)["sides"][0]["truncated"] == 1


def test_an_empty_answer_names_the_reasoning_that_ate_it(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = recorded("finish-length-empty.json")
    schema = "output: {schema: {type: object}, repair: 1}\n"
    repo.write("prompts/triage.yaml", TRIAGE + schema)
    done = cli("run", "triage")
    assert "the answer is empty: 64 of 64 tokens went into reasoning" in done.err
    assert "invalid output: the answer was cut off at its longest (max_tokens)" in done.err
    assert len(provider.requests) == 1


def test_a_whole_answer_is_complete(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = text("All of it.")
    repo.write("prompts/triage.yaml", TRIAGE)
    done = cli("run", "triage")
    assert (done.code, done.err) == (0, "")
    assert "cut off" not in cli("runs", "list").out

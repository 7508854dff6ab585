"""Texts that were not asked for, that wait for a person or that guards reject reach no collector."""

import json
import sys

import pytest

from promptops.runner.traced_calls import flush_telemetry
from support.front_door import GREET, Cli, Repo
from support.greet_releases import go_live
from support.otlp_collector import Collector
from support.prompt_files import TONE_JUDGE
from support.provider import Provider, reply, status, text

SECRET = "Zanzibar"


def told(collector: Collector) -> str:
    """All that was sent; calls were told at all."""
    flush_telemetry(30)
    assert collector.spans
    return repr(collector.bodies)


def test_a_message_that_quotes_the_call_is_content(
    cli: Cli, greeting: Repo, provider: Provider, collector: Collector
) -> None:
    provider.script = status(400, f"bad value: {SECRET}")
    assert cli("run", "greet", "-i", f"name={SECRET}").code == 4
    assert SECRET not in told(collector)
    (span,) = collector.spans
    assert (span.failed, span.attributes["error.type"]) == (True, "bad_request")
    greeting.write("promptops.yaml", "telemetry: {content: true}\n")
    cli("run", "greet", "-i", f"name={SECRET}")
    flush_telemetry(30)
    assert SECRET in collector.spans[-1].message


def test_an_answer_that_waits_for_a_person_is_not_told(
    cli: Cli, repo: Repo, provider: Provider, collector: Collector
) -> None:
    repo.write("promptops.yaml", "telemetry: {content: true}\n")
    go_live(cli, repo, more="review: required\nchecks: [{equals: lemon}]\n")
    provider.script = text(SECRET)
    assert cli("run", "greet:production", "-i", "name=Ada").code == 3
    assert SECRET not in told(collector)
    (span,) = collector.spans
    assert "Greet Ada" in span.attributes["gen_ai.input.messages"]
    assert "gen_ai.output.messages" not in span.attributes


def test_what_guards_reject_is_not_told_nor_what_their_judges_read(
    cli: Cli, greeting: Repo, provider: Provider, collector: Collector
) -> None:
    greeting.write("promptops.yaml", "telemetry: {content: true}\n")
    tone = TONE_JUDGE.replace("question: string, ", "").replace("{{ question }} ", "")
    greeting.write("prompts/judges/tone.yaml", tone)
    judge = "{on: output, check: {judge: judges/tone, threshold: 3}, do: block}"
    refused = f"{{on: input, check: {{not: {{contains: {SECRET}}}}}, do: block}}"
    greeting.write("prompts/greet.yaml", f"{GREET}guards: [{refused}, {judge}]\n")
    assert cli("run", "greet", "-i", f"name={SECRET}").code == 1
    provider.script = lambda request: text(
        '{"score": 1, "reason": "x"}' if b"gpt-4o-2024-08-06" in request.raw else f"in {SECRET}"
    )
    assert cli("run", "greet", "-i", "name=Ada").code == 1
    sent = told(collector)
    kinds = {span.attributes["promptops.kind"]: span.attributes.get("error.type") for span in collector.spans}
    assert kinds == {"judge": None, "run": "output_blocked"}
    assert SECRET not in sent


def test_long_texts_are_cut(cli: Cli, greeting: Repo, provider: Provider, collector: Collector) -> None:
    greeting.write("promptops.yaml", "telemetry: {content: true}\n")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '"' + "a" * 90_000 + '"'}}
    message = {"role": "assistant", "content": "é" * 200_000, "tool_calls": [call]}
    tools = "tools: [{type: function, function: {name: f, parameters: {type: object}}}]\n"
    greeting.write("prompts/greet.yaml", GREET + tools)
    provider.script = reply(message, finish="tool_calls")
    cli("run", "greet", "-i", "name=Ada")
    told(collector)
    (output,) = json.loads(collector.spans[0].attributes["gen_ai.output.messages"])
    said, asked = output["parts"]
    assert said["content"] == "é" * 8_191 + "…"
    assert len(asked["arguments"]) == 8_192


def test_a_gateway_without_the_sdk_does_not_start(
    cli: Cli, greeting: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    del greeting
    for name in ("promptops.telemetry.otlp", "promptops.runner.traced_calls"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)
    monkeypatch.setenv("PROMPTOPS_TELEMETRY", "otlp")
    refused = cli("serve", "--port", "0")
    assert refused.code == 4
    assert "telemetry needs OpenTelemetry's SDK" in refused.err

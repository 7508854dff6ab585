"""Calls are told to OpenTelemetry: a span and metrics each, without texts unless these are asked for."""

import json
import re

import pytest
import yaml
from jsonschema_rs import validator_for
from opentelemetry import trace

from promptops import Workspace
from promptops.runner.traced_calls import flush_telemetry
from promptops.trace_context import parse_traceparent
from support.batch_files import write_lines
from support.front_door import Cli, Repo
from support.gateway_client import running_gateway
from support.greet_releases import go_live
from support.otlp_collector import Collector, SentSpan
from support.paths import SHARED
from support.provider import Provider, reply, status, text

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROMPT = """\
model: openai/gpt-5.4-mini-2026-03-17
parameters: {temperature: 0, max_tokens: 20, stop: [END]}
inputs: {name: string}
messages:
  - {role: system, content: Be kind.}
  - {role: user, content: "Greet {{ name }}."}
checks:
  - contains: Hello
  - contains: Goodbye
"""


@pytest.fixture
def traced(repo: Repo, provider: Provider, collector: Collector) -> Repo:
    provider.script = text("Hello, Ada", usage={"prompt_tokens": 9, "completion_tokens": 3})
    repo.write("prompts/greet.yaml", PROMPT)
    return repo


def spans(collector: Collector) -> list[SentSpan]:
    flush_telemetry(30)
    return collector.spans


def test_a_run_is_a_span_and_metrics(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider
) -> None:
    run_id = json.loads(cli("run", "greet", "-i", "name=Ada", "--json").out)["run_id"]
    (span,) = spans(collector)
    assert span.name == "chat gpt-5.4-mini-2026-03-17"
    assert span.service == "promptops"
    assert not span.failed
    found = span.attributes
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "openai"
    assert found["gen_ai.request.model"] == "gpt-5.4-mini-2026-03-17"
    assert found["gen_ai.prompt.name"] == "greet"
    assert re.fullmatch("sha256:[0-9a-f]{64}", found["gen_ai.prompt.version"])
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (9, 3)
    assert found["gen_ai.request.temperature"] == 0.0
    assert found["gen_ai.request.max_tokens"] == 20
    assert found["gen_ai.request.stop_sequences"] == ["END"]
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["promptops.run.id"] == run_id
    assert found["promptops.cost_usd"] > 0
    events = {event["gen_ai.evaluation.name"]: event for name, event in span.events}
    assert [event["gen_ai.evaluation.score.label"] for event in events.values()] == ["pass", "fail"]
    assert not any("explanation" in key for event in events.values() for key in event)
    assert "Ada" not in repr(collector.bodies)  # no text of the call
    assert provider.requests[0].headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    metrics = collector.metrics
    ((labels, seconds),) = metrics["gen_ai.client.operation.duration"]
    assert labels["gen_ai.prompt.name"] == "greet"
    assert seconds == pytest.approx(span.seconds, abs=1e-3)
    assert {one["gen_ai.token.type"]: total for one, total in metrics["gen_ai.client.token.usage"]} == {
        "input": 9,
        "output": 3,
    }
    assert {one["result"]: total for one, total in metrics["promptops.checks"]} == {"passed": 1, "failed": 1}
    assert metrics["promptops.cost_usd"][0][1] == pytest.approx(found["promptops.cost_usd"])


@pytest.mark.parametrize(
    ("stop", "call"), [("5", {"type": "x", "function": 5}), ("{a: b}", {"type": "x", "function": None})]
)
def test_a_parameter_and_a_call_of_another_type_than_usual_cost_no_span(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider, stop: str, call: dict[str, object]
) -> None:
    traced.write("promptops.yaml", "telemetry: {content: true}\n")
    traced.write("prompts/greet.yaml", PROMPT.replace("[END]", stop))
    provider.script = reply({"content": "Hello", "tool_calls": [{"id": "1", **call}]})
    assert "telemetry" not in cli("run", "greet", "-i", "name=Ada").err
    (span,) = spans(collector)
    assert "gen_ai.request.stop_sequences" not in span.attributes
    (told,) = json.loads(span.attributes["gen_ai.output.messages"])
    assert [part["type"] for part in told["parts"]] == ["text", "tool_call"]


def test_content_is_told_where_it_is_asked_for_and_redacted_as_in_the_log(
    cli: Cli, traced: Repo, collector: Collector
) -> None:
    traced.write("promptops.yaml", "telemetry: {content: true}\nlog: {redact: [email]}\n")
    cli("run", "greet", "-i", "name=ada@example.org")
    (span,) = spans(collector)
    told = {name: json.loads(span.attributes[f"gen_ai.{name}"]) for name in CONTENT}
    assert told["system_instructions"] == [{"type": "text", "content": "Be kind."}]
    ((part,),) = [message["parts"] for message in told["input.messages"]]
    assert part["content"].startswith("Greet ")
    assert "ada@" not in repr(collector.bodies)
    assert told["output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello, Ada"}], "finish_reason": "stop"}
    ]
    assert any("gen_ai.evaluation.explanation" in event for _, event in span.events)


def test_no_content_is_told_of_texts_that_are_not_kept(cli: Cli, traced: Repo, collector: Collector) -> None:
    traced.write("promptops.yaml", "telemetry: {otlp: true, content: true}\nlog: {outputs: hash}\n")
    cli("run", "greet", "-i", "name=Ada")
    (span,) = spans(collector)
    assert not any(key.startswith("gen_ai.input") for key in span.attributes)
    assert "Greet Ada" not in repr(collector.bodies)


def test_a_failed_call_is_an_error_with_its_type(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider
) -> None:
    provider.script = status(401)
    assert cli("run", "greet", "-i", "name=Ada").code == 4
    (span,) = spans(collector)
    assert span.failed
    assert span.attributes["error.type"] == "authentication"
    assert not span.message  # which may quote the call


def test_a_batch_has_a_span_a_line(cli: Cli, traced: Repo, collector: Collector) -> None:
    write_lines(traced, 3)
    cli("batch", "greet", "in.jsonl")
    found = spans(collector)
    assert len(found) == 3
    assert len({span.span_id for span in found}) == len({span.trace_id for span in found}) == 3
    assert {span.attributes["promptops.kind"] for span in found} == {"batch"}


def test_the_environment_names_the_trace_that_a_command_belongs_to(
    cli: Cli, traced: Repo, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", PARENT)
    cli("run", "greet", "-i", "name=Ada")
    (span,) = spans(collector)
    assert span.trace_id == PARENT[3:35]
    assert span.parent_id == PARENT[36:52]


def test_a_trace_that_is_not_sampled_gets_no_span(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"{PARENT[:-2]}00")
    cli("run", "greet", "-i", "name=Ada")
    assert not spans(collector)
    assert collector.metrics["gen_ai.client.operation.duration"]
    assert provider.requests[0].headers["traceparent"].endswith("-00")


def test_a_call_of_an_application_belongs_to_its_span(traced: Repo, collector: Collector) -> None:
    own = trace.SpanContext(1 << 100, 7, False, trace.TraceFlags(1), trace.TraceState([("vendor", "x")]))
    with trace.use_span(trace.NonRecordingSpan(own)), Workspace.open(traced.path) as workspace:
        workspace.run("greet", {"name": "Ada"})
    (span,) = collector.spans  # sent when the workspace was closed
    assert (span.trace_id, span.parent_id) == (f"{1 << 100:032x}", f"{7:016x}")


def test_the_gateway_takes_a_trace_and_passes_it_on(
    cli: Cli, repo: Repo, provider: Provider, collector: Collector
) -> None:
    repo.write("promptops.yaml", "telemetry: {otlp: true}\n")
    go_live(cli, repo)
    with running_gateway(repo.path) as client:
        client.chat(headers={"traceparent": PARENT, "tracestate": "vendor=x"})
        client.chat(headers={"traceparent": "00-nonsense"})
        client.chat()
    first, *others = collector.spans
    assert first.trace_id == PARENT[3:35]
    assert first.attributes["promptops.channel"] == "production"
    assert first.attributes["gen_ai.prompt.version"] == "v1"
    sent = provider.requests[0].headers
    assert sent["traceparent"] == f"{PARENT[:36]}{first.span_id}-01"
    assert sent["tracestate"] == "vendor=x"
    assert not {span.trace_id for span in others} & {first.trace_id}
    assert [span.parent_id for span in others] == ["", ""]


def test_a_collector_that_is_away_costs_no_answer(
    cli: Cli, traced: Repo, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    done = cli("run", "greet", "-i", "name=Ada")
    assert done.code == 1  # of the check that fails
    assert done.out == "Hello, Ada\n"


def test_nothing_is_traced_unless_it_is_asked_for(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTOPS_TELEMETRY", "off")
    traced.write("promptops.yaml", "telemetry: {otlp: true}\n")
    cli("run", "greet", "-i", "name=Ada")
    assert not spans(collector)
    assert "traceparent" not in provider.requests[0].headers
    monkeypatch.setenv("PROMPTOPS_TELEMETRY", "jaeger")
    refused = cli("run", "greet", "-i", "name=Ada")
    assert refused.code == 4
    assert "say otlp or off" in refused.err


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "x" * 10_000,
    ],
)
def test_what_is_no_trace_context_is_left_aside(header: str) -> None:
    assert parse_traceparent(header) is None


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    found = parse_traceparent(f"01{PARENT[2:]}-new", "vendor=\x00")
    assert found
    assert found.headers() == {"traceparent": PARENT}


CONTENT = ("system_instructions", "input.messages", "output.messages")
LATER = {"gen_ai.prompt.version", "gen_ai.usage.reasoning.output_tokens"}  # than the stored registry


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_names_types_and_messages_are_those_of_the_conventions(
    cli: Cli, traced: Repo, collector: Collector, provider: Provider
) -> None:
    folder = SHARED / "data/conformance/otel-genai"
    (group,) = yaml.safe_load((folder / "registry.yaml").read_text(encoding="utf-8"))["groups"][:1]
    known = {attribute["id"]: attribute["type"] for attribute in group["attributes"]}
    calls = [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}]
    traced.write("promptops.yaml", "telemetry: {content: true}\n")
    find = "{type: function, function: {name: find, parameters: {type: object}}}"
    traced.write("prompts/greet.yaml", f"{PROMPT}tools: [{find}]\n")
    cli("run", "greet", "-i", "name=Ada")
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": calls}, finish="tool_calls")
    cli("run", "greet", "-i", "name=Bob")
    types = {"string": str, "int": int, "double": float, "string[]": list}
    found = spans(collector)
    assert len(found) == 2
    for span in found:
        for name, value in (
            pair for of in (span.attributes, *dict(span.events).values()) for pair in of.items()
        ):
            if name.startswith("gen_ai.") and name not in LATER:
                kind = known[name] if isinstance(known[name], str) else "string"
                assert kind == "any" or isinstance(value, types[kind]), name
        for name in CONTENT:
            schema = json.loads(
                (folder / f"gen-ai-{name.replace('.', '-').replace('_', '-')}.json").read_bytes()
            )
            validator_for(schema).validate(json.loads(span.attributes[f"gen_ai.{name}"]))

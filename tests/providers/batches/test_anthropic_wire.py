"""Anthropic's message batches: bodies as litellm sends them, replies as it reads them."""

import asyncio
import json
from typing import Any

import pytest

from promptops.config.settings import find_settings
from promptops.providers import create_client
from promptops.providers.batches.messages import completion_from_message
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.batch_jobs import ANTHROPIC_MODEL
from support.batch_provider import BatchProvider
from support.batch_runs import PINS, service_of
from support.front_door import Repo
from support.provider import Provider, as_json

pytestmark = pytest.mark.filterwarnings("ignore")  # litellm's own

PIN = PINS["anthropic"]
HELLO = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "grüß dich"})
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": "x"}'}}
TURNS = (
    *HELLO,
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "found"},
)
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SEEN = (
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is this?", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": PICTURE}},
        ],
    },
)


@pytest.mark.parametrize(
    "request_",
    [
        CompletionRequest(model=PIN, messages=HELLO),
        CompletionRequest(
            model=PIN, messages=HELLO, parameters={"temperature": 0, "max_tokens": 7, "stop": ["x"]}
        ),
        CompletionRequest(model=PIN, messages=HELLO, parameters={"top_k": 3, "top_p": 0.5, "user": "u42"}),
        CompletionRequest(model=PIN, messages=HELLO, parameters={"metadata": {"user_id": "u42"}}),
        CompletionRequest(
            model=PIN, messages=HELLO, parameters={"thinking": {"type": "enabled", "budget_tokens": 1024}}
        ),
        CompletionRequest(model=PIN, messages=HELLO, parameters={"reasoning_effort": "low"}),
        CompletionRequest(model=PIN, messages=HELLO, tools=(TOOL,), parameters={"tool_choice": "required"}),
        CompletionRequest(model=PIN, messages=TURNS, tools=(TOOL,)),
        CompletionRequest(model=PIN, messages=HELLO, output_schema=SCHEMA),
        CompletionRequest(model=PIN, messages=SEEN),
    ],
)
def test_a_request_of_a_job_is_the_body_of_a_direct_call(
    request_: CompletionRequest, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchProvider(usage=lambda *_: count(), answer=lambda _: "x") as provider:
        for name, value in provider.env.items():
            monkeypatch.setenv(name, value)
        client = create_client(PIN, find_settings(repo.path, {}), provider.env)
        asyncio.run(client.complete(request_))
        service_of(provider, "anthropic").submit([("run-1", request_)], "job-1")
        direct, batch = provider.requests
    (entry,) = batch.body["requests"]
    assert entry == {"custom_id": "run-1", "params": direct.body}
    assert batch.headers["x-api-key"] == direct.headers["x-api-key"] == provider.env["ANTHROPIC_API_KEY"]
    assert batch.headers["anthropic-version"] == direct.headers["anthropic-version"]
    assert batch.headers.get("anthropic-beta") == direct.headers.get("anthropic-beta")


def count() -> Any:
    from support.batch_jobs import Usage

    return Usage(input=10, output=2)


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": ANTHROPIC_MODEL,
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 2},
        **changes,
    }


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s"}
USE = {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"a": "ü"}}
CACHED = {
    "input_tokens": 5,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
    "cache_creation": {"ephemeral_5m_input_tokens": 12, "ephemeral_1h_input_tokens": 8},
    "output_tokens": 9,
    "service_tier": "batch",
}


@pytest.mark.parametrize(
    "reply",
    [
        message(),
        message(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        message(stop_reason="max_tokens"),
        message(stop_reason="stop_sequence", stop_sequence="x"),
        message(content=[THOUGHT, {"type": "text", "text": "hello"}]),
        message(content=[USE], stop_reason="tool_use"),
        message(content=[{"type": "text", "text": "I look"}, USE], stop_reason="tool_use"),
        message(usage=CACHED),
    ],
)
def test_a_reply_is_read_as_litellm_reads_it(
    reply: dict[str, Any], repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Provider(as_json(reply)) as provider:
        env = {
            "ANTHROPIC_API_KEY": "sk-ant-of-the-test",
            "ANTHROPIC_BASE_URL": provider.base_url.removesuffix("/v1"),
        }
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        client = create_client(PIN, find_settings(repo.path, {}), env)
        request = CompletionRequest(model=PIN, messages=HELLO, tools=(TOOL,))
        direct = asyncio.run(client.complete(request))
    batch = completion_from_message(reply, ANTHROPIC_MODEL)
    assert plain(batch) == plain(direct)


def plain(completion: Completion) -> dict[str, Any]:
    """Without what litellm makes up: an id of its own, zeros for counts that nobody gave, an estimate."""
    names = ("text", "finish_reason", "reasoning", "input_tokens", "output_tokens")
    counts = ("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in completion.tool_calls
    ]
    return {
        **{name: getattr(completion, name) for name in names},
        **{name: getattr(completion, name) or 0 for name in counts},
        "calls": calls,
    }


def test_thinking_tokens_are_counted() -> None:
    usage = {"input_tokens": 5, "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}}
    completion = completion_from_message(message(usage=usage), ANTHROPIC_MODEL)
    assert (completion.output_tokens, completion.reasoning_tokens) == (30, 20)


def test_json_that_was_asked_for_as_a_call_is_the_answer() -> None:
    use = {"type": "tool_use", "id": "c1", "name": "json_tool_call", "input": {"a": "ü"}}
    completion = completion_from_message(message(content=[use], stop_reason="tool_use"), ANTHROPIC_MODEL)
    assert (completion.text, completion.finish_reason, completion.tool_calls) == ('{"a": "ü"}', "stop", ())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (message(content=[], stop_reason="refusal"), "content_filter"),
        (message(stop_reason="pause_turn"), "server"),
        (message(stop_reason="model_context_window_exceeded"), "context_exceeded"),
        (message(content=[], stop_reason=None), "malformed_reply"),
        (message(content=[{"type": "image"}]), "malformed_reply"),
        (message(stop_reason=7), "server"),
        (message(content="hello"), "malformed_reply"),
        (message(content=None, usage=3), "malformed_reply"),
        ({}, "malformed_reply"),
    ],
)
def test_what_is_no_good_answer_is_an_error(reply: dict[str, Any], kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        completion_from_message(reply, ANTHROPIC_MODEL)
    assert caught.value.type == kind


def test_ids_that_anthropic_does_not_take_are_refused_before_anything_is_sent() -> None:
    with BatchProvider() as provider:
        request = CompletionRequest(model=PIN, messages=HELLO)
        with pytest.raises(ModelError, match="at most 64 letters"):
            service_of(provider, "anthropic").submit([("run 1", request)], "job-1")
        wrong = CompletionRequest(model=PIN, messages=HELLO, parameters={"logit_bias": {"1": 1}})
        with pytest.raises(ModelError) as caught:
            service_of(provider, "anthropic").submit([("run-1", wrong)], "job-1")
    assert caught.value.type == "bad_request"
    assert provider.requests == []

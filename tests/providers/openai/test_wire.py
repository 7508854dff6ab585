"""Requests, replies and streams as data; the mapping of failures; which way a model is reached."""

import asyncio
import json
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest

from promptops.config.settings import Settings, find_settings
from promptops.providers import create_client
from promptops.providers.endpoints import DIRECT_PROVIDERS, endpoint_model_name
from promptops.providers.errors import parse_retry_after, sanitize_line
from promptops.providers.http.network import Network
from promptops.providers.http.single import SingleTransport
from promptops.providers.litellm_client import LitellmClient
from promptops.providers.local.server import EmbeddedClient
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.openai.request import build_body, encode_body, fits_strict
from promptops.providers.openai.response import completion_from_payload
from promptops.providers.openai.stream import StreamParser
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.provider import (
    Provider,
    as_json,
    body,
    chunk,
    cut_off,
    empty_choices,
    events,
    html,
    malformed,
    reply,
    status,
    text,
)

KEY = "sk-secret-0123456789"
HELLO = ({"role": "user", "content": "hello"},)


def ask(provider: Provider, *, on_text: Any = None, **request: Any) -> Completion:
    wire = OpenAIClient(
        name="openai",
        base_url=provider.base_url,
        api_key=KEY,
        model="m",
        transport=SingleTransport(Network()),
        key_name="OPENAI_API_KEY",
    )
    return asyncio.run(wire.complete(CompletionRequest(model="openai/m", messages=HELLO, **request), on_text))


def fail(provider: Provider, **request: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(provider, **request)
    assert KEY not in str(caught.value) + caught.value.hint
    return caught.value


@pytest.fixture
def settings(repo: Any) -> Settings:
    return find_settings(repo.path, {})


# ---- what is sent


def test_a_request_holds_what_was_written_and_nothing_else() -> None:
    parameters = {"temperature": 0, "max_tokens": 5, "seed": 7, "top_k": 3, "logit_bias": {"50256": -100}}
    with Provider() as provider:
        ask(provider, parameters=parameters)
    [seen] = provider.requests
    assert seen.body == {"model": "m", "messages": list(HELLO), **parameters}
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_streaming_asks_for_usage_unless_the_prompt_says_otherwise() -> None:
    written = {"stream_options": {"include_usage": False}}
    with Provider() as provider:
        ask(provider, stream=True)
        ask(provider, stream=True, parameters=written)
    assert [r.body["stream_options"]["include_usage"] for r in provider.requests] == [True, False]


def test_tools_and_an_output_schema_are_asked_for() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    schema = {
        "type": "object",
        "title": "A b",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    request = CompletionRequest(model="openai/m", messages=HELLO, tools=(tool,), output_schema=schema)
    sent = build_body(request, "m")
    assert sent["tools"] == [tool]
    asked = {"name": "A_b", "schema": schema, "strict": True}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": asked}
    assert "response_format" not in build_body(request, "m", ask_schema=False)


def test_a_response_format_that_is_written_wins() -> None:
    written = {"response_format": {"type": "json_object"}}
    request = CompletionRequest(
        model="openai/m", messages=HELLO, parameters=written, output_schema={"type": "object"}
    )
    assert build_body(request, "m")["response_format"] == {"type": "json_object"}


CLOSED = {"type": "object", "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({**CLOSED, "properties": {"a": {"type": "string"}}, "required": ["a"]}, True),
        ({**CLOSED, "properties": {"a": {"enum": ["x"]}}, "required": ["a"]}, True),
        ({**CLOSED, "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}, True),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"type": "null"}, CLOSED]}}, "required": ["a"]}, True),
        (
            {
                **CLOSED,
                "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
                "required": ["a"],
            },
            True,
        ),
        (
            {**CLOSED, "$defs": {"b": CLOSED}, "properties": {"a": {"$ref": "#/$defs/b"}}, "required": ["a"]},
            True,
        ),
        ({**CLOSED, "$defs": {"b": {}}, "properties": {}}, False),
        ({**CLOSED, "properties": {"a": {"type": "string"}}}, False),
        ({"type": "object", "properties": {}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array"}}, "required": ["a"]}, False),
        ({**CLOSED, "properties": {"a": {"type": "string", "maxLength": 3}}, "required": ["a"]}, False),
        ({**CLOSED, "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "string"}, False),
        (True, False),
    ],
)
def test_strict_is_asked_only_of_a_schema_that_fits(schema: Any, strict: bool) -> None:
    assert fits_strict(schema) is strict


@pytest.mark.parametrize(
    ("name", "value", "next_step"),
    [
        ("stream", True, "terminal"),
        ("model", "x", "`model:`"),
        ("extra_body", {}, "directly under"),
        ("api_key", "k", "environment"),
        ("n", 2, "one answer"),
    ],
)
def test_a_parameter_that_belongs_elsewhere_is_refused(name: str, value: Any, next_step: str) -> None:
    with Provider() as provider:
        error = fail(provider, parameters={name: value})
    assert (error.type, error.exit_code, provider.requests) == ("bad_request", 4, [])
    assert next_step in error.hint


def test_equal_requests_have_equal_identities_without_the_key() -> None:
    wire = OpenAIClient(
        name="n", base_url="http://h/v1/", api_key=KEY, model="m", transport=SingleTransport(Network())
    )
    request = CompletionRequest(model="x/m", messages=HELLO, parameters={"temperature": 0.5})
    name, base, sent = wire.identity(request)
    assert (name, base) == ("n", "http://h/v1")
    expected = '{"model":"m","messages":[{"role":"user","content":"hello"}],"temperature":0.5}'
    assert sent.decode() == expected
    assert KEY not in repr(wire)


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {1, 2}])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        encode_body({"a": value})
    assert caught.value.type == "bad_request"


# ---- what comes back


def test_a_reply_becomes_a_completion() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    pieces: list[str] = []
    with Provider(text("hi", usage=usage)) as provider:
        completion = ask(provider, on_text=pieces.append)
    assert completion == Completion(
        text="hi",
        response_model="stub-1",
        finish_reason="stop",
        input_tokens=9,
        output_tokens=4,
        cached_tokens=3,
        cache_write_tokens=2,
        reasoning_tokens=1,
        response_id="chatcmpl-1",
    )
    assert pieces == ["hi"]


def test_counts_that_a_provider_does_not_give_stay_unknown() -> None:
    got = completion_from_payload(
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": True}}, "m"
    )
    assert (got.input_tokens, got.output_tokens, got.response_model) == (None, None, "m")


@pytest.mark.parametrize(("total", "answered"), [(19, 9), (14, 4), (None, 4)])
def test_reasoning_tokens_counted_beside_the_answer_are_added_to_it(total: int | None, answered: int) -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 5}}
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": total, **details}
    payload = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    assert completion_from_payload(payload, "m").output_tokens == answered


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None, "refusal": "I cannot"}, "I cannot"),
        ({"content": None}, ""),
        (None, ""),
    ],
)
def test_content_in_other_shapes(message: Any, expected: str) -> None:
    assert (
        completion_from_payload({"choices": [{"message": message, "finish_reason": "stop"}]}, "m").text
        == expected
    )


def test_tool_calls_come_whole_and_streamed_alike() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    with Provider(reply(message, finish="tool_calls")) as provider:
        whole = ask(provider)
        streamed = ask(provider, stream=True)
    assert whole.tool_calls == streamed.tool_calls == (call,)
    assert streamed.finish_reason == "tool_calls"


def test_a_tool_call_arrives_in_pieces() -> None:
    first = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}
    second = {"index": 0, "function": {"arguments": ": 1}"}}
    script = events(chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]}), chunk({}, "tool_calls"))
    with Provider(script) as provider:
        [call] = ask(provider, stream=True).tool_calls
    assert call["function"] == {"name": "f", "arguments": '{"a": 1}'}


def test_a_stream_brings_text_as_it_comes_and_then_the_counts() -> None:
    pieces: list[str] = []
    with Provider() as provider:
        completion = ask(provider, stream=True, on_text=pieces.append)
    assert pieces == ["he", "llo"]
    assert (completion.text, completion.input_tokens, completion.finish_reason) == ("hello", 5, "stop")
    assert completion.first_token_ms is not None
    assert completion.first_token_ms > 0


def feed(*lines: bytes) -> StreamParser:
    stream = StreamParser(None, 0.0)
    for line in lines:
        stream.line(line)
    return stream


def test_streams_as_providers_really_write_them() -> None:
    half = json.dumps(chunk({"content": "é"}, "stop")).encode().split(b'"choices"')
    stream = feed(
        b": a comment",
        b"event: message",
        b"data:" + half[0],  # no blank after the colon, and an event over two lines
        b'data: "choices"' + half[1],
        b"",
        b"data: []",
        b'data: {"choices": [{"index": 1, "delta": {"content": "another choice"}}]}',
        b'data: {"choices": ["?"], "x_groq": {"usage": {"prompt_tokens": 2}}}',
        b"data: [DONE]",
    )
    completion = stream.completion("m")
    assert (completion.text, completion.input_tokens) == ("é", 2)


def test_a_stream_that_is_not_answered_with_a_stream() -> None:
    whole = {"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}
    pieces: list[str] = []
    with Provider(as_json(whole)) as provider:
        assert ask(provider, stream=True, on_text=pieces.append).text == "all at once"
    assert pieces == ["all at once"]


# ---- what goes wrong


@pytest.mark.parametrize(
    ("answer", "kind", "exit_code"),
    [
        (status(400, "bad"), "bad_request", 4),
        (status(400, "no", code="content_filter"), "content_filter", 5),
        (status(400, "no", innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filter", 5),
        (status(403, "Content violates usage guidelines."), "content_filter", 5),  # xAI
        (
            status(403, 'OpenAI requires moderation. Your input was flagged for "violence".'),
            "content_filter",
            5,
        ),
        (status(400, "Content Exists Risk"), "content_filter", 5),  # DeepSeek
        (status(400, "unsafe", code="1301"), "content_filter", 5),  # Zhipu
        (as_json({"base_resp": {"status_code": 1026, "status_msg": "x"}}), "content_filter", 5),  # MiniMax
        (status(400, "x", code="data_inspection_failed"), "content_filter", 5),  # DashScope
        (status(400, "Your request was rejected as a result of our safety system."), "content_filter", 5),
        (status(401), "authentication", 4),
        (status(402), "authentication", 4),
        (status(403), "authentication", 4),
        (status(404), "not_found", 4),
        (status(408), "timeout", 5),
        (status(413), "bad_request", 4),
        (status(422), "bad_request", 4),
        (status(429), "rate_limit", 5),
        (status(429, code="insufficient_quota"), "authentication", 4),
        (status(500), "server", 5),
        (status(503), "server", 5),
        (status(529), "server", 5),
        (html(502, "Bad Gateway"), "server", 5),
        (html(), "malformed_reply", 5),
        (malformed(), "malformed_reply", 5),
        (body(b""), "malformed_reply", 5),
        (as_json([1]), "malformed_reply", 5),
        (empty_choices(), "malformed_reply", 5),
        (as_json({"choices": ["x"]}), "malformed_reply", 5),
        (as_json({"error": {"message": "no credit", "code": 402}}), "authentication", 4),
        (as_json({"error": "boom"}), "server", 5),
        (body(b"", 302, Location="http://elsewhere/"), "bad_request", 4),
        (text("half", finish="content_filter"), "content_filter", 5),
    ],
)
def test_each_failure_has_its_type(answer: Any, kind: str, exit_code: int) -> None:
    with Provider(answer) as provider:
        error = fail(provider)
    assert (error.type, error.exit_code) == (kind, exit_code)
    assert "\n" not in str(error)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(400, "max_tokens is\n too large \x1b[31m"), "max_tokens is too large \\x1b[31m"),
        (as_json({"error": "plain"}, 400), "plain"),
        (as_json({"message": "top"}, 400), "top"),
        (as_json({"detail": [{"msg": "field required"}]}, 422), "field required"),
        (as_json([{"error": {"message": "in a list"}}], 400), "in a list"),
        (body(b"upstream down", 503), "upstream down"),
        (body(b"", 503), "no explanation"),
        (html(502, "Bad Gateway"), "an HTML page (Bad Gateway)"),
        (body(b"<html>", 502), "an HTML page"),
        (body(b"", 302), "an unknown address"),
        (status(400, "x" * 5000), "x…"),
        (status(401, f"bad key {KEY}"), "bad key ***"),
    ],
)
def test_the_providers_own_words_are_kept(answer: Any, words: str) -> None:
    with Provider(answer) as provider:
        error = fail(provider)
    assert words in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    "answer",
    [
        status(400, "x", code="context_length_exceeded"),  # OpenAI, Azure, Groq
        status(400, "x", type="exceed_context_size_error"),  # llama.cpp
        *(
            status(400, words)
            for words in (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
                "prompt is too long: 213462 tokens > 200000 maximum",  # Anthropic
                "Input is too long for requested model.",  # Bedrock
                "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",  # xAI
                "Your request exceeded model token limit: 8192",  # Moonshot
                "invalid params, context window exceeds limit",  # MiniMax
                "too many tokens: total number of tokens in the prompt cannot exceed 4081",  # Cohere
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097.",  # TGI
                "Range of input length should be [1, 30720]",  # DashScope
                "prompt too long; exceeded max context length by 4 tokens",  # Ollama
                "The initial prompt is greater than the context length",  # LM Studio
            )
        ),
        status(500, "the request exceeds the available context size"),
        as_json({"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}),
    ],
)
def test_what_is_longer_than_the_context_window_says_so(answer: Any) -> None:
    with Provider(answer) as provider:
        error = fail(provider)
    assert (error.type, error.exit_code) == ("context_exceeded", 4)
    assert "shorten the inputs" in error.hint


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
        (400, "max_output_tokens exceeds the maximum number of tokens allowed"),
        (400, "Unrecognized request argument supplied: context_window"),
        (403, "Your account has been suspended for breaking our usage policy"),
        (429, "Request too large for gpt on tokens per min: reduce the length of the messages"),
    ],
)
def test_other_limits_are_not_taken_for_the_context_window_or_a_filter(number: int, words: str) -> None:
    with Provider(status(number, words)) as provider:
        assert fail(provider).type not in {"context_exceeded", "content_filter"}


def test_hints_name_the_next_step() -> None:
    with Provider(
        [status(401), status(400, code="context_length_exceeded"), status(404), html()]
    ) as provider:
        hints = [fail(provider).hint for _ in range(4)]
    assert hints[0] == "check OPENAI_API_KEY"
    assert "shorten the inputs" in hints[1]
    assert "model's name" in hints[2]
    assert "/v1" in hints[3]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(0, usegmt=True)}, 0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: Mapping[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers) == seconds


def test_retry_after_reaches_the_error() -> None:
    with Provider([status(429, retry_after=7), status(429), status(503, retry_after=2)]) as provider:
        waits = [fail(provider).retry_after for _ in range(3)]
    assert waits == [7, None, 2]


@pytest.mark.parametrize("ending", ["cut", "reset"])
def test_a_stream_cut_in_the_middle_keeps_its_text(ending: Any) -> None:
    with Provider(cut_off("half of", ending=ending)) as provider:
        error = fail(provider, stream=True)
    assert (error.type, error.partial, error.retryable) == ("cut_off", "half of", True)


def test_a_stream_that_just_ends_is_cut_off_too() -> None:
    with Provider(events(chunk({"content": "half"}), done=False)) as provider:
        error = fail(provider, stream=True)
    assert (error.type, error.partial) == ("cut_off", "half")


def test_a_stream_may_leave_out_its_last_word() -> None:
    with Provider(events(chunk({"content": "all"}), chunk({}, "stop"), done=False)) as provider:
        assert ask(provider, stream=True).text == "all"


@pytest.mark.parametrize(
    ("answer", "kind", "partial"),
    [
        (events(chunk({"content": "a"}), {"error": {"message": "overloaded", "code": 529}}), "server", "a"),
        (events(chunk({"content": "a"}), chunk({}, "content_filter")), "content_filter", "a"),
        (events(b"data: {broken\n\n"), "malformed_reply", ""),
        (events(), "malformed_reply", ""),
    ],
)
def test_failures_inside_a_stream(answer: Any, kind: str, partial: str) -> None:
    with Provider(answer) as provider:
        error = fail(provider, stream=True)
    assert (error.type, error.partial) == (kind, partial)


def test_one_line_is_bounded_and_harmless() -> None:
    assert sanitize_line("a\n\tb\x00\x9b") == "a b\\x00\\x9b"
    assert len(sanitize_line("word " * 1000)) <= 400


# ---- which way


def test_every_direct_provider_is_reached_by_its_own_variables(settings: Settings) -> None:
    for provider, (_, keys, bases) in DIRECT_PROVIDERS.items():
        base = bases.split()[0] if bases else ""
        env = {keys.split()[0]: " k1\n", **({base: "http://127.0.0.1:9/x"} if base else {})}
        wire = create_client(f"{provider}/m", settings, env)
        assert isinstance(wire, OpenAIClient)
        assert not base or wire.base_url == "http://127.0.0.1:9/x"
        wire._check_key()  # noqa: SLF001 - nothing public shows it


def test_without_a_key_nothing_is_sent_and_the_variable_is_named(settings: Settings) -> None:
    with Provider() as provider:
        wire = create_client("openai/m", settings, {"OPENAI_BASE_URL": provider.base_url})
        request = CompletionRequest(model="openai/m", messages=HELLO)
        assert wire.identity(request)[0] == "openai"  # a kept reply needs no key
        with pytest.raises(ModelError) as caught:
            asyncio.run(wire.complete(request))
    assert caught.value.type == "authentication"
    assert "OPENAI_API_KEY" in str(caught.value)
    assert provider.requests == []


def test_a_key_with_odd_characters_is_not_shown(settings: Settings) -> None:
    wire = create_client("openai/m", settings, {"OPENAI_API_KEY": "sk-ä\nx"})
    with pytest.raises(ModelError) as caught:
        asyncio.run(wire.complete(CompletionRequest(model="openai/m", messages=HELLO)))
    assert "sk-" not in repr(caught.value)


def test_a_server_of_ones_own_needs_an_address_and_no_key(settings: Settings) -> None:
    with pytest.raises(ModelError, match="no address for hosted_vllm"):
        create_client("hosted_vllm/m", settings, {})
    with Provider() as provider:
        wire = create_client("hosted_vllm/m", settings, {"HOSTED_VLLM_API_BASE": provider.base_url})
        asyncio.run(wire.complete(CompletionRequest(model="hosted_vllm/m", messages=HELLO)))
    assert "authorization" not in provider.requests[0].headers


def test_names_on_the_wire() -> None:
    assert endpoint_model_name("openai", "ft:gpt-4o:x") == "ft:gpt-4o:x"
    assert endpoint_model_name("openrouter", "auto") == "openrouter/auto"
    assert endpoint_model_name("openrouter", "anthropic/claude") == "anthropic/claude"
    assert endpoint_model_name("fireworks_ai", "llama") == "accounts/fireworks/models/llama"
    assert endpoint_model_name("fireworks_ai", "accounts/a/deployments/b") == "accounts/a/deployments/b"


@pytest.mark.parametrize(
    ("model", "way"),
    [
        ("openai/gpt-4o-mini", OpenAIClient),
        ("gpt-4o-mini", OpenAIClient),
        ("openai/responses/gpt-4o", LitellmClient),
        ("openai/o1-pro", LitellmClient),
        ("anthropic/claude-sonnet-4-5", LitellmClient),
        ("claude-sonnet-4-5", LitellmClient),
        ("mistral/mistral-small-latest", LitellmClient),
        ("no-such-model", LitellmClient),
    ],
)
def test_which_way_a_model_is_reached(model: str, way: type, settings: Settings) -> None:
    assert type(create_client(model, settings, {})) is way


def test_many_calls_go_over_the_other_transport(settings: Settings) -> None:
    async def once(base_url: str) -> Completion:
        env = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}
        wire = create_client("openai/m", settings, env, pooled=True)
        try:
            return await wire.complete(CompletionRequest(model="openai/m", messages=HELLO))
        finally:
            await wire.aclose()

    with Provider() as provider:
        assert asyncio.run(once(provider.base_url)).text == "hello"


def test_a_placeholder_of_a_key_leaves_the_words_alone(settings: Settings) -> None:
    with Provider(status(401, "bad key")) as provider:
        env = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": provider.base_url}
        with pytest.raises(ModelError, match="bad key"):
            asyncio.run(
                create_client("openai/m", settings, env).complete(
                    CompletionRequest(model="openai/m", messages=HELLO)
                )
            )


def test_a_schema_is_not_asked_of_a_model_known_not_to_take_one(settings: Settings) -> None:
    schema = {"type": "object"}
    for model, asked in [("openai/gpt-4", False), ("openai/gpt-4o", True), ("openai/my-own", True)]:
        request = CompletionRequest(model=model, messages=HELLO, output_schema=schema)
        sent = json.loads(create_client(model, settings, {}).identity(request)[2])
        assert ("response_format" in sent) is asked


def test_local_models_are_embedded(settings: Settings) -> None:
    with pytest.raises(Exception, match="local/"):
        create_client("local/no-such-model", settings, {})
    assert EmbeddedClient.name == "embedded"

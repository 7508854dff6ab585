"""Anthropic's and Gemini's wire on loopback, reached through litellm by the variables that users have."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import find_settings
from promptops.providers import create_client
from promptops.providers.litellm_client import LitellmClient, import_litellm, to_model_error
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.front_door import Cli, Repo
from support.provider import Answer, Provider, Received, as_json, body, html, reset, slow, status

CLAUDE, GEMINI = "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # litellm's own
KEY = "sk-ant-secret-0123456789"
HELLO = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"})
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


def claude(request: Received) -> Answer:
    usage = {
        "input_tokens": 10,
        "output_tokens": 3,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 2,
    }
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "usage": usage}
    if not request.streams:
        return as_json({**start, "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn"})
    return sse(
        {"type": "message_start", "message": {**start, "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}}
            for t in ("hel", "lo")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    )


def gemini(request: Received) -> Answer:
    def part(text: str, **more: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, **more}
        usage = {
            "promptTokenCount": 10,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 15,
        }
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-x"}

    if "stream" not in request.path:
        return as_json(part("hello", finishReason="STOP"))
    return sse(part("hel"), part("lo", finishReason="STOP"))


def sse(*payloads: dict[str, Any]) -> Answer:
    lines = [
        f"event: {p.get('type')}\n".encode() * ("type" in p) + b"data: " + json.dumps(p).encode() + b"\n\n"
        for p in payloads
    ]
    return Answer(headers={"Content-Type": "text/event-stream"}, pieces=tuple(lines))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with Provider() as server:
        base = server.base_url.removesuffix("/v1")
        monkeypatch.setenv("ANTHROPIC_API_BASE", base)
        monkeypatch.setenv("GEMINI_API_BASE", base)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        yield server


def ask(model: str, on_text: Any = None, *, schema: bool = False, **request: Any) -> Completion:
    async def once() -> Completion:
        adapter = LitellmClient(model, os.environ, asks_schema=lambda: schema)
        try:
            return await adapter.complete(CompletionRequest(model=model, messages=HELLO, **request), on_text)
        finally:
            await adapter.aclose()

    return asyncio.run(once())


def fail(model: str, **request: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(model, **request)
    error = caught.value
    assert KEY not in str(error) + error.hint
    assert error.__context__ is None
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize(("model", "script"), [(CLAUDE, claude), (GEMINI, gemini)])
def test_an_answer_whole_and_streamed(provider: Provider, model: str, script: Any) -> None:
    provider.script = script
    pieces: list[str] = []
    whole = ask(model)
    streamed = ask(model, pieces.append, stream=True)
    assert whole.text == streamed.text == "hello"
    assert whole.finish_reason == streamed.finish_reason == "stop"
    assert whole.input_tokens == streamed.input_tokens == (16 if model == CLAUDE else 10)
    assert whole.output_tokens == streamed.output_tokens
    assert "".join(pieces) == "hello"
    assert streamed.first_token_ms is not None
    assert len(provider.requests) == 2


def test_counts_of_cached_and_reasoning_tokens(provider: Provider) -> None:
    provider.script = claude
    got = ask(CLAUDE)
    assert (got.cached_tokens, got.cache_write_tokens, got.response_model) == (4, 2, "claude-x")
    provider.script = gemini
    assert ask(GEMINI).reasoning_tokens == 2


def test_parameters_tools_and_schema_reach_the_wire(provider: Provider) -> None:
    provider.script = claude
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    ask(
        CLAUDE,
        parameters={"temperature": 0.5, "max_tokens": 9},
        tools=(TOOL,),
        output_schema=schema,
        schema=True,
    )
    sent = provider.requests[0].body
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 9)
    assert "f" in {tool["name"] for tool in sent["tools"]}
    assert "a" in json.dumps(sent)
    assert provider.requests[0].headers["x-api-key"] == KEY


def test_a_request_stays_as_it_was_written(provider: Provider) -> None:
    """A second attempt with the notes that litellm writes into its metadata would be refused."""
    provider.script = claude
    request = CompletionRequest(model=CLAUDE, messages=HELLO, parameters={"metadata": {"user_id": "u42"}})
    for _ in range(2):
        asyncio.run(LitellmClient(CLAUDE).complete(request))
    assert request.parameters == {"metadata": {"user_id": "u42"}}
    assert [each.body["metadata"] for each in provider.requests] == [{"user_id": "u42"}] * 2


@pytest.mark.parametrize("model", [CLAUDE, GEMINI])
@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (status(400, "bad thing"), "bad_request", 400),
        (status(401, f"bad key {KEY}"), "authentication", 401),
        (status(403, "no"), "authentication", 403),
        (status(404, "no such model"), "not_found", 404),
        (status(429, "slow down", retry_after=3), "rate_limit", 429),
        (status(500, "oops"), "server", 500),
        (status(529, "overloaded"), "server", 529),
        (html(), "malformed_reply", None),
        (as_json({}), "malformed_reply", None),
        (reset(), "connection", None),
    ],
)
def test_each_failure_has_its_type(
    provider: Provider, model: str, answer: Answer, kind: str, code: int | None
) -> None:
    provider.script = answer
    error = fail(model)
    assert (error.type, error.status) == (kind, code)
    assert error.retry_after == (3 if kind == "rate_limit" else None)
    assert len(provider.requests) == 1  # litellm retries nothing


def test_the_providers_own_words_are_kept(provider: Provider) -> None:
    provider.script = status(400, "max_tokens is too large")
    assert str(fail(CLAUDE)) == f"{CLAUDE}: max_tokens is too large"


def test_refused(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_BASE", "http://127.0.0.1:9")
    error = fail(CLAUDE)
    assert (error.type, error.retryable, error.status) == ("connection", True, None)


def test_too_slow(provider: Provider) -> None:
    provider.script = slow(30, as_json({}))
    error = fail(CLAUDE, timeout=0.3)
    assert (error.type, error.exit_code) == ("timeout", 5)
    assert provider.hung_up.wait(2)


def test_a_stream_cut_in_the_middle_keeps_its_text(provider: Provider) -> None:
    def half(request: Received) -> Answer:
        whole = claude(request)
        return Answer(headers=whole.headers, pieces=whole.pieces[:3], ending="cut")

    provider.script = half
    error = fail(CLAUDE, stream=True)
    assert (error.type, error.partial) == ("cut_off", "hel")


def test_a_filtered_answer_is_an_error(provider: Provider) -> None:
    candidate = {"finishReason": "SAFETY", "content": {"parts": [{"text": "ha"}], "role": "model"}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    provider.script = as_json({"candidates": [candidate], "usageMetadata": usage})
    assert fail(GEMINI).type == "content_filter"


def test_without_a_key_nothing_is_sent_and_the_variable_is_named(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    error = fail(CLAUDE)
    assert error.type == "authentication"
    assert "ANTHROPIC_API_KEY" in str(error)
    assert provider.requests == []


def test_a_parameter_that_the_model_lacks_is_an_error_not_dropped(provider: Provider) -> None:
    error = fail(CLAUDE, parameters={"logit_bias": {"1": 1}})
    assert (error.type, provider.requests) == ("bad_request", [])
    assert "logit_bias" in str(error)


@pytest.mark.parametrize("model", ["no-such-provider/m", "no-such-model"])
def test_an_unknown_provider(model: str) -> None:
    error = fail(model)
    assert (error.type, error.exit_code) == ("not_found", 4)
    assert str(error) == f"no provider is known for {model}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Timeout", "timeout"),
        ("ContentPolicyViolationError", "content_filter"),
        ("RateLimitError", "rate_limit"),
    ],
)
def test_errors_that_litellm_names_itself(name: str, kind: str) -> None:
    error = getattr(import_litellm().exceptions, name)(message="x", model="m", llm_provider="p")
    assert to_model_error(error, "p/m").type == kind


def test_without_litellm_the_command_that_installs_it_is_named(
    cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # how Python marks what cannot be imported
    repo.write("prompts/greet.yaml", f"model: {CLAUDE}\nmessages:\n  - {{role: user, content: Hello}}\n")
    done = cli("run", "greet")
    assert done.code == 4
    assert done.err.endswith(
        f"{CLAUDE} is called through litellm, which is not installed\n"
        "  pip install 'git-promptops[providers]'\n"
    )


def test_identity_holds_the_address_and_no_key(provider: Provider) -> None:
    request = CompletionRequest(model=CLAUDE, messages=HELLO, parameters={"temperature": 0})
    name, base, sent = LitellmClient(CLAUDE, os.environ).identity(request)
    assert (name, base) == ("litellm", provider.base_url.removesuffix("/v1"))
    assert json.loads(sent) == {"model": CLAUDE, "messages": list(HELLO), "temperature": 0}
    assert LitellmClient(CLAUDE, {}).identity(request)[1] == ""


def test_making_the_adapter_imports_nothing_and_a_call_prints_nothing(provider: Provider, repo: Any) -> None:
    provider.script = [claude_answer(), status(500, "oops"), reset()]
    program = Path(repo.path, "call.py")
    program.write_text(
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from promptops.providers import create_client\n"
        "from promptops.providers.types import ModelError, CompletionRequest\n"
        "from promptops.config.settings import find_settings\n"
        f"adapter = create_client({CLAUDE!r}, find_settings(Path('.'), os.environ), os.environ)\n"
        "assert 'litellm' not in sys.modules\n"
        "async def main():\n"
        f"    request = CompletionRequest(model={CLAUDE!r}, messages=({{'role': 'user', 'content': 'x'}},))\n"
        "    await adapter.aclose()\n"
        "    await adapter.complete(request)\n"
        "    for _ in range(2):\n"
        "        try:\n"
        "            await adapter.complete(request)\n"
        "        except ModelError:\n"
        "            pass\n"
        "    await adapter.aclose()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(provider.requests) == 3


def claude_answer() -> Answer:
    return claude(Received("/", {}, b"{}"))


def test_a_known_model_is_asked_for_its_schema(repo: Any) -> None:
    settings = find_settings(repo.path, {})
    request = CompletionRequest(model=CLAUDE, messages=HELLO, output_schema={"type": "object"})
    assert b"json_schema" in create_client(CLAUDE, settings, {}).identity(request)[2]
    assert b"json_schema" not in create_client("mistral/unheard-of", settings, {}).identity(request)[2]


def test_a_body_that_is_not_json(provider: Provider) -> None:
    provider.script = body(b'{"half', **{"Content-Type": "application/json"})
    assert fail(CLAUDE).type == "malformed_reply"

"""Chat histories: every role, tool calls and results, parts, and what is refused."""

import json
from typing import Any

import pytest

from promptops.errors import Invalid
from promptops.prompt.chat import message_text
from promptops.prompt.load import load_prompt
from promptops.prompt.render import estimate_tokens, render_prompt
from promptops.providers.openai.request import build_body
from promptops.providers.types import CompletionRequest
from support.front_door import Cli, Repo
from support.provider import Provider, text

CHAT = """\
model: %s
inputs: {chat: messages}
messages:
  - insert: chat
  - role: user
    content:
      - {text: "{{ 1 + 1 }}", cache_control: {type: ephemeral, ttl: 1h}}
"""
CACHED = {"cache_control": {"type": "ephemeral"}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "{{ x }}"}'}}
WHOLE: list[dict[str, Any]] = [
    {"role": "system", "content": "Be {{ brief }}.", **CACHED},
    {"role": "developer", "content": [{"type": "text", "text": "{% raw %}", **CACHED}]},
    {
        "role": "user",
        "name": "ada",
        "content": [
            {"type": "text", "text": "{{ what }}"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}, **CACHED},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            },
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None},
    {"role": "tool", "tool_call_id": "c1", "content": "{{ 7 }} °C"},
    {"role": "assistant", "content": "Cold.", "tool_calls": None, "reasoning_content": "7 is little"},
]


def test_a_whole_history_is_sent_as_it_is(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = text("ok")
    repo.write("chat.json", json.dumps(WHOLE))
    repo.write("prompts/chat.yaml", CHAT % "openai/gpt-4o-2024-08-06")
    done = cli("run", "chat", "-i", "chat=@chat.json", "--json")
    assert done.code == 0, done.err
    sent = provider.requests[0].body["messages"]
    assert sent == json.loads(
        json.dumps([*WHOLE, user("2")]).replace(', "cache_control": {"type": "ephemeral"}', "")
    )
    shown = cli("runs", "show", json.loads(done.out)["run_id"]).out
    assert "[image/png, 8 bytes]\n[image_url: https://example.com/a.png]\n" in shown
    assert '"name": "weather"' in shown
    assert "{{ what }}" in cli("render", "chat", "-i", "chat=@chat.json").out


def user(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": content, **more}]}


@pytest.mark.parametrize("kept", [True, False])
def test_marks_of_the_cache_go_where_they_are_known(
    kept: bool, cli: Cli, repo: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_BASE", provider.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or")
    provider.script = text("ok")
    repo.write("chat.json", json.dumps(WHOLE[:2]))
    model = "openrouter/anthropic/claude-sonnet-4.5" if kept else "openai/gpt-4o-2024-08-06"
    repo.write("prompts/chat.yaml", CHAT % model)
    assert cli("run", "chat", "-i", "chat=@chat.json").code == 0
    assert provider.requests[0].raw.count(b"cache_control") == 3 * kept
    assert (b'"ttl":"1h"' in provider.requests[0].raw) is kept


def test_marks_make_another_version_and_their_absence_none(repo: Repo) -> None:
    def digest(mark: str) -> str:
        content = (
            CHAT.replace(", cache_control: {type: ephemeral, ttl: 1h}", mark) % "openai/gpt-4o-2024-08-06"
        )
        return load_prompt("chat", {"chat.yaml": content.encode()}.get).digest

    plain, marked = digest(""), digest(", cache_control: {type: ephemeral}")
    assert plain != marked
    assert marked != digest(", cache_control: {type: ephemeral, ttl: 5m}")


BAD: list[tuple[Any, str]] = [
    ({"role": "robot", "content": "x"}, "`chat[0].role` must be one of"),
    ({"content": "x"}, "`chat[0]` lacks `role`"),
    ({"role": "user"}, "`chat[0]` lacks `content`"),
    ({"role": "user", "content": None}, "`chat[0].content` must be"),
    ({"role": "user", "content": []}, "`chat[0].content`"),
    ({"role": "tool", "content": "x"}, "`chat[0]` lacks `tool_call_id`"),
    ({"role": "assistant"}, "`chat[0]` lacks `content`"),
    ({"role": "assistant", "content": None}, "`chat[0].content` must be"),
    ({"role": "assistant", "content": None, "tool_calls": []}, "`chat[0].content` must be"),
    (
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        "`chat[0].tool_calls[0]` lacks `type`",
    ),
    ({"role": "user", "content": "x", "tool_calls": [CALL]}, "tool_calls"),
    ({"role": "user", "content": "x", "api_base": "http://e"}, "api_base"),
    (user("x", cache_control={"type": "forever"}), "`chat[0].content[0].cache_control.type`"),
    (user("x", cache_control={"type": "ephemeral", "ttl": "1y"}), "`chat[0].content[0].cache_control.ttl`"),
    ({"role": "user", "content": [{"text": "x"}]}, "`chat[0].content[0]` lacks `type`"),
    ({"role": "user", "content": [{"type": "video"}]}, "`chat[0].content[0].type` must be one of"),
    ({"role": "user", "content": [{"type": "text"}]}, "`chat[0].content[0]` lacks `text`"),
    (
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
        "must be one of `text`",
    ),
    ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}, "url"),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]},
        "url",
    ),
    ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/etc/passwd"}}]}, "url"),
    ({"role": "user", "content": [{"type": "file", "file": {"file_id": "../x/y"}}]}, "file_id"),
    ({"role": "user", "content": [{"type": "file", "file": {"filename": "x"}}]}, "`chat[0].content[0].file`"),
    ("x", "`chat[0]` must be"),
]


@pytest.mark.parametrize(("message", "problem"), BAD)
def test_what_is_no_message_is_refused_with_its_place(message: Any, problem: str) -> None:
    prompt = load_prompt("chat", {"chat.yaml": (CHAT % "openai/gpt-4o-2024-08-06").encode()}.get)
    with pytest.raises(Invalid) as refused:
        render_prompt(prompt, {"chat": [message]})
    assert problem in refused.value.message


def result(call: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": "7"}


def asked(*calls: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": each} for each in calls]}


HI = {"role": "user", "content": "Hi"}
LAST = "model: openai/gpt-4o-2024-08-06\ninputs: {chat: messages}\nmessages: [{insert: chat}]\n"
OWN = """\
model: openai/gpt-4o-2024-08-06
inputs: {chat: messages}
messages:
  - role: assistant
    tool_calls: [{id: c1, type: function, function: {name: weather, arguments: "{}"}}]
  - insert: chat
"""


@pytest.mark.parametrize(
    ("chat", "problem"),
    [
        ([], "no message to send: the input `chat` is an empty history"),
        (
            [result("c1")],
            "`chat[0]` is the result of the tool call `c1`, and follows no message that makes it",
        ),
        ([HI, asked("c1"), result("c2")], "`chat[2]` is the result of the tool call `c2`"),
        ([asked("c1"), result("c1"), HI, result("c1")], "`chat[3]` is the result of the tool call `c1`"),
        ([HI, asked("c1"), HI], "`chat[1]` makes the tool call `c1`, and its result does not follow"),
        ([HI, asked("c1")], "`chat[1]` makes the tool call `c1`, and its result does not follow"),
        ([HI, asked("c1", "c1"), result("c1")], "`chat[1]` makes more than one tool call `c1`"),
        ([asked("c1", "c2"), result("c2")], "`chat[0]` makes the tool call `c1`"),
        ([asked("c1"), asked("c2"), result("c1"), result("c2")], "`chat[0]` makes the tool call `c1`"),
    ],
)
def test_a_history_that_no_provider_takes_is_refused_before_the_call(
    chat: Any, problem: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("chat.json", json.dumps(chat))
    repo.write("prompts/chat.yaml", LAST)
    done = cli("run", "chat", "-i", "chat=@chat.json")
    assert done.code == 4
    assert problem in done.err
    assert provider.requests == []


@pytest.mark.parametrize(
    ("prompt", "chat"),
    [
        (CHAT % "openai/gpt-4o-2024-08-06", []),
        (LAST, [asked("c1", "c2"), result("c2"), result("c1"), HI]),
        (LAST, [asked("c1"), result("c1"), asked("c1"), result("c1")]),
        (OWN, [result("c1")]),
        (LAST, [{**asked("c1"), "tool_calls": None, "content": "x"}]),
    ],
)
def test_results_may_answer_their_calls_in_any_order(prompt: str, chat: Any) -> None:
    assert render_prompt(load_prompt("chat", {"chat.yaml": prompt.encode()}.get), {"chat": chat}).messages


def test_files_count_and_messages_read_as_text() -> None:
    large = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 40_000}}
    assert estimate_tokens([{"role": "user", "content": [large]}]) > 30_000 / 4
    assert message_text(WHOLE[3]).startswith("[\n")
    assert "[application/pdf, 5 bytes]\n[file: file-1]\n[input_audio, 4 bytes]" in message_text(WHOLE[2])
    assert message_text({"role": "user", "content": [{"type": "odd"}]}) == "[odd, 0 bytes]"


def test_a_body_keeps_what_it_is_made_of() -> None:
    request = CompletionRequest(model="m", messages=tuple(WHOLE))
    assert "cache_control" not in json.dumps(build_body(request, "m", cache_control=False))
    assert build_body(request, "m")["messages"] == WHOLE

"""Released prompts in the Model Context Protocol."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.front_door import Cli, Repo
from support.fuzzing import damaged_json, fuzz_settings
from support.greet_releases import ok, told
from support.provider import Provider

Ask = Callable[..., list[Any]]
PROMPT = """\
description: Answer somebody.
model: openai/gpt-4o-mini-2024-07-18
inputs:
  ask: {type: string, description: What is asked.}
  language: {type: string, enum: [en, es, de], default: en}
  most: {type: integer, default: 3}
messages:
  - {role: system, content: "Answer in {{ language }}, {{ most }} words."}
  - {role: user, content: "{{ ask }}"}
"""


@pytest.fixture
def ask(cli: Cli, repo: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Send messages, or lines as they are, and get what is answered."""
    repo.write("prompts/help.yaml", PROMPT)
    repo.write(".gitignore", "registry.db*\n")
    repo.commit()
    ok(cli("promote", "help@HEAD", "--yes"))

    def send(*messages: Any) -> list[Any]:
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(lines) + b"\n")))
        return [json.loads(line) for line in ok(cli("serve", "--mcp")).out.splitlines()]

    return send


def request(method: str, number: int = 1, /, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def test_a_session(ask: Ask, provider: Provider, cli: Cli) -> None:
    arguments = {"ask": "Why?", "language": "de", "most": "5"}
    begun, listed, got, completed, ponged = ask(
        request("initialize", 1, protocolVersion="2025-06-18", capabilities={}),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request("prompts/list", 2),
        request("prompts/get", 3, name="help:production", arguments=arguments),
        request(
            "completion/complete",
            4,
            ref={"type": "ref/prompt", "name": "help:production"},
            argument={"name": "language", "value": "e"},
        ),
        request("ping", 5),
    )
    assert [each["id"] for each in (begun, listed, got, completed, ponged)] == [1, 2, 3, 4, 5]
    assert begun["result"]["protocolVersion"] == "2025-06-18"
    (prompt,) = listed["result"]["prompts"]
    assert (prompt["name"], prompt["description"]) == ("help:production", "Answer somebody.")
    assert prompt["arguments"][0] == {"name": "ask", "description": "What is asked.", "required": True}
    assert [each["required"] for each in prompt["arguments"]] == [True, False, False]
    assert got["result"]["messages"] == [
        {"role": "user", "content": {"type": "text", "text": "Answer in de, 5 words."}},
        {"role": "user", "content": {"type": "text", "text": "Why?"}},
    ]
    assert completed["result"]["completion"] == {"values": ["en", "es"], "total": 2, "hasMore": False}
    assert ponged["result"] == {}
    assert not provider.requests
    assert told(cli, "runs", "list", "--all") == []


def test_a_released_number_can_be_asked_for(ask: Ask) -> None:
    (got,) = ask(request("prompts/get", name="help@v1", arguments={"ask": "Why?"}))
    assert got["result"]["messages"][1]["content"]["text"] == "Why?"


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"{", -32700, "not JSON"),
        (b'{"id": 1, "method": "ping", "method": "prompts/list"}', -32700, "not JSON"),
        (b"[1]", -32600, "not an object"),
        (request("tools/list"), -32601, "no method tools/list"),
        (request("server/discover"), -32601, "no method"),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}, -32602, "must be an object"),
        (request("prompts/get"), -32602, "name must be a text"),
        (request("prompts/get", name="halp:production"), -32602, "did you mean help:production"),
        (request("prompts/get", name="help"), -32602, "names no released version"),
        (request("prompts/get", name="help@HEAD"), -32602, "only released versions"),
        (request("prompts/get", name="../x:production"), -32602, "is not the name"),
        (request("prompts/get", name="help:production"), -32602, "`ask` is missing"),
        (request("prompts/get", name="help:production", arguments={"ask": 3}), -32602, "must be texts"),
        (
            request("prompts/get", name="help:production", arguments={"ask": "x", "most": "{"}),
            -32602,
            "`most` must be JSON",
        ),
        (request("completion/complete", ref="x", argument={}), -32602, "must be objects"),
    ],
)
def test_what_cannot_be_answered(ask: Ask, message: Any, code: int, said: str) -> None:
    (answer,) = ask(message)
    assert (answer["error"]["code"], said in answer["error"]["message"]) == (code, True), answer


def test_what_nobody_waits_for_is_not_answered(ask: Ask) -> None:
    assert ask({"jsonrpc": "2.0", "method": "nonsense"}, b"", {"jsonrpc": "2.0", "id": 1, "result": {}}) == []


OFFICIAL = """
import asyncio, json, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    arguments = ["-m", "promptops", "serve", "--mcp"]
    server = StdioServerParameters(command=sys.argv[1], args=arguments, env=json.loads(sys.argv[2]))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        listed = await session.list_prompts()
        got = await session.get_prompt("help:production", {"ask": "Why?"})
        print(json.dumps([[each.name for each in listed.prompts], got.messages[-1].content.text]))

asyncio.run(main())
"""


def test_the_official_client(ask: Ask, repo: Repo) -> None:
    """``PROMPTOPS_MCP_PYTHON`` is a Python that has the package mcp."""
    python = os.environ.get("PROMPTOPS_MCP_PYTHON")
    if not python:
        pytest.skip("needs PROMPTOPS_MCP_PYTHON, a Python with the package mcp")
    command = [python, "-c", OFFICIAL, sys.executable, json.dumps(dict(os.environ))]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=repo.path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["help:production"], "Why?"]


_PARAMS = {
    "name": "help:production",
    "arguments": {"ask": "x", "most": "5"},
    "ref": {"type": "ref/prompt", "name": "help:production"},
    "argument": {"name": "language", "value": "e"},
    "protocolVersion": "2025-06-18",
}
_METHODS = ["initialize", "ping", "prompts/list", "prompts/get", "completion/complete"]


@pytest.mark.slow
@given(data=st.data())
@fuzz_settings(15)
def test_any_line_has_an_answer_or_needs_none(ask: Ask, data: st.DataObject) -> None:
    samples = [{"jsonrpc": "2.0", "id": 1, "method": method, "params": _PARAMS} for method in _METHODS]
    lines = data.draw(st.lists(damaged_json(samples).map(lambda line: line.replace(b"\n", b" ")), max_size=9))
    *_, last = ask(*lines, request("ping", 7))
    assert last == {"jsonrpc": "2.0", "id": 7, "result": {}}


@pytest.mark.parametrize("number", [[], {}, True])
def test_an_id_is_a_text_or_a_number(ask: Ask, number: Any) -> None:
    refused, ponged = ask({"jsonrpc": "2.0", "id": number, "method": "ping"}, request("ping", 7))
    assert (refused["id"], refused["error"]["code"]) == (None, -32600)
    assert ponged["id"] == 7

"""OpenAI's own clients, unchanged but for their base URL, against the gateway."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptops import Limits
from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import go_live, runs
from support.provider import Provider, chunk, echo, events, reply, status, text

if TYPE_CHECKING:
    import openai  # a second; for the tests that call it alone

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


@pytest.fixture
def gateway(cli: Cli, repo: Repo, provider: Provider) -> Iterator[Client]:
    go_live(cli, repo)
    with running_gateway(repo.path, limits=Limits(retries=0)) as running:
        yield running


@pytest.fixture
def sdk(gateway: Client) -> Iterator["openai.OpenAI"]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=gateway.base_url, api_key="none") as client:
        yield client


def test_chat(sdk: "openai.OpenAI", repo: Repo) -> None:
    asked = sdk.chat.completions.with_raw_response.create(
        model="greet:production", messages=[{"role": "user", "content": "Ada"}], user="u1", temperature=1
    )
    answer = asked.parse()
    assert answer.choices[0].message.content == "Greet Ada."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert asked.headers["x-promptops-run-id"] == runs(repo)[0]["run_id"]
    assert asked.headers["x-promptops-ignored"] == "temperature"
    named = sdk.chat.completions.create(
        model="greet@v1", messages=[], extra_body={"inputs": {"name": "Grace"}}
    )
    assert named.choices[0].message.content == "Greet Grace."


def test_models(sdk: "openai.OpenAI") -> None:
    assert [model.id for model in sdk.models.list()] == ["greet:production"]
    assert sdk.models.retrieve("greet:production").owned_by == "promptops"


def test_streams(sdk: "openai.OpenAI", provider: Provider) -> None:
    words = ["one ", "two ", "three"]
    usage = chunk({}) | {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    provider.script = events(*(chunk({"content": word}) for word in words), chunk({}, "stop"), usage)
    stream = sdk.chat.completions.create(
        model="greet:production",
        messages=[{"role": "user", "content": "Ada"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert [each.choices[0].delta.content for each in chunks[:3]] == words
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 8


def test_tools(sdk: "openai.OpenAI", provider: Provider) -> None:
    provider.script = reply(
        {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, finish="tool_calls"
    )
    chat = [{"role": "user", "content": "Ada"}]
    (call,) = (
        sdk.chat.completions.create(model="greet:production", messages=chat).choices[0].message.tool_calls
    )
    assert (call.function.name, call.function.arguments) == ("look", '{"at": 1}')
    with sdk.chat.completions.stream(model="greet:production", messages=chat) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.name == "look"


def test_structured_output(cli: Cli, repo: Repo, provider: Provider) -> None:
    from pydantic import BaseModel

    openai = pytest.importorskip("openai")

    class Greeting(BaseModel):
        word: str

    go_live(
        cli,
        repo,
        more="output: {schema: {type: object, properties: {word: {type: string}}, "
        "required: [word], additionalProperties: false}}\n",
    )
    provider.script = text('{"word": "Hi"}')
    with running_gateway(repo.path) as running, openai.OpenAI(base_url=running.base_url, api_key="x") as sdk:
        answer = sdk.chat.completions.parse(
            model="greet:production",
            messages=[{"role": "user", "content": "Ada"}],
            response_format=Greeting,
        )
    assert answer.choices[0].message.parsed == Greeting(word="Hi")


def test_errors_are_the_clients_own(sdk: "openai.OpenAI", provider: Provider) -> None:
    import openai

    chat = [{"role": "user", "content": "Ada"}]
    with pytest.raises(openai.NotFoundError, match="greet:production"):
        sdk.chat.completions.create(model="great:production", messages=chat)
    with pytest.raises(openai.BadRequestError, match="`n` asks for another kind of answer"):
        sdk.chat.completions.create(model="greet:production", messages=chat, n=2)
    provider.script = status(429, "slow down")
    with pytest.raises(openai.RateLimitError, match="slow down"):
        sdk.chat.completions.create(model="greet:production", messages=chat)


def test_a_client_that_retries_makes_no_second_call_and_no_second_run(
    sdk: "openai.OpenAI", provider: Provider, repo: Repo
) -> None:
    import openai

    assert sdk.max_retries == 2
    provider.script = status(503, "down")
    with pytest.raises(openai.InternalServerError):
        sdk.chat.completions.create(model="greet:production", messages=[{"role": "user", "content": "Ada"}])
    assert (len(provider.requests), len(runs(repo))) == (1, 1)


def test_reusable_prompts(sdk: "openai.OpenAI", repo: Repo) -> None:
    answer = sdk.responses.create(prompt={"id": "greet", "version": "1", "variables": {"name": "Ada"}})
    assert answer.output_text == "Greet Ada."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert runs(repo)[0]["reference"] == "greet@v1"
    with sdk.responses.stream(model="unused", prompt={"id": "greet"}, input="Grace") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert ("".join(deltas), final.output_text) == ("Greet Grace.", "Greet Grace.")


NODE_SCRIPT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none" });
const model = "greet:production", messages = [{ role: "user", content: "Ada" }];
const said = {};
const whole = await client.chat.completions.create({ model, messages, user: "u1" });
said.chat = whole.choices[0].message.content;
said.pieces = [];
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
  if (chunk.choices[0]?.delta?.content) said.pieces.push(chunk.choices[0].delta.content);
const prompt = { id: "greet", version: "1", variables: { name: "Grace" } };
said.response = (await client.responses.create({ prompt })).output_text;
said.events = [];
for await (const event of await client.responses.create({ prompt, stream: true }))
  said.events.push(event.type);
said.models = (await client.models.list()).data.map((each) => each.id);
try { await client.chat.completions.create({ model: "great:production", messages }); }
catch (error) { said.error = [error.status, error.code, error.constructor.name]; }
try { await client.chat.completions.create({ model, messages: [{ role: "user", content: "FAIL" }] }); }
catch (error) { said.failure = [error.status, error.code]; }
console.log(JSON.stringify(said));
"""


def test_the_client_for_node(gateway: Client, repo: Repo, provider: Provider, tmp_path: Path) -> None:
    """``PROMPTOPS_NODE_MODULES`` is a folder in which ``npm install openai`` was run."""
    modules = Path(os.environ.get("PROMPTOPS_NODE_MODULES", "nowhere"), "node_modules")
    if shutil.which("node") is None or not (modules / "openai").is_dir():
        pytest.skip("needs node, and PROMPTOPS_NODE_MODULES with the package openai")
    provider.script = lambda request: status(503, "down") if b"FAIL" in request.raw else echo(request)
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "calls.mjs").write_text(NODE_SCRIPT, encoding="utf-8")
    command = ["node", str(tmp_path / "calls.mjs"), gateway.base_url]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["chat"], "".join(found["pieces"]), found["response"]) == (
        "Greet Ada.",
        "Greet Ada.",
        "Greet Grace.",
    )
    assert (found["events"][0], found["events"][-1]) == ("response.created", "response.completed")
    assert found["models"] == ["greet:production"]
    assert found["error"] == [404, "model_not_found", "NotFoundError"]
    assert found["failure"] == [502, "provider_error"]
    assert len([request for request in provider.requests if b"FAIL" in request.raw]) == 1  # retries make none
    assert len(runs(repo)) == 5

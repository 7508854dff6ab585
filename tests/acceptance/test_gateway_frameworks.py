"""Frameworks, unchanged but for their base URL, against the gateway: the AI SDK and LangChain.

``PROMPTOPS_NODE_MODULES`` is a folder in which ``npm install ai @ai-sdk/openai zod`` was run,
``PROMPTOPS_LANGCHAIN_PYTHON`` a Python that has ``langchain-openai``.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import go_live, ok, runs
from support.provider import Answer, Provider, Received, echo, reply, text

AGENT = """\
model: openai/gpt-4o-mini-2024-07-18
caller_tools: allow
inputs: {chat: messages}
messages: [{role: system, content: Help.}, {insert: chat}]
"""


def look_first(request: Received) -> Answer:
    """Whoever brings a tool is asked to use it, and told what it said."""
    last, tools = request.body["messages"][-1], request.body.get("tools")
    if last["role"] == "tool":
        return text(f"It is {last['content']}.")
    if not tools:
        return echo(request)
    function = {"name": tools[-1]["function"]["name"], "arguments": '{"city": "Rome"}'}
    call = {"id": "c1", "type": "function", "function": function}
    return reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")


@pytest.fixture
def gateway(cli: Cli, repo: Repo, provider: Provider) -> Iterator[Client]:
    provider.script = look_first
    repo.write("prompts/agent.yaml", AGENT)
    go_live(cli, repo)
    ok(cli("promote", "agent@HEAD", "--yes"))
    with running_gateway(repo.path) as running:
        yield running


def said(command: list[str], gateway: Client) -> Any:
    done = subprocess.run(
        [*command, gateway.base_url], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


AI_SDK = """
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText, stepCountIs, tool } from "ai";
import { z } from "zod";
globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: process.argv[2], apiKey: "none" });
const execute = async ({ city }) => `fine in ${city}`;
const weather = tool({ inputSchema: z.object({ city: z.string() }), execute });
const tools = { weather }, stopWhen = stepCountIs(3);
const said = {};
for (const [name, model] of [["responses", openai], ["chat", openai.chat]]) {
  const plain = await generateText({ model: model("greet:production"), prompt: "Ada", temperature: 0.2 });
  const asked = { model: model("agent:production"), prompt: "Weather?", tools, stopWhen };
  const looked = await generateText(asked), stream = streamText(asked);
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  said[name] = [plain.text, plain.usage.totalTokens, looked.text, looked.steps.length, text];
}
const metadata = { inputs: JSON.stringify({ name: "Zoe" }) };
const model = openai.chat("greet:production"), providerOptions = { openai: { metadata } };
said.given = (await generateText({ model, prompt: "-", providerOptions })).text;
console.log(JSON.stringify(said));
"""


def test_the_ai_sdk(gateway: Client, repo: Repo, tmp_path: Path) -> None:
    modules = Path(os.environ.get("PROMPTOPS_NODE_MODULES", "nowhere"), "node_modules")
    if shutil.which("node") is None or not (modules / "ai").is_dir():
        pytest.skip("needs node, and PROMPTOPS_NODE_MODULES with the packages ai and @ai-sdk/openai")
    (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "calls.mjs").write_text(AI_SDK, encoding="utf-8")
    answers = ["Greet Ada.", 7, "It is fine in Rome.", 2, "It is fine in Rome."]
    found = said(["node", str(tmp_path / "calls.mjs")], gateway)
    assert found == {"responses": answers, "chat": answers, "given": "Greet Zoe."}
    assert {run["state"] for run in runs(repo)} == {"finished"}


LANGCHAIN = """
import json, sys
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

@tool
def weather(city: str) -> str:
    "The weather of a city."
    return "fine"

def model(name, **options):
    return ChatOpenAI(base_url=sys.argv[1], api_key="none", model=name, **options)

said = {}
for name, options in (("chat", {}), ("responses", {"use_responses_api": True})):
    plain = model("greet:production", temperature=0.2, **options)
    agent = model("agent:production", **options).bind_tools([weather])
    called = agent.invoke("Weather?")
    result = ToolMessage("fine", tool_call_id=called.tool_calls[0]["id"])
    said[name] = [
        plain.invoke("Ada").text,
        "".join(chunk.text for chunk in plain.stream("Ada")),
        called.tool_calls[0]["args"],
        agent.invoke([HumanMessage("Weather?"), called, result]).text,
    ]
said["given"] = model("greet:production", extra_body={"inputs": {"name": "Zoe"}}).invoke("-").text
print(json.dumps(said))
"""


def test_langchain(gateway: Client, repo: Repo, tmp_path: Path) -> None:
    python = os.environ.get("PROMPTOPS_LANGCHAIN_PYTHON")
    if python is None:
        pytest.skip("needs PROMPTOPS_LANGCHAIN_PYTHON, a Python with the package langchain-openai")
    (tmp_path / "calls.py").write_text(LANGCHAIN, encoding="utf-8")
    answers = ["Greet Ada.", "Greet Ada.", {"city": "Rome"}, "It is fine."]
    found = said([python, "-I", str(tmp_path / "calls.py")], gateway)
    assert found == {"responses": answers, "chat": answers, "given": "Greet Zoe."}
    assert {run["state"] for run in runs(repo)} == {"finished"}

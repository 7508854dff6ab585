"""Tools that callers bring: ``caller_tools`` of a prompt."""

from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import QUICK, go_live, ok, runs
from support.provider import Provider, reply

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
CHAT = "inputs: {chat: messages}\nmessages: [{role: system, content: Help.}, {insert: chat}]\n"
CHAT = f"model: openai/stub-1\ncaller_tools: allow\n{CHAT}"


def function(**changed: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"at": {"type": "integer"}}}
    return {"type": "function", "function": {"name": "look", "parameters": schema, **changed}}


LOOK = function()


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([LOOK], "`greet` takes none of a caller"),
        (LOOK, "a list of functions"),
        ({}, "a list of functions"),
        (False, "a list of functions"),
        ([LOOK] * 129, "more than 128 tools"),
        (["look"], "must be a mapping"),
        ([{"type": "web_search"}], "lacks `function`"),
        ([{**LOOK, "url": "http://x"}], "'url' was unexpected"),
        ([function(name="a b")], "`tools.function.name` does not match"),
        ([function(url="x")], "'url' was unexpected"),
        ([function(parameters={"type": 1})], "not a JSON Schema"),
        ([function(parameters=[])], "null or a mapping"),
        ([function(description=1)], "null or a string"),
    ],
)
def test_tools_that_are_not_taken(client: Client, provider: Provider, tools: Any, said: str) -> None:
    answer = client.chat(tools=tools)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
    assert said in answer.error["message"]
    assert provider.requests == []


def test_a_prompt_that_allows_them_is_sent_with_them(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [CALL]}, finish="tool_calls")
    own = "tools: [{type: function, function: {name: find}}]\n"
    go_live(cli, repo, more=f"caller_tools: allow\nchecks: [tool_calls]\n{own}")
    with running_gateway(repo.path) as client:
        answer = client.chat(tools=[LOOK], tool_choice="required", parallel_tool_calls=False)
        assert answer.body["choices"][0]["message"]["tool_calls"] == [CALL]
        assert "x-promptops-ignored" not in answer.headers
        sent = provider.requests[-1].body
        assert [tool["function"]["name"] for tool in sent["tools"]] == ["find", "look"]
        assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)
        flat = {"type": "function", **LOOK["function"], "strict": True}
        found = client.respond(
            model="greet:production",
            input="Ada",
            tools=[flat],
            tool_choice={"type": "function", "name": "look"},
        )
        assert found.body["output"][0]["name"] == "look"
        sent = provider.requests[-1].body
        assert sent["tools"][1] == function(strict=True)
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "look"}}
        taken = client.chat(tools=[function(name="find")])
        assert "a tool `find` of its own" in taken.error["message"]
        plain = client.chat(tool_choice="none")
        assert plain.headers["x-promptops-ignored"] == "tool_choice"
        logged = [client.get(f"/v1/runs/{one.headers['x-promptops-run-id']}").body for one in (answer, plain)]
    assert [run["overrides"] for run in logged] == [{"caller_tools": ["look"]}, {}]
    assert [run["checks"][0]["pass"] for run in logged] == [
        True,
        False,
    ]  # the second was sent without the tool
    assert len({run["digest"] for run in logged}) == 1  # what a call adds is no part of the version


def test_an_agent_sends_the_results_of_its_tools(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/greet.yaml", CHAT)
    repo.commit("An agent")
    ok(cli("promote", "greet@HEAD", "--yes"))
    said = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "seen"}
    with running_gateway(repo.path) as client:
        answer = client.chat(messages=[{"role": "user", "content": "Look"}, said, result], tools=[LOOK])
    assert answer.status == 200, answer.raw
    assert provider.requests[-1].body["messages"][-2:] == [said, result]


def test_a_canary_that_takes_none_leaves_such_calls_to_stable(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo, more="caller_tools: allow\n")
    repo.write("prompts/greet.yaml", (repo.path / "prompts/greet.yaml").read_text().replace("allow", "deny"))
    repo.commit("No tools of callers")
    ok(cli("canary", "greet@HEAD", *QUICK))
    with running_gateway(repo.path) as client:
        answers = [client.chat(tools=[LOOK], user=f"u{number}") for number in range(60)]
    assert {answer.status for answer in answers} == {200}
    left = [run for run in runs(repo) if run["fallback"]]
    assert left
    assert {(run["arm"], run["version"]) for run in left} == {("canary", "v1")}


def test_guards_on_inputs_look_at_them_too(cli: Cli, repo: Repo, provider: Provider) -> None:
    guards = "guards: [{on: input, check: {not: {contains: zebra}}, do: block, message: No zebras.}]\n"
    go_live(cli, repo, more=f"caller_tools: allow\n{guards}")
    with running_gateway(repo.path) as client:
        refused = client.chat(tools=[function(description="Look for a zebra.")])
        assert (refused.status, refused.error["code"]) == (400, "content_filter")
        assert provider.requests == []
        assert client.chat(tools=[LOOK]).status == 200

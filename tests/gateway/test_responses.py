"""The Responses API with ``prompt: {id, version, variables}``, as OpenAI's reusable prompts had it."""

from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import go_live, ok, runs
from support.provider import Provider, Script, chunk, cut_off, events, reply, text

ADA = {"name": "Ada"}
AGENT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {chat: messages}
messages: [{insert: chat}]
"""


def said(body: Any) -> str:
    return str(body["output"][0]["content"][0]["text"])


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ({"id": "greet", "variables": ADA}, "Greet Ada."),
        ({"id": "greet", "version": "1", "variables": ADA}, "Greet Ada."),
        ({"id": "greet", "version": "v1", "variables": ADA}, "Greet Ada."),
        ({"id": "greet", "version": "production", "variables": ADA}, "Greet Ada."),
        ({"id": "greet", "variables": {"name": {"type": "input_text", "text": "Ada"}}}, "Greet Ada."),
        ({"id": "pmpt_123", "version": "1", "variables": ADA}, "Greet Ada."),
    ],
)
def test_a_prompt_is_named_by_id_and_version(
    cli: Cli, repo: Repo, provider: Provider, prompt: Any, answer: str
) -> None:
    repo.write("promptops.yaml", "serve: {aliases: {pmpt_123: greet}}\n")
    go_live(cli, repo)
    with running_gateway(repo.path) as client:
        body = client.respond(prompt=prompt, user="u1").body
    assert (said(body), body["status"], body["object"]) == (answer, "completed", "response")
    assert body["usage"]["total_tokens"] == 7
    assert body["prompt"] == {"id": "greet", "version": "v1", "variables": None}
    assert body["id"] == f"resp_{runs(repo)[0]['run_id']}"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"prompt": {"id": "great"}}, 404, "did you mean greet:production"),
        ({"prompt": {"id": "greet", "version": "9"}}, 404, "v9"),
        ({"prompt": {"id": "greet", "version": "prod"}}, 404, "production"),
        ({"prompt": {"id": "pmpt_12"}}, 404, "serve: {aliases: {pmpt_12: NAME}}"),
        ({"prompt": {"id": "greet"}}, 400, "`name` is missing"),
        ({"prompt": {}}, 400, "`prompt.id` is missing"),
        ({"prompt": "greet"}, 400, "`prompt` must be an object"),
        ({"prompt": {"id": "greet", "version": 3}}, 400, "`version` must be a string"),
        ({"prompt": {"id": "../greet"}}, 404, "is not the name"),
        ({}, 400, "`prompt` is missing"),
        ({"model": "greet:production"}, 400, "`input` is missing"),
        (
            {"prompt": {"id": "greet", "variables": ADA}, "previous_response_id": "resp_1"},
            400,
            "previous_resp",
        ),
        ({"prompt": {"id": "greet", "variables": ADA}, "background": True}, 400, "`background`"),
        ({"prompt": {"id": "greet", "variables": ADA}, "store": True}, 400, "`store`"),
        (
            {"prompt": {"id": "greet", "variables": ADA}, "metadata": {"inputs": "x" * 100_000}},
            400,
            "of 100,000 characters",
        ),
        (
            {"prompt": {"id": "greet", "variables": {"name": {"type": "input_file"}}}},
            400,
            "a text, or an image",
        ),
        ({"model": "greet:production", "input": 3}, 400, "a text, or a list of at most 10,000 items"),
        ({"model": "greet:production", "input": [{"type": "reasoning"}]}, 400, "`reasoning` are not taken"),
        (
            {"model": "greet:production", "input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            400,
            "`input_file` are not taken",
        ),
    ],
)
def test_what_is_refused(client: Client, provider: Provider, body: Any, code: int, words: str) -> None:
    answer = client.respond(**body)
    assert (answer.status, words in answer.error["message"]) == (code, True), answer.raw
    assert not provider.requests


def test_input_feeds_what_variables_leave_open(client: Client) -> None:
    part = {"type": "input_text", "text": "Ada"}
    for given in (
        "Ada",
        [{"role": "user", "content": "Ada"}],
        [{"type": "message", "role": "user", "content": [part]}],
    ):
        assert said(client.respond(prompt={"id": "greet"}, input=given).body) == "Greet Ada."
        assert said(client.respond(model="greet:production", input=given).body) == "Greet Ada."
    assert client.respond(prompt={"id": "greet", "variables": ADA}, input="Ada").status == 400


def test_items_become_messages(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/echo.yaml", AGENT)
    repo.write(".gitignore", "registry.db*\n")
    repo.commit()
    ok(cli("promote", "echo@HEAD", "--yes"))
    items = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ]
    with running_gateway(repo.path) as client:
        assert client.respond(prompt={"id": "echo"}, input=items).status == 200
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert provider.requests[-1].body["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]


def test_items_of_earlier_answers_are_found_in_the_log(cli: Cli, repo: Repo, provider: Provider) -> None:
    """As the AI SDK names them, also several calls of one answer."""
    repo.write("prompts/agent.yaml", AGENT)
    go_live(cli, repo)
    ok(cli("promote", "agent@HEAD", "--yes"))
    calls = [
        {"id": f"c{at}", "type": "function", "function": {"name": "look", "arguments": "{}"}} for at in (1, 2)
    ]
    said = {"role": "assistant", "content": "Let me look.", "tool_calls": calls}
    provider.script = [reply(said, finish="tool_calls"), text("rain")]
    asked = {"role": "user", "content": "Weather?"}
    with running_gateway(repo.path) as client:
        output = client.respond(model="agent:production", input="Weather?").body["output"]
        named = [{"type": "item_reference", "id": item["id"]} for item in output]
        results = [{"type": "function_call_output", "call_id": f"c{at}", "output": "rain"} for at in (1, 2)]
        answer = client.respond(model="agent:production", input=[asked, *named, *results])
        assert answer.status == 200, answer.raw
        for wrong in ("fc_1", output[1]["id"][:-1] + "9", "msg_" + "0" * 26, 3):
            unknown = client.respond(
                model="agent:production", input=[{"type": "item_reference", "id": wrong}]
            )
            assert (unknown.status, "store: false" in unknown.error["message"]) == (400, True)
        many = client.respond(model="agent:production", input=named * 100)
        assert (many.status, "more than 256" in many.error["message"]) == (400, True)
    _, sent, *results = provider.requests[-1].body["messages"]
    assert (sent["content"], sent["tool_calls"]) == ([{"type": "text", "text": "Let me look."}], calls)
    assert [each["tool_call_id"] for each in results] == ["c1", "c2"]


def test_items_of_an_answer_that_is_held_are_not_found(cli: Cli, repo: Repo, provider: Provider) -> None:
    """A model that is told the answer would repeat it."""
    repo.write("prompts/agent.yaml", AGENT)
    go_live(cli, repo, more="review: required\n")
    ok(cli("promote", "agent@HEAD", "--yes"))
    with running_gateway(repo.path) as client:
        held = client.respond(model="greet:production", input="Ada")
        assert held.status == 202, held.raw
        item = {"type": "item_reference", "id": f"msg_{held.body['run_id']}"}
        asked = [item, {"role": "user", "content": "Say that again."}]
        answer = client.respond(model="agent:production", input=asked)
    assert (answer.status, "is not in the log" in answer.error["message"]) == (400, True)
    assert len(provider.requests) == 1


def test_items_of_another_tenant_are_not_found(cli: Cli, live: Repo) -> None:
    own, other = (ok(cli("keys", "new", tenant)).out.strip() for tenant in ("acme", "other"))
    with running_gateway(live.path) as client:
        asked = {"model": "greet:production", "headers": {"Authorization": f"Bearer {own}"}}
        (item,) = client.respond(input="Ada", **asked).body["output"]
        reference = [{"type": "item_reference", "id": item["id"]}]
        answer = client.respond(input=reference, **{**asked, "headers": {"Authorization": f"Bearer {other}"}})
    assert (answer.status, "is not in the log" in answer.error["message"]) == (400, True)


def test_what_callers_add_is_ignored_and_named(client: Client) -> None:
    answer = client.respond(
        prompt={"id": "greet", "variables": ADA}, model="gpt-4o", instructions="Be rude", store=False
    )
    assert answer.headers["x-promptops-ignored"] == "instructions, model, store"


def test_tool_calls_and_answers_that_were_cut(client: Client, provider: Provider) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
    (item,) = client.respond(prompt={"id": "greet", "variables": ADA}).body["output"]
    assert (item["type"], item["call_id"], item["arguments"]) == ("function_call", "c1", '{"at": 1}')
    provider.script = text("Hel", finish="length")
    cut = client.respond(prompt={"id": "greet", "variables": ADA}).body
    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    provider.script = reply({"role": "assistant", "content": None, "refusal": "I can't."})
    refused = client.respond(prompt={"id": "greet", "variables": ADA}).body["output"][0]["content"]
    assert refused == [{"type": "refusal", "refusal": "I can't."}]


@pytest.mark.parametrize(
    "script",
    [
        events(chunk({"refusal": "I "}), chunk({"refusal": "can't."}), chunk({}, "stop")),
        reply({"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]}),
    ],
)
def test_a_refusal_that_is_streamed_is_no_text(script: Script, client: Client, provider: Provider) -> None:
    provider.script = script
    found = client.respond(prompt={"id": "greet", "variables": ADA}, stream=True).named_events
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[3]["part"] == {"type": "refusal", "refusal": ""}
    assert found[4]["delta"] == found[5]["refusal"] == "I can't."


def test_a_stream_is_a_row_of_events(client: Client, provider: Provider) -> None:
    words = ["one ", "two ", "three"]
    provider.script = events(*(chunk({"content": word}) for word in words), chunk({}, "stop"))
    found = client.respond(prompt={"id": "greet", "variables": ADA}, stream=True).named_events
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 3,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in found] == [*range(len(found))]
    assert [event["delta"] for event in found if "delta" in event] == words
    assert said(found[-1]["response"]) == "one two three"


def test_a_stream_of_tool_calls(client: Client, provider: Provider) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
    found = client.respond(prompt={"id": "greet", "variables": ADA}, stream=True).named_events
    assert [event["type"].removeprefix("response.") for event in found[2:]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_a_stream_that_is_cut_ends_as_failed(client: Client, provider: Provider, live: Repo) -> None:
    provider.script = cut_off("Hel")
    last = client.respond(prompt={"id": "greet", "variables": ADA}, stream=True).named_events[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "provider_cut_off")
    assert [(run["state"], run["error_type"]) for run in runs(live)] == [("failed", "cut_off")]

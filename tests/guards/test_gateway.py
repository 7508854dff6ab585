"""Guards at the gateway: what clients of OpenAI's API are answered."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import go_live, runs
from support.provider import Provider, chunk, events, text

INPUT = "guards: [{on: input, check: {not: {contains: zebra}}, do: block, message: No zebras.}]\n"
OUTPUT = "guards: [{on: output, check: {not: {contains: zebra}}, do: block, message: Ask us.}]\n"
SILENT = "guards: [{on: output, check: {not: {contains: zebra}}, do: block}]\n"


def ask(client: Client, name: str = "zebra", **more: Any) -> Any:
    return client.chat(inputs={"name": name}, **more)


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_input_is_400_and_calls_nobody(
    stream: bool, cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo, more=INPUT)
    with running_gateway(repo.path) as client:
        answer = ask(client, stream=stream)
        assert (answer.status, answer.error["code"], answer.error["message"]) == (
            400,
            "content_filter",
            "No zebras.",
        )
        assert answer.headers["x-should-retry"] == "false"
        run = client.get(f"/v1/runs/{answer.headers['x-promptops-run-id']}").body
        assert (run["error"]["type"], run["guards"][0]["did"], run["guards"][0]["why"]) == (
            "input_blocked",
            "blocked",
            "",
        )
        prompt = {"id": "greet", "version": "production", "variables": {"name": "zebra"}}
        assert client.respond(prompt=prompt, stream=stream).error["code"] == "content_filter"
        assert provider.requests == []
        assert ask(client, "Ada").status == 200
        metrics = client.get("/metrics").raw
        assert b'promptops_gateway_answers_total{status="400"} 2' in metrics
        assert b'error_type="input_blocked"} 2' in metrics


@pytest.mark.parametrize(("guards", "said"), [(OUTPUT, "Ask us."), (SILENT, "The answer was blocked.")])
def test_a_blocked_answer_ends_with_content_filter(
    guards: str, said: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo, more=guards)
    provider.script = text("a zebra")
    prompt = {"id": "greet", "version": "production", "variables": {"name": "Ada"}}
    with running_gateway(repo.path) as client:
        headers = {"Idempotency-Key": "k"}
        for answer in (ask(client, "Ada", headers=headers), ask(client, "Ada", headers=headers)):
            (choice,) = answer.body["choices"]
            assert (answer.status, choice["finish_reason"], answer.text) == (200, "content_filter", said)
            assert (answer.body["promptops"]["blocked"], b"zebra" in answer.raw) == (True, False)
        run = client.get(f"/v1/runs/{answer.headers['x-promptops-run-id']}")
        assert (run.status, b"zebra" in run.raw) == (200, False)
        whole = client.respond(prompt=prompt).body
        assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
        assert whole["output"][0]["content"][0]["text"] == said


def test_a_block_at_the_end_of_a_stream(cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo, more=OUTPUT)
    provider.script = events(
        *(chunk({"content": piece}) for piece in ("Hello a z", "eb", "ra")), chunk({}, "stop")
    )
    prompt = {"id": "greet", "version": "production", "variables": {"name": "Ada"}}
    with running_gateway(repo.path) as client:
        chunks = ask(client, "Ada", stream=True).events
        pieces = [each["choices"][0] for each in chunks[:-1]]
        assert "".join(each["delta"].get("content", "") for each in pieces) == "Hello a "
        assert pieces[-1]["finish_reason"] == "content_filter"
        told = client.respond(prompt=prompt, stream=True).named_events
        assert told[-1]["type"] == "response.incomplete"
        assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Hello a "
        provider.script = events(chunk({"content": "zebra"}), chunk({}, "stop"))
        chunks = ask(client, "Ada", stream=True).events
        assert chunks[0]["choices"][0]["delta"]["content"] == "Ask us."
        told = client.respond(prompt=prompt, stream=True).named_events
        assert [event["delta"] for event in told if "delta" in event] == ["Ask us."]
        assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Ask us."


def test_a_unit_that_sends_many_at_once_has_no_more_of_them_blocked(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    del provider
    go_live(cli, repo, more=INPUT)
    secret = cli("keys", "new", "acme", "--unit-blocked", "2").out.strip()
    with running_gateway(repo.path) as client, ThreadPoolExecutor(16) as pool:
        headers = {"Authorization": f"Bearer {secret}"}
        found = pool.map(lambda _: ask(client, user="eve", headers=headers).status, range(48))
        assert Counter(found) == {400: 2, 429: 46}
        assert ask(client, user="adam", headers=headers).status == 400
    assert len(runs(repo)) == 3


def test_a_unit_with_many_blocked_inputs_has_to_wait(
    cli: Cli, repo: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    del provider
    go_live(cli, repo, more=INPUT)
    secret = cli("keys", "new", "acme", "--unit-blocked", "2").out.strip()
    assert "2 blocked/h a unit" in cli("keys", "list").out
    headers = {"Authorization": f"Bearer {secret}"}
    with running_gateway(repo.path) as client:
        statuses = [ask(client, user="eve", headers=headers).status for _ in range(3)]
        assert statuses == [400, 400, 429]
        refused = ask(client, "Ada", user="eve", headers=headers)
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert "blocked 2 inputs of this unit" in refused.error["message"]
        assert int(refused.headers["retry-after"]) > 60
        assert ask(client, "Ada", user="bob", headers=headers).status == 200
        assert ask(client, headers=headers).status == 400  # nobody's: there is no unit to limit
    assert "has had 2 inputs blocked" in caplog.text
    assert "eve" not in caplog.text

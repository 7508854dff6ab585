"""Models that are called without a prompt: ``serve: {passthrough: log}`` and keys with ``--models``."""

import base64
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway
from support.greet_releases import ok, runs, told
from support.provider import Answer, Provider, Received, as_json, echo, reply, slow, status

PRICES = "{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}"
SETTINGS = f"""\
serve: {{passthrough: log, aliases: {{small: openai/stub-1}}}}
models: {{openai/stub-1: {PRICES}, openai/vectors: {PRICES}}}
"""
HI: Any = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def vectors(request: Received) -> Answer:
    """A vector for each input, the last first, as the order is not promised."""
    if not request.path.endswith("/embeddings"):
        return echo(request)
    asked = request.body["input"]
    rows = [{"index": at, "embedding": [float(at), 0.5, -0.25]} for at in reversed(range(len(asked)))]
    return as_json({"data": rows, "model": "vectors-1", "usage": {"prompt_tokens": 3, "total_tokens": 3}})


class Keyed:
    """A client with a key."""

    def __init__(self, client: Client, key: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, **body: Any) -> Response:
        return self.client.send("POST", f"/v1/{path}", body, self.headers)

    def chat(self, model: str = "openai/stub-1", messages: Any = HI, **body: Any) -> Response:
        return self.post("chat/completions", model=model, messages=messages, **body)

    def embed(self, given: Any = "a", model: str = "vectors", **body: Any) -> Response:
        return self.post("embeddings", model=model, input=given, **body)


def new_key(cli: Cli, *options: str) -> str:
    return ok(cli("keys", "new", "acme", *options)).out.strip()


@pytest.fixture
def keyed(cli: Cli, live: Repo, provider: Provider) -> Iterator[Keyed]:
    provider.script = vectors
    live.write("promptops.yaml", SETTINGS)
    key = new_key(cli, "--models", "openai/stub-1", "--models", "openai/vec*")
    with running_gateway(live.path) as client:
        yield Keyed(client, key)


@pytest.mark.parametrize("model", ["openai/stub-1", "stub-1", "small"])
def test_a_plain_model_is_called_logged_and_priced(
    cli: Cli, keyed: Keyed, live: Repo, provider: Provider, model: str
) -> None:
    answer = keyed.chat(
        model, temperature=0.5, max_tokens=9, user="u1", metadata={"page": "start"}, store=False
    )
    assert (answer.status, answer.text) == (200, "Hi"), answer.raw
    sent = provider.requests[-1].body
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("stub-1", 0.5, 9)
    assert answer.headers["x-promptops-ignored"] == "store"
    (run,) = runs(live)
    assert (run["prompt"], run["reference"], run["source"]) == ("passthrough", "openai/stub-1", "passthrough")
    assert (run["tenant"], run["version"], run["channel"]) == ("acme", None, None)
    assert run["cost_usd"] == pytest.approx(5e-6 + 2 * 2e-6)
    shown = keyed.client.get(f"/v1/runs/{run['run_id']}", **keyed.headers).body
    assert (shown["parameters"], shown["inputs"]) == ({"max_tokens": 9, "temperature": 0.5}, {"messages": HI})
    assert [one["run_id"] for one in told(cli, "runs", "list", "passthrough")] == [run["run_id"]]
    assert ok(cli("runs", "show", run["run_id"]))
    answer = keyed.chat(model, temperature=0.6, tools=[TOOL], tool_choice="none")
    other = keyed.client.get(f"/v1/runs/{answer.headers['x-promptops-run-id']}", **keyed.headers).body
    assert (other["parameters"], other["overrides"]) == (
        {"temperature": 0.6, "tool_choice": "none"},
        {"caller_tools": ["look"]},
    )
    assert other["digest"] == shown["digest"]  # else callers could make as many versions as they make calls


def test_streams_tools_and_the_responses_api(keyed: Keyed, provider: Provider) -> None:
    assert (
        "".join(
            each["choices"][0]["delta"].get("content", "") for each in keyed.chat(stream=True).events[:-1]
        )
        == "Hi"
    )
    tool = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": False}
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [CALL]}, finish="tool_calls")
    found = keyed.post(
        "responses",
        model="stub-1",
        input="Hi",
        instructions="Be brief.",
        tools=[tool],
        tool_choice={"type": "function", "name": "look"},
        max_output_tokens=9,
        reasoning={"effort": "low"},
        text={"format": form, "verbosity": "low"},
    )
    assert found.status == 200, found.raw
    assert found.body["output"][0]["name"] == "look"
    sent = provider.requests[-1].body
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    assert sent["tools"] == [TOOL]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert (sent["max_completion_tokens"], sent["reasoning_effort"], sent["verbosity"]) == (9, "low", "low")
    assert sent["response_format"]["json_schema"] == {
        "name": "x",
        "schema": {"type": "object"},
        "strict": False,
    }


def test_what_a_key_does_not_name_is_not_called(cli: Cli, keyed: Keyed, provider: Provider) -> None:
    for answer in (keyed.chat("openai/other"), keyed.chat("gpt-5"), keyed.embed(model="other")):
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert provider.requests == []
    assert keyed.chat("greet:production", [{"role": "user", "content": "Ada"}]).text == "Greet Ada."
    assert "openai/stub-1 openai/vec*" in cli("keys", "list").out
    listed = keyed.client.get("/v1/models", **keyed.headers).body["data"]
    assert [(one["id"], one["owned_by"]) for one in listed][1:] == [("openai/stub-1", "openai")]


@pytest.mark.parametrize("models", ["openai/*", "*", "*:*"])
def test_a_prompt_is_not_taken_for_a_model(cli: Cli, live: Repo, provider: Provider, models: str) -> None:
    live.write("promptops.yaml", SETTINGS)
    live.write("prompts/support/greet.yaml", (live.path / "prompts" / "greet.yaml").read_text("utf-8"))
    live.commit("Greet in support too")
    ok(cli("promote", "support/greet@HEAD", "--yes"))
    key = new_key(cli, "--models", models)
    with running_gateway(live.path) as client:
        keyed = Keyed(client, key)
        ada = [{"role": "user", "content": "Ada"}]
        assert keyed.chat("greet:production", ada).text == keyed.chat("greet@v1", ada).text == "Greet Ada."
        assert keyed.chat("support/greet:production", ada).text == "Salute Ada."
        assert (
            keyed.post("responses", model="greet:production", input="Ada").body["promptops"]["version"]
            == "v1"
        )


def test_by_default_no_model_is_called_without_a_prompt(cli: Cli, live: Repo, provider: Provider) -> None:
    with running_gateway(live.path) as client:
        assert client.chat("openai/stub-1").status == 404  # nor without keys
    key = new_key(cli, "--models", "*")
    with running_gateway(live.path) as client:
        keyed = Keyed(client, key)
        assert {keyed.chat().status, keyed.embed().status} == {404}
    assert provider.requests == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"n": 2}, "`n` asks"),
        ({"max_tokens": -5}, "`max_tokens` must be a number of tokens"),
        ({"max_tokens": True}, "`max_tokens` must be a number of tokens"),
        ({"max_completion_tokens": "9"}, "`max_completion_tokens` must be"),
        ({"messages": [{"role": "x", "content": "Hi"}]}, "messages"),
        ({"messages": []}, "`messages`"),
        ({"tools": [{"type": "web_search"}]}, "not a function"),
        ({"logprobs": True}, "`logprobs` asks"),
        ({"metadata": {"inputs": "x" * 100_000}}, "of 100,000 characters"),
    ],
)
def test_what_cannot_be_sent(keyed: Keyed, provider: Provider, body: dict[str, Any], said: str) -> None:
    answer = keyed.chat(**body)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error"), answer.raw
    assert said in answer.error["message"]
    assert provider.requests == []


def test_vectors(keyed: Keyed, live: Repo, provider: Provider) -> None:
    answer = keyed.embed(["a", "b"], dimensions=3)
    assert answer.status == 200, answer.raw
    assert [each["embedding"] for each in answer.body["data"]] == [[0.0, 0.5, -0.25], [1.0, 0.5, -0.25]]
    assert (answer.body["model"], answer.body["usage"]) == (
        "vectors-1",
        {"prompt_tokens": 3, "total_tokens": 3},
    )
    assert provider.requests[-1].body == {
        "model": "vectors", "input": ["a", "b"], "encoding_format": "float", "dimensions": 3,
    }  # fmt: skip
    coded = keyed.embed([[1, 2], [3]], encoding_format="base64").body["data"][1]["embedding"]
    assert struct.unpack("<3f", base64.b64decode(coded)) == (1.0, 0.5, -0.25)
    assert provider.requests[-1].body["input"] == [[1, 2], [3]]
    first, _ = runs(live)
    assert (first["prompt"], first["tenant"], first["input_tokens"]) == ("passthrough", "acme", 3)
    assert first["cost_usd"] == pytest.approx(3e-6)
    shown = keyed.client.get(f"/v1/runs/{first['run_id']}", **keyed.headers).body
    assert shown["output"] == "2 vectors of 3 numbers"
    assert [each["content"] for each in shown["inputs"]["messages"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "more"),
    [("", {}), ([], {}), ([""], {}), ([[]], {}), ([1, "a"], {}), (["a"] * 2049, {}), ({"a": 1}, {}),
     ("a", {"dimensions": 0}), ("a", {"dimensions": True}), ("a", {"encoding_format": "hex"}),
     ("a", {"encoding_format": {}})],
)  # fmt: skip
def test_vectors_that_cannot_be_asked_for(
    keyed: Keyed, provider: Provider, given: Any, more: dict[str, Any]
) -> None:
    answer = keyed.embed(given, **more)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error"), answer.raw
    assert provider.requests == []


def test_vectors_that_fail_are_logged(keyed: Keyed, live: Repo, provider: Provider) -> None:
    provider.script = status(400, "too long")
    answer = keyed.embed()
    assert (answer.status, "too long" in answer.error["message"]) == (400, True)
    provider.script = as_json({"data": []})
    assert keyed.embed().status == 502
    assert [run["error_type"] for run in runs(live)] == ["bad_request", "malformed_reply"]


@pytest.mark.parametrize(("option", "enough"), [(("--usd-per-day", "0.001"), 400), (("--tpm", "1000"), 900)])
def test_of_two_bounds_on_an_answer_the_larger_is_set_aside(
    cli: Cli, live: Repo, provider: Provider, option: tuple[str, str], enough: int
) -> None:
    live.write("promptops.yaml", SETTINGS)
    provider.script = lambda request: slow(0.5, echo(request))
    one, other = (new_key(cli, "--models", "openai/stub-1", *option) for _ in range(2))
    with running_gateway(live.path) as client, ThreadPoolExecutor(2) as pool:
        asked = [(one, {"max_tokens": enough}), (other, {"max_completion_tokens": 1, "max_tokens": enough})]
        for key, bounds in asked:
            found = [pool.submit(Keyed(client, key).chat, **bounds) for _ in range(2)]
            assert sorted(each.result().status for each in found) == [200, 429]


@pytest.mark.parametrize("option", [("--rpm", "2"), ("--usd-per-day", "0.00002")])
def test_limits_hold(cli: Cli, live: Repo, provider: Provider, option: tuple[str, str]) -> None:
    provider.script = vectors
    live.write("promptops.yaml", SETTINGS)
    key = new_key(cli, "--models", "openai/*", *option)
    with running_gateway(live.path) as client:
        keyed = Keyed(client, key)
        answers = [keyed.chat(max_tokens=2), keyed.embed(), keyed.embed(), *[keyed.chat(max_tokens=2)] * 2]
    assert answers[0].status == 200, answers[0].raw
    assert answers[-1].status == 429
    assert len(provider.requests) == sum(answer.status == 200 for answer in answers[:-1])

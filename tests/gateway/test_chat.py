"""Chat completions of released prompts: what is asked, what is answered, what is logged."""

import gzip
import json
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import QUICK, go_live, ok, runs, told
from support.provider import Provider, chunk, cut_off, events, reply, slow, status, text
from support.workspace_clients import states, until

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


def test_a_call_is_answered_and_logged(client: Client, provider: Provider, live: Repo) -> None:
    provider.script = text("Hello Ada", usage={"prompt_tokens": 9, "completion_tokens": 3})
    answer = client.chat(inputs={"name": "Ada"}, user="u1", metadata={"page": "start"})
    assert answer.status == 200, answer.raw
    assert (answer.status, answer.text) == (200, "Hello Ada")
    body = answer.body
    assert (body["object"], body["model"], body["choices"][0]["finish_reason"]) == (
        "chat.completion",
        "stub-1",
        "stop",
    )
    assert body["usage"]["total_tokens"] == 12
    (run,) = runs(live)
    assert body["id"] == f"chatcmpl-{run['run_id']}"
    assert body["promptops"]["run_id"] == answer.headers["x-promptops-run-id"] == run["run_id"]
    assert answer.headers["x-promptops-version"] == "v1"
    assert "x-promptops-arm" not in answer.headers
    assert (run["state"], run["channel"], run["version"]) == ("finished", "production", "v1")
    assert provider.requests[-1].body["messages"][-1]["content"] == "Greet Ada."


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"name": "Ada"}},
        {"inputs": {"name": "Ada"}, "messages": []},
        {"metadata": {"inputs": '{"name": "Ada"}'}, "messages": []},
        {"metadata": {"inputs": {"name": "Ada"}}},
        {"messages": [{"role": "user", "content": "Ada"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Ada"}]}]},
    ],
)
def test_the_ways_to_give_inputs(client: Client, body: dict[str, Any]) -> None:
    assert client.chat(**body).text == "Greet Ada."


def test_messages_that_are_not_needed_are_named(client: Client) -> None:
    """Frameworks cannot leave them out."""
    answer = client.chat(inputs={"name": "Ada"}, messages=[{"role": "user", "content": "x"}], top_p=1)
    assert (answer.text, answer.headers["x-promptops-ignored"]) == ("Greet Ada.", "top_p, messages")


def test_a_released_number_is_served_and_nothing_that_was_not_released(client: Client) -> None:
    assert client.chat("greet@v1").text == "Greet Ada."
    for reference in ("greet", "greet@HEAD", "greet@main", "greet@INDEX", "greet@sha256:123456"):
        answer = client.chat(reference)
        assert (answer.status, answer.error["code"]) == (404, "model_not_found")
        assert "NAME@vN" in answer.error["message"]


def test_an_unknown_name_is_answered_with_the_nearest(client: Client) -> None:
    assert "did you mean greet:production?" in client.chat("great:production").error["message"]
    answer = client.chat("greet:prodution")
    assert (answer.status, answer.error["param"]) == (404, "model")
    assert "production" in answer.error["message"]
    assert client.chat("greet@v7").status == 404
    assert client.chat("greet:staging").status == 404


@pytest.mark.parametrize(
    "name",
    ["../greet:production", "/etc/passwd:production", "prompts/greet.yaml", "greet.yaml:production",
     "greet:production\r\nX-Evil: 1", "a" * 5000, "\ud800:x", "greet..main@v1"],
)  # fmt: skip
def test_names_that_are_paths_or_worse_reach_nothing(client: Client, name: str) -> None:
    answer = client.chat(name)
    assert answer.status in (400, 404)
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"inputs": {}}, 400, "`name` is missing"),
        ({"inputs": {"name": 3}}, 400, "name"),
        ({"inputs": {"nome": "Ada"}}, 400, "did you mean"),
        ({"inputs": ["Ada"]}, 400, "`inputs` must be an object"),
        ({"metadata": {"inputs": "{"}}, 400, "metadata.inputs"),
        ({"metadata": {"inputs": "[1]"}}, 400, "metadata.inputs"),
        ({"metadata": {"inputs": '{"name": "Ada", "name": "Eve"}'}}, 400, "metadata.inputs"),
        (
            {"inputs": {"name": "Ada"}, "metadata": {f"k{n}": 1 for n in range(101)}},
            400,
            "at most 100 entries",
        ),
        ({"inputs": {"name": "Ada"}, "metadata": {"k": "x" * 100_000}}, 400, "of 100,000 characters"),
        ({"inputs": {"name": "Ada"}, "tools": [{"\ud800": None}]}, 400, "a tool is not a function"),
        ({"messages": []}, 400, "`messages` or `inputs` is missing"),
        ({"messages": "Ada"}, 400, "a list of at most 10,000 messages"),
        ({"messages": [{}] * 10_001}, 400, "a list of at most 10,000 messages"),
        ({f"p{n}": 1 for n in range(1_001)}, 400, "more than 1,000 keys"),
        ({"messages": [{"role": "assistant", "content": "Ada"}]}, 400, "not the text of a user"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, 400, "one user"),
        ({"inputs": {"name": "Ada"}, "stream": "yes"}, 400, "`stream` must be true or false"),
        ({"inputs": {"name": "Ada"}, "user": 3}, 400, "`user` must be a string"),
        ({"inputs": {"name": "Ada"}, "n": 2}, 400, "`n` asks for another kind of answer"),
        ({"inputs": {"name": "Ada"}, "functions": [{"name": "look"}]}, 400, "`functions` is deprecated"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_called(
    client: Client, provider: Provider, body: dict[str, Any], code: int, said: str
) -> None:
    answer = client.chat(**body)
    assert (answer.status, answer.error["type"]) == (code, "invalid_request_error")
    assert said in answer.error["message"]
    assert "-i " not in answer.error["message"]  # an option of the command line
    assert not provider.requests


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"model": NaN}', "application/json", 400),
        (b'{"model": "greet:production", "inputs": {"name": "Ada", "name": "Eve"}}', "application/json", 400),
        (b'{"model": "\xff"}', "application/json", 400),
        (b'{"n": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"inputs": {"name": [' + b"{}," * 500_000 + b"1]}}", "application/json", 400),
        (b'{"metadata": {"inputs": "[' + b"1\\u002c" * 500_000 + b'1]"}}', "application/json", 400),
        (b'{"tools": ' + b"[" * 300 + b"]" * 300 + b"}", "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_bodies_that_are_no_request(client: Client, raw: bytes, kind: str, code: int) -> None:
    answer = client.send("POST", "/v1/chat/completions", raw, {"Content-Type": kind})
    assert (answer.status, answer.error["type"]) == (code, "invalid_request_error")


def test_a_compressed_body_is_not_unpacked(client: Client) -> None:
    packed = gzip.compress(b'{"model": "greet:production", "inputs": {"name": "Ada"}}')
    for encoding in ("gzip", "deflate", "br", "odd"):
        answer = client.send("POST", "/v1/chat/completions", packed, {"Content-Encoding": encoding})
        assert (answer.status, "must not be compressed" in answer.error["message"]) == (415, True)


def test_unknown_paths_and_methods_have_the_shape_of_errors(client: Client) -> None:
    assert client.get("/v1/files").status == 404
    wrong = client.get("/v1/chat/completions")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    answer = client.get("/v1/fi%E2%80%AEles%C2%9B")
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith("Not Found: /v1/fi\u202eles\x9b; there are POST /v1/chat/")
    without = client.send("POST", "/chat/completions", {})
    assert (without.status, without.error["code"]) == (404, "unknown_url")
    assert "the base URL ends in /v1" in without.error["message"]
    assert answer.raw.isascii()  # curl shows it to a terminal


def test_what_callers_add_is_ignored_and_named(client: Client, provider: Provider) -> None:
    answer = client.chat(temperature=1, max_tokens=9, n=1, stop=None, **{"x\r\ny": 1})
    assert answer.headers["x-promptops-ignored"] == "max_tokens, n, temperature"
    assert provider.requests[-1].body["temperature"] == 0


def test_what_callers_add_is_refused_where_the_settings_say_so(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("promptops.yaml", "serve: {caller_parameters: refuse}\nplans: {quick: {unit: session}}\n")
    go_live(cli, repo)
    with running_gateway(repo.path) as client:
        assert client.chat().status == 200
        answer = client.chat(temperature=1)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (
        400,
        "unsupported_parameter",
        "temperature",
    )


def test_a_chat_feeds_the_inputs_of_its_kind(cli: Cli, repo: Repo, provider: Provider) -> None:
    prompt = (
        "model: openai/gpt-4o-mini-2024-07-18\ninputs: {ask: string, chat: {type: messages, default: []}}\n"
        'messages: [{insert: chat}, {role: user, content: "Q: {{ ask }}"}]\n'
    )
    repo.write("prompts/help.yaml", prompt)
    repo.write(
        "prompts/echo.yaml",
        "model: openai/gpt-4o-mini-2024-07-18\ninputs: {chat: messages}\nmessages: [{insert: chat}]\n",
    )
    repo.write(".gitignore", "registry.db*\n")
    repo.commit()
    for name in ("help", "echo"):
        ok(cli("promote", f"{name}@HEAD", "--yes"))
    chat = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
    ]
    with running_gateway(repo.path) as client:
        assert client.chat("help:production", messages=chat).text == "Q: Two?"
        assert provider.requests[-1].body["messages"] == [*chat[:3], {"role": "user", "content": "Q: Two?"}]
        assert client.chat("echo:production", messages=chat).text == "Two?"
        assert provider.requests[-1].body["messages"] == chat
        models = {each["id"]: each["promptops"] for each in client.get("/v1/models").body["data"]}
    assert (
        models["help:production"]["last_user_message"],
        models["help:production"]["earlier_messages"],
    ) == (
        "ask",
        "chat",
    )


def test_the_list_of_models_names_what_channels_serve(client: Client) -> None:
    (model,) = client.get("/v1/models").body["data"]
    assert model["id"] == "greet:production"
    assert model["promptops"]["version"] == "v1"
    assert model["promptops"]["inputs"] == {"name": {"type": "string", "required": True}}
    assert model["promptops"]["last_user_message"] == "name"
    assert client.get("/v1/models/greet:production").body == model
    missing = client.get("/v1/models/great:production")
    assert missing.status == 404
    assert "did you mean greet:production" in missing.error["message"]


# the answer


def test_tool_calls_come_whole_and_as_a_chunk(client: Client, provider: Provider) -> None:
    provider.script = reply(
        {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, finish="tool_calls"
    )
    choice = client.chat().body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert choice["message"]["tool_calls"] == [TOOL_CALL]
    first, last, done = client.chat(stream=True).events
    assert first["choices"][0]["delta"] == {"role": "assistant", "tool_calls": [{"index": 0, **TOOL_CALL}]}
    assert (last["choices"][0]["finish_reason"], done) == ("tool_calls", "[DONE]")


def test_a_refusal_is_one(client: Client, provider: Provider) -> None:
    provider.script = reply({"role": "assistant", "content": None, "refusal": "I can't."})
    choice = client.chat().body["choices"][0]
    assert choice["message"]["refusal"] == "I can't."
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "stop")
    provider.script = events(chunk({"refusal": "I can't."}), chunk({}, "stop"))
    for _ in range(2):  # the second is a repetition of the first
        told, last, done = client.chat(stream=True, headers={"Idempotency-Key": "k"}).events
        assert told["choices"][0]["delta"] == {"role": "assistant", "refusal": "I can't."}
        assert (last["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")


@pytest.mark.parametrize(
    ("message", "finish", "text", "reason"),
    [
        ({"content": None, "tool_calls": [TOOL_CALL]}, None, None, "tool_calls"),
        ({"content": "cut"}, "MAX_TOKENS", "cut", "length"),
        ({"content": "hm\n</think>\nyes"}, "eosFound", "yes", "stop"),
    ],
)
def test_an_answer_says_what_the_provider_meant(
    message: dict[str, Any], finish: Any, text: str | None, reason: str, client: Client, provider: Provider
) -> None:
    usage = {"input_tokens": 9, "output_tokens": "6", "input_tokens_details": {"cached_tokens": 2.0}}
    provider.script = reply({"role": "assistant", **message}, finish=finish, usage=usage)
    told = client.chat().body
    choice = told["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, reason)
    counts = told["usage"]
    cached = counts["prompt_tokens_details"]["cached_tokens"]
    assert (counts["prompt_tokens"], counts["completion_tokens"], cached) == (9, 6, 2)


def test_a_generation_that_failed_is_an_error(client: Client, provider: Provider) -> None:
    provider.script = reply({"role": "assistant", "content": "half"}, finish="MODEL_ARMOR")
    answer = client.chat()
    assert answer.status >= 400
    assert "content filter" in answer.error["message"]


def test_checks_that_fail_are_named(cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo, more="checks: [{contains: lemon}]\n")
    with running_gateway(repo.path) as client:
        facts = client.chat().body["promptops"]
    assert (facts["passed"], facts["failed_checks"]) == (False, ["contains"])


def test_a_stream_has_a_chunk_for_each_of_the_providers(
    client: Client, provider: Provider, live: Repo
) -> None:
    words = ["one ", "two ", "thrée"]
    usage = chunk({}) | {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    provider.script = events(*(chunk({"content": word}) for word in words), chunk({}, "stop"), usage)
    answer = client.chat(stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, last, counted, done = answer.events
    assert [piece["choices"][0]["delta"]["content"] for piece in pieces] == words
    assert [piece["choices"][0]["delta"].get("role") for piece in pieces] == ["assistant", None, None]
    assert (last["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")
    assert (counted["choices"], counted["usage"]["total_tokens"]) == ([], 8)
    assert {event["id"] for event in answer.events[:-1]} == {f"chatcmpl-{runs(live)[0]['run_id']}"}
    assert len(client.chat(stream=True).events) == 5


def test_a_stream_that_fails_before_its_first_text_has_a_status(client: Client, provider: Provider) -> None:
    provider.script = status(400, "no such parameter")
    answer = client.chat(stream=True)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert "no such parameter" in answer.error["message"]


def test_a_stream_that_is_cut_ends_with_an_error(client: Client, provider: Provider, live: Repo) -> None:
    provider.script = cut_off("Hel")
    first, last = client.chat(stream=True).events
    assert first["choices"][0]["delta"]["content"] == "Hel"
    assert last["error"]["code"] == "provider_cut_off"
    assert [(run["state"], run["error_type"]) for run in runs(live)] == [("failed", "cut_off")]


# errors


@pytest.mark.parametrize(
    ("script", "code", "kind"),
    [
        (status(401, "bad key"), 502, "provider_authentication"),
        (status(404, "no such model"), 502, "provider_model_not_found"),
        (status(400, "bad"), 400, "provider_bad_request"),
        (status(429, "slow down", retry_after=7), 429, "rate_limit_exceeded"),
        (status(503, "down"), 502, "provider_error"),
    ],
)
def test_failures_of_the_provider(live: Repo, provider: Provider, script: Any, code: int, kind: str) -> None:
    from promptops import Limits

    provider.script = script
    with running_gateway(live.path, limits=Limits(retries=0)) as client:
        answer = client.chat()
    assert (answer.status, answer.error["code"]) == (code, kind)
    assert answer.headers["x-should-retry"] == "false"
    (run,) = runs(live)
    assert answer.headers["x-promptops-run-id"] == run["run_id"]
    assert (answer.headers.get("retry-after") == "7") == (code == 429)


def test_a_provider_that_is_too_slow(live: Repo, provider: Provider) -> None:
    from promptops import Limits

    provider.script = slow(30, text("late"))
    with running_gateway(live.path, limits=Limits(retries=0, timeout=0.1)) as client:
        answer = client.chat()
    assert (answer.status, answer.error["code"]) == (504, "provider_timeout")


# units and arms


def test_a_unit_meets_the_arm_that_the_command_line_gives_it(
    cli: Cli, live: Repo, provider: Provider
) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))
    units = [f"u{number}" for number in range(12)]
    with running_gateway(live.path) as client:
        ways = [
            {"user": units[0]},
            {"safety_identifier": units[1], "user": "nobody"},
            {"headers": {"X-Promptops-Unit": units[2]}, "user": "nobody"},
            *({"user": unit} for unit in units[3:]),
        ]
        answers = [client.chat(**way) for way in ways]
    arms = [answer.headers["x-promptops-arm"] for answer in answers]
    here = [told(cli, "run", "greet:production", "-i", "name=Ada", "--unit", unit)["arm"] for unit in units]
    assert arms == here
    assert {answer.headers["x-promptops-version"] for answer in answers} <= {"v1", "v2"}


def test_a_release_that_moves_is_served_within_a_second(cli: Cli, live: Repo, client: Client) -> None:
    assert client.chat().text == "Greet Ada."
    ok(cli("promote", "greet@HEAD", "--yes"))
    until(lambda: client.chat().text == "Salute Ada.", 5)


# ends


def test_a_client_that_hangs_up_ends_its_call(client: Client, provider: Provider, live: Repo) -> None:
    import socket

    def hang_up(stream: bool) -> None:
        body = json.dumps({"model": "greet:production", "inputs": {"name": "Ada"}, "stream": stream}).encode()
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            until(lambda: provider.requests)
        assert provider.hung_up.wait(10)
        provider.hung_up.clear()
        provider.requests.clear()

    provider.script = slow(30, text("late"))
    hang_up(stream=False)
    provider.script = cut_off("Hel", ending="hang")
    hang_up(stream=True)
    until(lambda: states(live.path) == {"interrupted": 2})
    assert runs(live)[1]["run_id"]


def test_what_is_under_way_is_answered_before_the_end(live: Repo, provider: Provider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    provider.script = slow(0.3, text("late"))
    with ThreadPoolExecutor(1) as pool:
        with running_gateway(live.path) as client:
            answer = pool.submit(client.chat)
            until(lambda: provider.requests)
        assert answer.result().text == "late"
    assert states(live.path) == {"finished": 1}


def test_what_does_not_end_in_time_is_logged_as_interrupted(live: Repo, provider: Provider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    provider.script = slow(30, text("late"))
    with ThreadPoolExecutor(1) as pool:
        with running_gateway(live.path, drain_s=0.1) as client:
            answer = pool.submit(client.chat)
            until(lambda: provider.requests)
        assert answer.exception()
    assert states(live.path) == {"interrupted": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"name": "\ud800"}},
        {"inputs": {"\ud800": "Ada"}},
        {"messages": [{"role": "\ud800", "content": "Ada"}]},
        {"inputs": {"name": "x" * 1_000_000}},
        {"inputs": {"name": "Ada"}, "metadata": {"a": 10**400, "b": "\udfff"}},
        {"inputs": {"name": "Ada"}, "user": "\ud800"},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{}]},
    ],
)
def test_odd_values_are_answered_or_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.chat(**body).status in (200, 400)


def test_a_large_body_is_read_as_a_small_one_is(client: Client, provider: Provider) -> None:
    """On another thread, with numbers that are read in Python."""
    metadata = {"whole": 2**40, "part": 0.1, "far": -1e300}
    padding = {"padding": [1, 1.5, "x" * 100_000]}
    small, large = (client.chat(inputs={"name": "Ada"}, metadata=metadata, **more) for more in ({}, padding))
    runs = [client.get(f"/v1/runs/{each.headers['x-promptops-run-id']}").body for each in (small, large)]
    assert (runs[0]["metadata"], large.headers["x-promptops-ignored"]) == (metadata, "padding")
    assert runs[1]["metadata"] == metadata
    twice = b'{"inputs": {"name": "Ada", "name": "Eve"}, "padding": "' + b"x" * 100_000 + b'"}'
    assert "duplicate key" in client.send("POST", "/v1/chat/completions", twice).error["message"]
    numbers = b'{"inputs": {"name": "Ada"}, "n": ' + b"9" * 5_000 + b', "padding": "' + b"x" * 100_000 + b'"}'
    assert client.send("POST", "/v1/chat/completions", numbers).error["code"] == "invalid_json"


def test_half_a_character_of_a_model_is_its_escape(client: Client, provider: Provider) -> None:
    provider.script = text("Hi \ud83d")
    assert client.chat().text == "Hi \ud83d"
    assert client.chat(stream=True).events[-1] == "[DONE]"
    assert client.respond(model="greet:production", input="Ada").status == 200

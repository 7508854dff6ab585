"""Providers that are down, drip, or refuse what a canary sends: what callers of the gateway are answered."""

import json
import socket
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from promptops import Limits
from support.front_door import GREET, Cli, Repo
from support.gateway_client import Response, running_gateway
from support.git_repositories import GitFolder
from support.greet_releases import QUICK, ok, runs
from support.provider import Answer, Provider, Received, chunk, echo, events, status
from support.release_states import released, write_state
from support.workspace_clients import until


def dripped(answer: Answer, pause: float) -> Answer:
    """A byte at a time."""
    return replace(answer, pieces=tuple(bytes([byte]) for byte in b"".join(answer.pieces)), pause=pause)


def test_a_provider_that_cannot_be_reached(live: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    with running_gateway(live.path, limits=Limits(retries=0)) as client:
        answers = [
            client.chat(),
            client.chat(stream=True),
            client.respond(model="greet:production", input="Ada"),
        ]
    assert {(answer.status, answer.error["code"]) for answer in answers} == {(502, "provider_unreachable")}
    assert {run["error_type"] for run in runs(live)} == {"connection"}


def test_a_provider_that_drips(live: Repo, provider: Provider) -> None:
    """Whole answers are waited for as long as one may take; what is heard of a stream is sent on at once."""
    whole = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
    stream = events(chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))

    def drip(request: Received) -> Answer:
        if request.streams:
            return dripped(stream, 0.002)
        return dripped(Answer(pieces=(json.dumps(whole).encode(),)), 0.02)

    provider.script = drip
    with running_gateway(live.path, limits=Limits(retries=0, timeout=60)) as client:
        connection = HTTPConnection("127.0.0.1", client.port, timeout=30)
        body = {"model": "greet:production", "inputs": {"name": "Ada"}, "stream": True}
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        answered = connection.getresponse()
        pieces = [answered.readline() for _ in range(3)]
        assert b'"Hel"' in pieces[0]
        assert b'"lo"' in pieces[2]
        assert answered.read().endswith(b"data: [DONE]\n\n")
        connection.close()
        assert client.chat().text == "Hello"
    with running_gateway(live.path, limits=Limits(retries=0, timeout=1)) as client:
        answer = client.chat()
        assert (answer.status, answer.error["code"]) == (504, "provider_timeout")


def test_a_canary_that_cannot_be_sent_is_answered_by_stable(repo: Repo, provider: Provider) -> None:
    repo.write("prompts/greet.yaml", GREET)
    repo.commit("Greet")
    repo.write("prompts/greet.yaml", GREET.replace("  name: string", "  name: string\n  mood: string"))
    repo.commit("Ask for a mood")
    folder = GitFolder(repo.path)
    stable, canary = released(folder, "greet", "HEAD~1", "v1"), released(folder, "greet", "HEAD", "v2")
    write_state(folder, "greet", stable, canary, unit="call", weight_bp=9999)
    with running_gateway(repo.path) as client:
        answer = client.chat()
    shown = [answer.headers[f"x-promptops-{name}"] for name in ("arm", "version")]
    assert (answer.status, answer.text, shown) == (200, "Greet Ada.", ["canary", "v1"])
    assert [run["fallback"] for run in runs(repo)] == ["inputs refused"]


def test_a_canary_that_fails_call_after_call_is_taken_out_of_service(
    cli: Cli, live: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    ok(cli("canary", "greet@HEAD", *QUICK))

    def fail_salutes(request: Received) -> Answer:
        return status(400) if b"Salute" in request.raw else echo(request)

    provider.script = fail_salutes
    answers: list[Response] = []

    def call() -> str:
        answers.append(client.chat(user=f"user {len(answers)}"))
        return caplog.text

    with running_gateway(live.path) as client:
        until(lambda: "out of service here" in call())
        failed = [answer for answer in answers if answer.status != 200]
        assert {(answer.status, answer.headers["x-promptops-arm"]) for answer in failed} == {(400, "canary")}
        assert len(failed) >= 5
        until(lambda: call() and {answer.raw.count(b"Greet Ada.") for answer in answers[-20:]} == {1})

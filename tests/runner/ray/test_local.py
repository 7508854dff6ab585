"""``--on ray``: a cluster of this machine for one command; what is killed costs no finished call again."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from support.batch_files import greetings, outputs, results, rows, write_lines
from support.provider import Provider, Received, echo, slow, text
from support.ray_commands import RayCommands, marked

LINES = 60
PERSON = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0.2, max_tokens: 64, stop: ["END"], logit_bias: {"1": -100}}
inputs: {name: string}
messages: [{role: user, content: "How old is {{ name }}?"}]
tools:
  - {type: function, function: {name: search, parameters: {type: object, properties: {q: {type: string}}}}}
output:
  schema: {type: object, properties: {age: {type: integer}}, required: [age]}
"""
COMMAND = ("batch", "greet", "in.jsonl", "--out", "out.jsonl", "-j", "8", "--on", "ray")


def names(requests: list[Received]) -> Counter[str]:
    return Counter(request.body["messages"][1]["content"] for request in requests)


def wait_for(provider: Provider, requests: int) -> None:
    until = time.monotonic() + 90
    while len(provider.requests) < requests:
        assert time.monotonic() < until
        time.sleep(0.01)


def written(commands: RayCommands) -> list[str]:
    return outputs((commands.repo.path / "out.jsonl").read_text())


def test_results_are_those_of_the_same_command_without_it(commands: RayCommands, provider: Provider) -> None:
    write_lines(commands.repo, LINES)
    done = commands.run("batch", "greet", "in.jsonl", "-j", "8", "--on", "ray")
    assert done.code == 0, done.err
    assert outputs(done.out) == greetings(LINES)
    assert names(provider.requests) == Counter(greetings(LINES))
    assert len(done.err.splitlines()) == 1  # Ray says nothing of its own
    logged = rows(commands.repo)
    assert {row["state"] for row in logged} == {"finished"}
    again = commands.run("batch", "greet", "in.jsonl", "--on", "ray")
    assert f"{LINES} from the cache" in again.err
    assert len(provider.requests) == LINES


def test_the_provider_is_asked_word_for_word_the_same(commands: RayCommands, provider: Provider) -> None:
    provider.script = text('{"age": 7}')
    commands.repo.write("prompts/person.yaml", PERSON)
    commands.repo.write("in.jsonl", '{"inputs": {"name": "Zoë \\ud83d\\ude00"}}\n')
    asked = []
    for on in ((), ("--on", "ray")):
        done = commands.run("batch", "person", "in.jsonl", "--refresh", *on)
        assert done.code == 0, done.err
        asked.append([request.raw for request in provider.requests])
        provider.requests.clear()
    assert asked[0] == asked[1]
    assert b'"tools"' in asked[0][0]


def test_a_killed_worker_takes_only_the_calls_under_way(commands: RayCommands, provider: Provider) -> None:
    provider.script = lambda request: slow(0.3, echo(request))
    write_lines(commands.repo, LINES)
    child = commands.start(*COMMAND[:3], "-j", "8", "--on", "ray")
    wait_for(provider, 20)
    (worker,) = marked(commands.mark, "ray::CallWorker")
    assert b"RAY_AUTH_MODE=token\0" in Path(f"/proc/{worker}/environ").read_bytes()
    os.kill(worker, signal.SIGKILL)
    out, err = child.communicate(timeout=150)
    assert child.returncode == 0, err
    assert outputs(out) == greetings(LINES)  # and nothing that Ray says of it
    assert "died, and another one is started" in err
    assert LINES < len(provider.requests) <= LINES + 8
    assert max(names(provider.requests).values()) == 2
    logged = rows(commands.repo)
    assert [row["state"] for row in logged] == ["finished"] * LINES
    attempts = rows(
        commands.repo, "SELECT attempts FROM run_texts WHERE attempts LIKE '%died during the call%'"
    )
    assert len(attempts) == len(provider.requests) - LINES


def test_the_same_command_goes_on_where_a_killed_one_was(commands: RayCommands, provider: Provider) -> None:
    provider.script = lambda request: slow(0.2, echo(request))
    write_lines(commands.repo, LINES)
    child = commands.start(*COMMAND)
    wait_for(provider, 30)
    child.kill()
    child.communicate(timeout=60)
    done = commands.run(*COMMAND)
    assert done.code == 0, done.err
    assert "done before" in done.err
    assert written(commands) == greetings(LINES)
    assert len(provider.requests) <= LINES + 16  # 8 in flight, and as many that were on their way to the disk
    assert len(rows(commands.repo)) == LINES


def test_ctrl_c_finishes_what_is_under_way(commands: RayCommands, provider: Provider) -> None:
    provider.script = lambda request: slow(0.5, echo(request))
    write_lines(commands.repo, LINES)
    child = commands.start(*COMMAND)
    wait_for(provider, 8)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does, to all in front
    said = child.communicate(timeout=90)[1]
    assert child.returncode == 130, said
    assert "finishing the 8 calls under way" in said
    assert {row["state"] for row in rows(commands.repo)} == {"finished"}
    assert written(commands) == greetings(len(provider.requests))


def test_a_failure_is_told_as_it_is(commands: RayCommands, provider: Provider) -> None:
    write_lines(commands.repo, 1)
    commands.environment["OPENAI_API_KEY"] = ""
    done = commands.run(*COMMAND)
    assert done.code == 5
    (result,) = results((commands.repo.path / "out.jsonl").read_text())
    assert result["error"]["type"] == "authentication"
    assert "OPENAI_API_KEY is not set" in result["error"]["message"]
    assert not provider.requests


@pytest.mark.embedded
@pytest.mark.thorough
def test_the_embedded_model_answers_on_a_worker(commands: RayCommands) -> None:
    pytest.importorskip("xllamacpp", reason="no xllamacpp on this platform")
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    commands.environment["XDG_CACHE_HOME"] = cache
    write_lines(commands.repo, 3)
    there = commands.run(*COMMAND, "--model", "local/smollm2-135m-instruct")
    assert there.code == 0, there.err
    on_workers = written(commands)
    here = commands.run(*COMMAND[:-2], "--model", "local/smollm2-135m-instruct", "--refresh")
    assert here.code == 0, here.err
    assert written(commands) == on_workers

"""What applications use: threads, event loops, streams, a registry in trouble, releases that move."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from promptops import Invalid, Limits, ModelError, NotFound, Run, Unavailable, Workspace
from promptops.registry import RegistryDatabase
from support.forked_commands import ForkedPopen
from support.front_door import GREET, Repo
from support.provider import Provider, chunk, cut_off, reply, slow, status, text
from support.provider import events as event_stream
from support.workspace_clients import rows, states, until


@pytest.fixture
def workspace(greeting: Repo, provider: Provider) -> Iterator[Workspace]:
    with Workspace.open(greeting.path) as opened:
        yield opened


def own_threads() -> set[threading.Thread]:
    """Those of other tests, whose pages may still be at work, among them."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("promptops-")}


def test_a_call_is_answered_and_logged(workspace: Workspace, greeting: Repo) -> None:
    run = workspace.run("greet@HEAD", {"name": "Ada"}, metadata={"page": "start"})
    assert (run.answer, run.passed) == ("Greet Ada.", True)
    assert run.started.commit_sha == greeting.git("rev-parse", "HEAD")
    assert rows(greeting.path, "run_id, state") == [(run.id, "finished")]
    assert run.as_json()["metadata"] == {"page": "start"}


def test_what_a_run_says(workspace: Workspace, provider: Provider, greeting: Repo) -> None:
    greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: lemon}]\n")
    provider.script = text('{"name": "Ada"}', usage={"prompt_tokens": 9, "completion_tokens": 3})
    run = workspace.run("greet", {"name": "Ada"})
    logged = run.as_json()
    assert (run.id, run.digest, run.model) == (logged["run_id"], logged["digest"], "stub-1")
    assert (run.text, run.answer, run.output_json) == ('{"name": "Ada"}', run.text, {"name": "Ada"})
    assert (run.prompt, run.version, run.channel, run.arm) == ("greet", None, None, None)
    assert (run.finish_reason, run.tool_calls, run.error) == ("stop", [], None)
    assert (run.input_tokens, run.output_tokens, run.cached_tokens, run.reasoning_tokens) == (
        9,
        3,
        None,
        None,
    )
    assert run.cost_usd == pytest.approx(9 * 0.15e-6 + 3 * 0.6e-6)
    assert run.latency_ms == logged["latency_ms"] > 0
    assert run.first_token_ms is None
    assert [(check.name, check.passed) for check in run.checks] == [("contains", False)]
    assert not run.passed


def test_a_run_that_calls_a_tool_has_no_text(workspace: Workspace, provider: Provider) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
    run = workspace.run("greet", {"name": "Ada"})
    assert (run.text, run.tool_calls, run.finish_reason) == ("", [call], "tool_calls")
    assert json.loads(run.answer) == [call]


def test_many_threads_at_once(workspace: Workspace, greeting: Repo) -> None:
    with ThreadPoolExecutor(16) as pool:
        names = [f"Ada {number}" for number in range(120)]
        runs = list(pool.map(lambda name: workspace.run("greet", {"name": name}), names))
    assert [run.answer for run in runs] == [f"Greet {name}." for name in names]
    assert states(greeting.path) == {"finished": 120}


def test_inside_a_running_loop_and_from_several_loops(workspace: Workspace, greeting: Repo) -> None:
    async def both(number: int) -> list[Run]:
        first = workspace.run("greet", {"name": f"sync {number}"})  # blocks this loop, and nothing else
        calls = (workspace.arun("greet", {"name": f"{number}.{each}"}) for each in range(25))
        return [first, *await asyncio.gather(*calls)]

    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda number: asyncio.run(both(number)), range(3)))
    assert [run.answer for run in runs[1]] == ["Greet sync 1.", *(f"Greet 1.{each}." for each in range(25))]
    assert states(greeting.path) == {"finished": 78}


def test_a_failed_call_raises_with_the_id_of_its_run(
    workspace: Workspace, provider: Provider, greeting: Repo
) -> None:
    provider.script = status(400, "no such parameter")
    with pytest.raises(ModelError, match="no such parameter") as caught:
        workspace.run("greet", {"name": "Ada"})
    assert rows(greeting.path, "run_id, state, error_type") == [
        (caught.value.run_id, "failed", "bad_request")
    ]


def test_what_is_wrong_before_the_call_is_raised_and_not_logged(workspace: Workspace, greeting: Repo) -> None:
    with pytest.raises(NotFound, match="no prompt `great`") as caught:
        workspace.run("great", {"name": "Ada"})
    assert traceback.format_exception(caught.value)[-1] == "did you mean greet?\n"
    with pytest.raises(Invalid, match="missing"):
        workspace.run("greet")
    with pytest.raises(NotFound, match="no version of greet is released"):
        workspace.run("greet:production", {"name": "Ada"})
    with pytest.raises(Invalid, match="the metadata cannot be logged: it holds a object"):
        workspace.run("greet", {"name": "Ada"}, metadata={"page": object()})
    assert not (greeting.path / "registry.db").exists() or not rows(greeting.path)


def test_cancelling_a_call_ends_it(workspace: Workspace, provider: Provider, greeting: Repo) -> None:
    provider.script = slow(30, text("late"))

    async def impatient() -> None:
        await asyncio.wait_for(workspace.arun("greet", {"name": "Ada"}), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    assert provider.hung_up.wait(5)
    until(lambda: states(greeting.path) == {"interrupted": 1})


# streams


@pytest.fixture
def spoken(provider: Provider) -> list[str]:
    words = ["one ", "two ", "three"]

    chunks = [chunk({"content": word}) for word in words]
    provider.script = event_stream(*chunks, chunk({}, "stop"))
    return words


def test_a_stream_for_threads_and_for_loops(workspace: Workspace, spoken: list[str]) -> None:
    async def listen() -> list[str]:
        stream = workspace.stream("greet", {"name": "Ada"})
        return [piece async for piece in stream] + [stream.run.answer]

    stream = workspace.stream("greet", {"name": "Ada"})
    assert list(stream) == spoken
    assert stream.run.answer == "one two three"
    assert list(stream) == []
    assert asyncio.run(listen()) == [*spoken, "one two three"]
    heard: list[tuple[str, str]] = []
    workspace.run(
        "greet", {"name": "Ada"}, on_text=lambda piece: heard.append((piece, threading.current_thread().name))
    )
    assert heard == [(word, threading.current_thread().name) for word in spoken]


def test_a_stream_that_is_left_early_ends_the_call(
    workspace: Workspace, provider: Provider, greeting: Repo
) -> None:
    provider.script = cut_off("Hello", ending="hang")
    for piece in workspace.stream("greet", {"name": "Ada"}):
        assert piece == "Hello"
        break
    assert provider.hung_up.wait(5)
    until(lambda: rows(greeting.path, "state") == [("interrupted",)])

    def fed_up(piece: str) -> None:
        raise KeyError(piece)

    with pytest.raises(KeyError, match="Hello"):
        workspace.run("greet", {"name": "Ada"}, on_text=fed_up)
    until(lambda: states(greeting.path) == {"interrupted": 2})


def test_no_second_attempt_follows_text_that_was_shown(workspace: Workspace, provider: Provider) -> None:
    provider.script = [cut_off("Hel"), text("Hello")]
    pieces: list[str] = []
    began = time.monotonic()
    with pytest.raises(ModelError) as caught:
        pieces.extend(workspace.stream("greet", {"name": "Ada"}))
    assert (pieces, caught.value.type, len(provider.requests)) == (["Hel"], "cut_off", 1)
    assert time.monotonic() - began < 10
    provider.script = [status(500), text("Hello")]
    provider._served = 0  # noqa: SLF001 - the script begins again
    assert "".join(workspace.stream("greet", {"name": "Ada"})) == "Hello"


def test_an_answer_that_may_be_repaired_comes_whole(
    workspace: Workspace, provider: Provider, greeting: Repo
) -> None:
    greeting.write("prompts/greet.yaml", GREET + "output: {schema: {type: object}, repair: 1}\n")
    provider.script = [text("nonsense"), text("{}")]
    assert list(workspace.stream("greet", {"name": "Ada"})) == ["{}"]


# prepared calls


def test_an_application_makes_the_call_itself(
    workspace: Workspace, provider: Provider, greeting: Repo
) -> None:
    greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: Ada}]\n")
    call = workspace.prepare("greet", {"name": "Ada"}, metadata={"page": "start"})
    assert rows(greeting.path, "run_id, state") == [(call.run_id, "started")]
    assert (call.model, call.parameters["max_tokens"], call.tools, call.arm) == (
        "openai/gpt-4o-mini-2024-07-18",
        64,
        [],
        None,
    )
    assert call.messages[-1] == {"role": "user", "content": "Greet Ada."}
    run = call.finish(output="Hello Bob", input_tokens=9, output_tokens=3)
    assert not run.passed
    assert run.finished.cost_usd == pytest.approx(9 * 0.15e-6 + 3 * 0.6e-6)
    with pytest.raises(Invalid, match="has ended already"):
        call.finish(output="Hello Ada")
    failed = workspace.prepare("greet", {"name": "Ada"}).finish(error=TimeoutError("after 30 s"))
    assert (failed.finished.state, failed.finished.error_message) == ("failed", "after 30 s")
    assert failed.error
    assert (failed.error.type, str(failed.error), failed.error.run_id) == (
        "call_failed",
        "after 30 s",
        failed.id,
    )
    assert provider.requests == []


def test_prepared_in_a_loop(workspace: Workspace, greeting: Repo) -> None:
    async def calls() -> Run:
        call = await workspace.aprepare("greet", {"name": "Ada"})
        return await call.afinish(output="Hello Ada")

    assert asyncio.run(calls()).answer == "Hello Ada"
    assert states(greeting.path) == {"finished": 1}


def test_what_people_say_of_an_answer(workspace: Workspace, greeting: Repo) -> None:
    run_id = workspace.run("greet", {"name": "Ada"}).id
    assert workspace.feedback(run_id, "down", comment="too short") == 1
    assert workspace.feedback(run_id, metric="correct", value=1, edit="Hello Ada!") == 2
    assert workspace.feedback(run_id, "down", comment="too short") == 0
    with RegistryDatabase.open(greeting.registry) as registry:
        found = registry.read("SELECT name, value, text FROM outcomes ORDER BY name")
    said = [tuple(row) for row in found]
    assert said == [("correct", 1.0, ""), ("edited", 1.0, "Hello Ada!"), ("thumbs", -1.0, "too short")]
    with pytest.raises(Invalid, match="what was the answer like"):
        workspace.feedback(run_id, metric="correct")
    with pytest.raises(NotFound, match="no run"):
        workspace.feedback("0" * 26, "up")


# the end


def test_closing_ends_everything(greeting: Repo, provider: Provider) -> None:
    provider.script = slow(30, text("late"))
    before = own_threads()
    workspace = Workspace.open(greeting.path)
    assert own_threads() <= before
    workspace.prepare("greet", {"name": "never finished"})
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(workspace.run, "greet", {"name": "Ada"})
        in_loop = pool.submit(lambda: asyncio.run(workspace.arun("greet", {"name": "Ada"})))
        until(lambda: len(provider.requests) == 2)
        workspace.close()
        for each in (waiting, in_loop):
            with pytest.raises(Unavailable, match="closed"):
                each.result(5)
    assert own_threads() <= before
    assert states(greeting.path) == {"started": 1, "interrupted": 2}
    with pytest.raises(Unavailable, match="closed"):
        workspace.run("greet", {"name": "Ada"})
    workspace.close()


def test_a_program_that_forgets_to_close_loses_nothing(greeting: Repo, provider: Provider) -> None:
    code = "from promptops import Workspace; print(Workspace.open('.').run('greet', {'name': 'Ada'}).answer)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert (done.stdout, done.stderr) == ("Greet Ada.\n", "")
    assert states(greeting.path) == {"finished": 1}


def test_ctrl_c_ends_the_call(greeting: Repo, provider: Provider) -> None:
    provider.script = slow(30, text("late"))
    code = "from promptops import Workspace; Workspace.open('.').run('greet', {'name': 'Ada'})"
    with ForkedPopen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        until(lambda: provider.requests)
        child.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in child.communicate(timeout=60)[1]
    assert states(greeting.path) == {"interrupted": 1}


FORKED = """
import os
from promptops import Invalid, Workspace
workspace = Workspace.open(".")
if not os.fork():
    print(workspace.run("greet", {"name": "child"}).answer, flush=True)  # first used there
    workspace.close()
    os._exit(0)
os.wait()
workspace.run("greet", {"name": "parent"})
if not os.fork():
    try:
        workspace.run("greet", {"name": "child"})
    except Invalid as error:
        print(error.message, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_fork_is_told_of(greeting: Repo, provider: Provider) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=20)
    assert done.stdout == "Greet child.\nthis workspace was used before the process forked\n"


def test_limits_are_the_callers(workspace: Workspace, provider: Provider) -> None:
    provider.script = slow(5, text("late"))
    with pytest.raises(ModelError) as caught:
        workspace.run("greet", {"name": "Ada"}, limits=Limits(retries=0, timeout=0.2))
    assert caught.value.type == "timeout"

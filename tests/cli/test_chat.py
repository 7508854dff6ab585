"""``promptops chat``: a conversation from a pipe and on a terminal."""

import io
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.front_door import GREET, Cli, Finished, Repo
from support.greet_releases import go_live, ok
from support.logged_rows import open_log
from support.provider import Answer, Provider, Received, cut_off, echo, reply, slow, status, text

ASK = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {max_tokens: 64}
messages: [{role: system, content: You help.}]
"""
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
Chat = Callable[..., Finished]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def chat(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """``chat(["Ada", "and you?"], "greet")``: a chat from a pipe."""

    def run(lines: list[str] | bytes, *arguments: str) -> Finished:
        data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return cli("chat", *arguments)

    return run


def logged(repo: Repo) -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("SELECT * FROM runs JOIN run_texts USING (seq) ORDER BY seq").fetchall()
    return [{**row, "metadata": json.loads(row["metadata"])} for row in rows]


def sent(provider: Provider) -> list[str]:
    return [f"{each['role'][0]}: {each['content']}" for each in provider.requests[-1].body["messages"]]


def test_each_line_of_a_pipe_is_a_turn_and_each_turn_a_run(
    chat: Chat, greeting: Repo, provider: Provider, cli: Cli
) -> None:
    done = chat(["Ada", "", "and you?", "!multi X", "one", "!end", "!end X", "quit", "never"], "greet")
    assert (done.code, done.err) == (0, "")
    assert done.out == "Greet Ada.\nand you?\none\n!end\n"
    assert sent(provider) == [
        "s: You greet people.",
        "u: Greet Ada.",
        "a: Greet Ada.",
        "u: and you?",
        "a: and you?",
        "u: one\n!end",
    ]
    runs = logged(greeting)
    assert len({run["metadata"]["session"] for run in runs}) == 1
    assert [run["metadata"].get("parent") for run in runs] == [None, *(run["run_id"] for run in runs[:2])]
    assert cli("last").out == "one\n!end\n"
    assert cli("runs", "replay", "last").code == 0
    more = chat(["go on"], "greet", "-c")
    assert (more.code, more.out) == (0, "go on\n")
    assert more.err == f"going on from run {runs[-1]['run_id']}, behind 7 messages\n"
    assert logged(greeting)[-1]["metadata"]["session"] == runs[0]["metadata"]["session"]
    named = chat(["differently"], "greet", "--run", runs[0]["run_id"], "-q", "--json")
    assert json.loads(named.out)["output"] == "differently"
    assert (named.err, len(sent(provider))) == ("", 4)


def test_given_inputs_render_the_first_message_at_once(
    chat: Chat, greeting: Repo, provider: Provider
) -> None:
    done = chat(["more", "!retry"], "greet", "-i", "name=Ada", "--no-log")
    assert (done.code, done.out) == (0, "Greet Ada.\nmore\n")
    assert done.err == "every message has been answered\n"
    assert not (greeting.path / "registry.db").exists()


def test_a_prompt_without_a_question_takes_it_from_the_chat(
    chat: Chat, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/ask.yaml", ASK)
    assert chat(["Who?", "When?"], "ask").out == "Who?\nWhen?\n"
    assert sent(provider) == ["s: You help.", "u: Who?", "a: Who?", "u: When?"]
    history = "inputs: {chat: messages}\nmessages: [{role: system, content: You help.}, {insert: chat}]\n"
    repo.write("prompts/own.yaml", ASK[: ASK.index("messages")] + history)
    assert chat(["Who?", "When?"], "own").out == "Who?\nWhen?\n"
    assert sent(provider) == ["s: You help.", "u: Who?", "a: Who?", "u: When?"]
    assert logged(repo)[-1]["overrides"] == "{}"
    history = history.replace("insert: chat}", "insert: chat}, {role: user, content: '{{ q }}'}")
    repo.write("prompts/own.yaml", ASK[: ASK.index("m")] + "model: openai/gpt-4o-mini-2024-07-18\n" + history)
    repo.write(
        "prompts/own.yaml",
        (repo.path / "prompts/own.yaml").read_text().replace("messages}", "messages, q: string}"),
    )
    assert chat(["Who?", "When?"], "own").out == "Who?\nWhen?\n"
    assert sent(provider) == ["s: You help.", "u: Who?", "a: Who?", "u: When?"]


def test_what_is_wrong_from_the_start_ends_it(chat: Chat, greeting: Repo, provider: Provider) -> None:
    for arguments, code, words in [
        (("nobody",), 4, "no prompt `nobody`"),
        (("greet", "-i", "nmae=Ada"), 4, "did you mean `name`?"),
        (("greet", "-i", "name=@-"), 2, "stdin has the messages"),
        (("greet", "--inputs", "-"), 2, "stdin has the messages"),
        (("greet", "-c", "-i", "name=Ada"), 2, "inputs are of the first message"),
        (("greet", "-c"), 4, "there is no last run"),
        (("greet", "-i", "name=Ada", "--max-cost", "1", "--model", "openai/gpt-none"), 4, "--assume-cost"),
    ]:
        done = chat(["hello"], *arguments)
        assert (done.code, words in done.err) == (code, True), done.err
    greeting.write("prompts/two.yaml", GREET.replace("name: string", "name: string\n  other: string"))
    done = chat(["hello"], "two")
    assert (done.code, "the inputs `name`, `other` are missing" in done.err) == (4, True)
    assert provider.requests == []


def test_errors_do_not_end_it_and_retry_sends_again(chat: Chat, greeting: Repo, provider: Provider) -> None:
    answers = iter([status(400, "broken"), text("fine"), status(500), text("well"), status(500)])
    provider.script = lambda _: next(answers)
    done = chat(
        ["too early", "!retry", "next", "!retry", "last", "!nonsense", "!edit"],
        "greet",
        *("-i", "name=Ada", "--retries", "0"),
    )
    assert (done.code, done.out) == (5, "fine\nwell\n")  # as the last message failed
    assert "the first message has not been answered yet: !retry" in done.err
    assert "no such command: !nonsense" in done.err
    assert "!edit needs a terminal" in done.err
    assert sent(provider)[-3:] == ["u: next", "a: well", "u: last"]


def test_what_is_no_answer_is_left_out(chat: Chat, greeting: Repo, provider: Provider) -> None:
    calls = reply({"role": "assistant", "content": None, "tool_calls": CALLS})
    answers = iter([text("hello"), calls, text(""), text("good")])
    provider.script = lambda _: next(answers)
    done = chat(["Ada", "two", "three", "four"], "greet")
    assert "promptops runs none: this turn is left out" in done.err
    assert "there is no answer: this turn is left out" in done.err
    assert sent(provider)[-2:] == ["a: hello", "u: four"]


def test_a_conversation_that_is_too_long_says_what_to_do(
    chat: Chat, greeting: Repo, provider: Provider
) -> None:
    provider.script = status(400, "maximum context length", code="context_length_exceeded")
    done = chat(["Ada"], "greet")
    assert done.code == 4
    assert "the conversation (2 messages, about 16 tokens) is too long for the model" in done.err
    provider.script = echo
    greeting.write("prompts/greet.yaml", f"max_input_tokens: 40\n{GREET}")
    done = chat(["Ada", "x" * 400, "short"], "greet")
    assert "above max_input_tokens 40" in done.err
    assert "begin another chat" in done.err
    assert (done.code, done.out) == (0, "Greet Ada.\nshort\n")


def test_a_budget_is_for_the_whole_chat(chat: Chat, greeting: Repo, provider: Provider) -> None:
    provider.script = text("hello", usage={"prompt_tokens": 1000, "completion_tokens": 64})
    done = chat(["Ada", "two", "three"], "greet", "--max-cost", "0.0003")
    assert (done.code, done.out, len(provider.requests)) == (6, "hello\n", 1)
    assert "of --max-cost" in done.err


def test_a_channel_keeps_its_arm_and_a_held_answer_ends_it(
    chat: Chat, cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))
    for _ in range(4):
        assert chat(["Ada", "two", "three"], "greet:production").code == 0
    runs = logged(repo)
    sessions = {run["metadata"]["session"] for run in runs}
    assert len({(run["metadata"]["session"], run["arm"]) for run in runs}) == len(sessions) == 4
    assert {run["excluded"] for run in runs if "parent" not in run["metadata"]} == {None}
    assert {run["excluded"] for run in runs if "parent" in run["metadata"]} == {"conversation"}


def test_a_held_answer_ends_it(chat: Chat, cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo, more="review: required\n")
    done = chat(["Ada", "two"], "greet:production")
    assert (done.code, done.out, len(provider.requests)) == (3, "", 1)


def test_bytes_that_are_no_text_and_lines_without_end(
    chat: Chat, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chat(b"\xff\xfe\n", "greet").code == 4
    monkeypatch.setattr("promptops.cli.chat_input._MAX_BYTES", 10)
    assert "has more than 10 bytes" in chat(["x" * 11], "greet").err
    assert chat(b"!multi\nno end", "greet").out == "Greet no end.\n"


def test_many_turns_and_a_large_text(chat: Chat, greeting: Repo, provider: Provider) -> None:
    provider.script = text("ok")
    large = "word " * 20_000
    done = chat(["Ada", large, *(f"turn {number}" for number in range(10))], "greet")
    assert (done.code, done.out) == (0, "ok\n" * 12)
    assert len(sent(provider)) == 2 + 11 * 2
    assert large in sent(provider)[3]


class Terminal:
    """A terminal as stdin and stdout of this process; ``shown`` is what is on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keyboard, terminal = os.openpty()
        self.stdin, self.stdout = os.fdopen(terminal), os.fdopen(os.dup(terminal), "w")
        monkeypatch.setattr(sys, "stdin", self.stdin)
        monkeypatch.setattr(sys, "stdout", self.stdout)
        self.shown = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def _read(self) -> None:
        try:
            while data := os.read(self.keyboard, 4000):
                self.shown += data.decode()
        except OSError:
            return

    def close(self) -> None:
        self.stdin.close()
        self.stdout.close()
        self._reader.join(5)
        os.close(self.keyboard)


@contextmanager
def a_terminal() -> Iterator[Terminal]:
    """Within a test, as what captures output puts its own in place before one."""
    with pytest.MonkeyPatch.context() as patch:
        opened = Terminal(patch)
        yield opened
        patch.undo()
        opened.close()


def test_on_a_terminal_it_asks_streams_and_goes_on_after_ctrl_c(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    def script(request: Received) -> Answer:
        said = request.body["messages"][-1]["content"]
        if said == "cut":
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            return cut_off("a part \x1b[2J", ending="hang")
        if said == "none":
            os.kill(os.getpid(), signal.SIGINT)
            return slow(1, text("late"))
        return text("\x1b]0;title\x07done")

    provider.script = script
    with a_terminal() as terminal:
        terminal.type("Ada\n!help\ncut\nnone\n!retry\nafter\nquit\n")
        done = cli("chat", "greet")
    assert done.code == 0
    assert "name> " in terminal.shown
    assert "\x1b]0" not in terminal.shown
    assert "\x1b[2J" not in terminal.shown
    assert "a part \\x1b[2J" in terminal.shown
    assert done.err.startswith("greet, openai/gpt-4o-mini-2024-07-18: !help explains")
    assert "!multi [WORD]" in done.err
    assert "interrupted: the conversation goes on from what had come" in done.err
    assert done.err.count("interrupted; !retry sends the message again") == 2
    assert sent(provider)[-3:] == ["u: cut", "a: a part \x1b[2J", "u: after"]
    assert [run["state"] for run in logged(greeting)] == [
        *("finished", "interrupted", "interrupted", "interrupted", "finished")
    ]


def test_ctrl_c_and_ctrl_d_where_nothing_is_asked(cli: Cli, greeting: Repo, provider: Provider) -> None:
    interrupts = iter("ab")

    def interrupt(*_: object) -> None:
        if next(interrupts, None):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with a_terminal() as terminal:
        for after, said in ((0.45, "!multi\nhalf\n"), (0.75, "Ada\n\x04")):
            threading.Timer(after, terminal.type, [said]).start()
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
        try:
            done = cli("chat", "greet", "-q")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert done.code == 0
    assert "quit or Ctrl-D ends the chat" in done.err
    assert "not sent" in done.err
    assert len(provider.requests) == 1


def test_the_editor_writes_a_message(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting.write("editor.sh", '#!/bin/sh\necho "edited: $(cat "$2")" > "$2"\n').chmod(0o755)
    monkeypatch.setenv("VISUAL", f"{greeting.path}/editor.sh -w")

    def typed(text: str) -> str:
        with a_terminal() as terminal:
            terminal.type(text)
            return cli("chat", "greet").err

    assert typed("Ada\n!edit a draft\nquit\n").count("\n") == 1
    assert sent(provider)[-1] == "u: edited: a draft"
    monkeypatch.setenv("VISUAL", "true")
    assert "nothing new was saved" in typed("Ada\n!edit draft\nquit\n")
    monkeypatch.setenv("VISUAL", "false")
    assert "the editor `false` failed" in typed("Ada\n!edit\nquit\n")


def test_guards_look_at_each_message_and_what_they_block_is_left_out(
    chat: Chat, greeting: Repo, provider: Provider, cli: Cli
) -> None:
    guards = "guards: [{on: input, check: {not: {contains: bomb}}, inputs: [name], do: block}]\n"
    greeting.write("prompts/greet.yaml", GREET + guards)
    done = chat(["Ada", "a bomb", "fine"], "greet")
    assert done.out == "Greet Ada.\nfine\n"
    assert "this turn is left out of what follows" in done.err
    assert sent(provider)[-2:] == ["a: Greet Ada.", "u: fine"]
    blocked = cli("run", "-c", "another bomb")
    assert (blocked.code, blocked.out) == (1, "")
    passed = cli("run", "-c", "good")
    assert "was not answered; going on from run" in passed.err
    assert sent(provider)[-2:] == ["a: fine", "u: good"]

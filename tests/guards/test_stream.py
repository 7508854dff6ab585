"""Answers that come piece by piece: nothing leaves that a guard may still object to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops import Workspace
from promptops.checks import CheckSubject
from promptops.guards import StreamGate, compile_guards
from support.front_door import GREET, Repo
from support.prompt_files import load_text, minimal
from support.provider import Answer, Provider, chunk, cut_off, events, text

ORDER = {"not": {"regex": r"ORDER-\d+"}}
WORDS = {"not": {"contains_any": ["zebra", "zoo"]}}


class Listener:
    """What a gate lets through."""

    def __init__(self, *guards: dict[str, Any]) -> None:
        self.heard: list[str] = []
        compiled = compile_guards(load_text(minimal(guards=[{"on": "output", **guard} for guard in guards])))
        whole = compiled.needs_whole_answer
        self.gate = StreamGate(compiled.outputs, CheckSubject(output=""), self.heard.append, whole=whole)

    def after(self, *pieces: str) -> str:
        for piece in pieces:
            self.gate.take(piece)
        return "".join(self.heard)


@pytest.mark.parametrize(
    ("guard", "pieces", "heard"),
    [
        ({"check": ORDER, "do": "block"}, ["see ", "ORD"], "see "),
        ({"check": ORDER, "do": "block"}, ["see ", "ORD", "inary"], "see ORDinary"),
        ({"check": ORDER, "do": "block"}, ["see ORDER-5 and more"], "see "),
        ({"check": ORDER, "do": "redact", "with": "#"}, ["see ORDER-5", "6 there"], "see "),
        ({"check": WORDS, "do": "block"}, ["a ze", "st"], "a zest"),
        ({"check": WORDS, "do": "block"}, ["a ze", "br", "a"], "a "),
        ({"check": WORDS, "do": "redact", "with": "#"}, ["a zebra in a zoo", "m z"], "a # in a #m "),
        ({"check": {"not": {"icontains": "straße"}}, "do": "block"}, ["die STRAS", "SEN"], "die "),
        ({"check": {"not": {"contains": {"a": 1}}}, "do": "block"}, ["not yet"], ""),
        ({"check": ORDER, "do": "retry"}, ["hello"], ""),
        ({"check": ORDER, "do": "replace", "with": "x"}, ["hello"], ""),
        ({"check": "refusal", "do": "block"}, ["hello"], ""),
        ({"check": "refusal", "do": "flag"}, ["hello"], "hello"),
        ({"check": ORDER, "do": "block"}, ['{"a": 1'], ""),
        ({"check": WORDS, "do": "block"}, ["\n", '{"a": "', "\\u007aebra", '"}'], ""),
        ({"check": WORDS, "do": "block"}, [" ", '"\\u007aeb', 'ra"'], ""),
        ({"check": WORDS, "do": "block"}, [' "Hi', '", ', "he said"], ' "Hi", he said'),
        ({"check": WORDS, "do": "block"}, ['"one\n', "two"], '"one\ntwo'),
        ({"check": WORDS, "do": "block"}, ['"' + 1_000 * "long "], ""),
    ],
)
def test_what_is_released_before_the_end(guard: dict[str, Any], pieces: list[str], heard: str) -> None:
    assert Listener(guard).after(*pieces) == heard


def test_the_rest_follows_once_the_answer_may_leave() -> None:
    listener = Listener({"check": ORDER, "do": "redact", "with": "#"})
    listener.after("see ORDER-5", "6 there")
    listener.gate.passed("see # there")
    assert "".join(listener.heard) == "see # there"
    whole = Listener({"check": "refusal", "do": "block"})
    whole.after("hello")
    whole.gate.passed("hello")
    assert whole.heard == ["hello"]
    whole.gate.restart()
    whole.gate.passed("")
    assert whole.heard == ["hello"]


def test_a_pattern_that_became_too_slow_lets_out_nothing_that_is_redacted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(text: str, pattern: str) -> int:
        raise TimeoutError(text, pattern)

    listener = Listener({"check": ORDER, "do": "redact", "with": "#"})
    listener.after("see ORDER-5", "6 there ")
    monkeypatch.setattr(listener.gate._watchers[0], "_unfinished", slow)  # noqa: SLF001 - no text does it
    listener.after("and ORDER-7")
    listener.gate.passed("see # there and #")
    assert "".join(listener.heard) == "see # there and #"


def test_another_attempt_begins_from_its_own_text() -> None:
    listener = Listener({"check": WORDS, "do": "block"})
    listener.after("a ze")
    listener.gate.restart()
    assert listener.after("braces") == "a braces"


def test_a_pattern_that_takes_too_long_holds_back_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(text: str, pattern: str) -> int:
        raise TimeoutError(text, pattern)

    listener = Listener({"check": ORDER, "do": "block"})
    assert listener.after("so far ") == "so far "
    monkeypatch.setattr(listener.gate._watchers[0], "_unfinished", slow)  # noqa: SLF001 - no text does it
    assert listener.after("so good") == "so far "
    listener.gate.passed("so far so good")
    assert "".join(listener.heard) == "so far so good"


@given(st.lists(st.text("zebraoORDE-5 ", max_size=6), max_size=12))
def test_however_it_is_cut_a_stream_ends_as_the_whole_would(pieces: list[str]) -> None:
    """With what is redacted out of it; and nothing that a guard blocks is ever heard."""
    redacting = Listener({"check": WORDS, "do": "redact", "with": "#"})
    redacting.after(*pieces)
    text = "".join(pieces)
    whole = text.replace("zebra", "#").replace("zoo", "#")
    redacting.gate.passed(whole)
    assert "".join(redacting.heard) == whole
    blocking = Listener({"check": ORDER, "do": "block"}, {"check": WORDS, "do": "block"})
    heard = blocking.after(*pieces)
    assert text.startswith(heard)
    assert not any(word in heard for word in ("zebra", "zoo", "ORDER-5"))


def streamed(*pieces: str) -> Answer:
    return events(*(chunk({"content": piece}) for piece in pieces), chunk({}, "stop"))


@pytest.fixture
def guarded(greeting: Repo) -> Repo:
    more = r"guards: [{on: output, check: {not: {regex: 'ORDER-\d+'}}, do: block, message: Ask us.}]"
    greeting.write("prompts/greet.yaml", GREET + more + "\n")
    return greeting


def test_a_block_in_the_last_piece_leaks_nothing_that_was_held(guarded: Repo, provider: Provider) -> None:
    provider.script = streamed("Hello ", "Ada, see OR", "DER-", "5")
    with Workspace.open(guarded.path) as workspace:
        with workspace.stream("greet", {"name": "Ada"}) as stream:
            heard = list(stream)
        assert "".join(heard) == "Hello Ada, see "
        assert (stream.run.blocked, stream.run.message, stream.run.text) == (True, "Ask us.", "")
        provider.script = streamed("Hello ", "Ada, see OR", "DERS")
        with workspace.stream("greet", {"name": "Ada"}) as stream:
            assert "".join(stream) == "Hello Ada, see ORDERS"


def test_what_came_of_an_answer_that_broke_off_is_of_the_log_alone(
    guarded: Repo, provider: Provider, cli: Any
) -> None:
    provider.script = cut_off("Hello ORDER-5")
    done = cli("run", "greet", "-i", "name=Ada", "--stream", "--retries", "0", "--json")
    assert (done.code, "ORDER-5" in done.out + done.err) == (5, False)
    done = cli("run", "greet", "-i", "name=Ada", "--stream", "--retries", "0")
    assert "ORDER-5" not in done.out
    assert '"output": "Hello ORDER-5"' in cli("runs", "show", "last", "--json").out


def test_a_retried_answer_comes_whole(greeting: Repo, provider: Provider) -> None:
    more = r"guards: [{on: output, check: {not: {contains: zebra}}, do: retry}]"
    greeting.write("prompts/greet.yaml", GREET + more + "\n")
    provider.script = [text("a zebra"), text("a lion")]
    with Workspace.open(greeting.path) as workspace, workspace.stream("greet", {"name": "Ada"}) as stream:
        assert list(stream) == ["a lion"]
    assert not any(request.streams for request in provider.requests)

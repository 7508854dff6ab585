"""How a prompt takes the next message of a conversation."""

from typing import Any

import pytest

from promptops.prompt import Prompt, load_prompt
from promptops.prompt.conversation import awaited_input, conversation_form
from promptops.prompt.render import render_prompt

HEAD = "model: openai/gpt-4o-mini-2024-07-18\n"
CHAT = "chat: {type: messages, default: []}"


def prompt(inputs: str, messages: str, **files: str) -> Prompt:
    text = f"{HEAD}inputs: {{{inputs}}}\nmessages: [{messages}]\n"
    known = {"ask.yaml": text, **{name.replace("_", "."): content for name, content in files.items()}}
    return load_prompt("ask", lambda path: known[path].encode() if path in known else _missing(path))


def _missing(path: str) -> bytes:
    from promptops.errors import NotFound

    raise NotFound(path)


@pytest.mark.parametrize(
    ("inputs", "messages", "text"),
    [
        (f"{CHAT}, q: string", "{insert: chat}, {role: user, content: '{{ q }}'}", "q"),
        (f"{CHAT}, q: string", "{insert: chat}, {role: user, content: '{% if q %}{{ q }}{% endif %}'}", "q"),
        (f"{CHAT}, q: string, n: integer", "{insert: chat}, {role: user, content: '{{ q }}{{ n }}'}", "q"),
        (CHAT, "{role: system, content: Hi}, {insert: chat}", None),
    ],
)
def test_a_history_of_its_own(inputs: str, messages: str, text: str | None) -> None:
    asked = prompt(inputs, messages)
    form = conversation_form(asked)
    assert (form.prompt, form.history, form.text, form.added) == (asked, "chat", text, False)


@pytest.mark.parametrize(
    ("inputs", "messages"),
    [
        ("q: string", "{role: user, content: '{{ q }}'}"),
        (f"{CHAT}, q: string", "{insert: chat}, {role: system, content: '{{ q }}'}"),
        (f"{CHAT}, q: string, r: string", "{insert: chat}, {role: user, content: '{{ q }}{{ r }}'}"),
        (f"{CHAT}, q: {{type: string, untrusted: true}}", "{insert: chat}, {role: user, content: '{{ q }}'}"),
        (f"{CHAT}, q: integer", "{insert: chat}, {role: user, content: '{{ q }}'}"),
        (f"{CHAT}, more: {{type: messages, default: []}}", "{insert: chat}, {insert: more}"),
        (
            f"{CHAT}, q: string",
            "{insert: chat}, {role: user, content: '{{ q }}'}, {role: user, content: Now}",
        ),
    ],
)
def test_a_history_is_added_at_the_end(inputs: str, messages: str) -> None:
    asked = prompt(inputs, messages)
    form = conversation_form(asked)
    assert (form.history, form.text, form.added) == ("conversation", None, True)
    assert form.prompt.messages[:-1] == asked.messages
    assert form.prompt.digest != asked.digest


def test_a_name_that_is_taken_is_left_alone() -> None:
    form = conversation_form(
        prompt("conversation: string, conversation_2: string", "{role: user, content: x}")
    )
    assert form.history == "conversation_3"


def test_texts_of_partials_count() -> None:
    form = conversation_form(
        prompt(
            f"{CHAT}, q: string",
            "{insert: chat}, {role: user, content: '{% include \"p.md\" %}'}",
            p_md="{{ q }}",
        )
    )
    assert form.text == "q"


@pytest.mark.parametrize(
    ("inputs", "messages", "given", "awaited"),
    [
        ("q: string", "{role: user, content: '{{ q }}'}", {}, "q"),
        ("q: string", "{role: user, content: '{{ q }}'}", {"q": "x"}, None),
        ("q: integer", "{role: user, content: '{{ q }}'}", {}, None),
        ("chat: messages, q: string", "{insert: chat}, {role: user, content: '{{ q }}'}", {}, "q"),
        ("chat: messages", "{role: system, content: x}, {insert: chat}", {}, ""),
        ("tone: {type: string, default: kind}", "{role: system, content: '{{ tone }}'}", {}, ""),
        ("a: string, b: string", "{role: user, content: '{{ a }}{{ b }}'}", {"a": "x"}, "b"),
        ("a: string, b: string", "{role: user, content: '{{ a }}{{ b }}'}", {}, None),
    ],
)
def test_what_the_first_words_are(
    inputs: str, messages: str, given: dict[str, Any], awaited: str | None
) -> None:
    assert awaited_input(prompt(inputs, messages), given) == awaited


def test_messages_of_the_past_have_no_cache_marks() -> None:
    asked = prompt(
        f"{CHAT}, q: string",
        "{insert: chat}, {role: user, cache_control: {type: ephemeral}, content: '{{ q }}'}",
    )
    form = conversation_form(asked)
    sent = render_prompt(asked, {"q": "one"}).messages
    after = form.next_inputs({"chat": [], "q": "one"}, sent, "1")
    assert after == {"chat": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "1"}]}
    render_prompt(asked, form.first_inputs(after, "two"))

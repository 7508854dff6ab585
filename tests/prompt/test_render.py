import base64
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import Invalid
from promptops.prompt import render_budget, with_overrides
from promptops.prompt.render import (
    MAX_IMAGE_BYTES,
    estimate_tokens,
    messages_hash,
    min_tokens,
    render_prompt,
    render_text,
    template_variables,
    validate_inputs,
)
from support.paths import SHARED
from support.prompt_files import FILES, PNG, load, load_text, minimal


def refused(prompt: Any, inputs: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        render_prompt(prompt, inputs)
    assert "\n" not in caught.value.message
    return caught.value


def test_messages_as_they_are_sent() -> None:
    chat = [{"role": "user", "content": "{{ x }}"}, {"role": "assistant", "content": "{% if %}"}]
    rendered = render_prompt(load(), {"ticket": "Where is {{ my }} order?", "chat": chat})
    assert rendered.messages == (
        {"role": "system", "content": "You route support tickets.\nAnswer in en."},
        *chat,
        {"role": "user", "content": "Where is {{ my }} order?"},
    )
    assert rendered.inputs == {"ticket": "Where is {{ my }} order?", "language": "en", "chat": chat}


def test_inserted_messages_are_copies() -> None:
    chat = [{"role": "user", "content": "x"}]
    render_prompt(load(), {"ticket": "t", "chat": chat}).messages[1]["content"] = "changed"
    assert chat == [{"role": "user", "content": "x"}]


def test_images_and_extras_go_over_the_wire() -> None:
    parts = [{"text": "see {{ a }}"}, {"image": "photo"}, {"image_file": "x.png"}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "ok"},
    ]
    prompt = load_text(minimal(messages=messages, inputs={"photo": "image", "a": "string"}), {"x.png": PNG})
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    rendered = render_prompt(prompt, {"photo": PNG, "a": "this"})
    assert rendered.messages == (
        {"role": "user", "content": [{"type": "text", "text": "see this"}, image, image], "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "ok", "tool_call_id": "1"},
    )
    assert rendered.inputs == {"photo": url, "a": "this"}
    assert render_prompt(prompt, rendered.inputs).messages == rendered.messages
    assert estimate_tokens(rendered.messages) > 2 * 765


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0", "jpeg"), (b"GIF89a", "gif"), (b"RIFF0000WEBPVP8 ", "webp")],
)
def test_kinds_of_images(data: bytes, kind: str) -> None:
    prompt = load_text(minimal(inputs={"a": "image"}))
    assert validate_inputs(prompt, {"a": data})["a"].startswith(f"data:image/{kind};base64,")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"hello", "is not a PNG, JPEG, GIF or WebP image"),
        ("photo.png", "must be an image: its bytes, or a data: URL of it"),
        ("https://example.com/x.png", "must be an image"),
        ("data:image/png;base64,abc", "must be an image"),
        ("data:image/png;base64,aGVsbG8=", "is not a PNG"),
        (3, "must be an image"),
        (PNG + b"\0" * MAX_IMAGE_BYTES, "at most 20,000,000 are sent"),
    ],
)
def test_what_is_no_image(value: Any, message: str) -> None:
    error = refused(load_text(minimal(inputs={"a": "image"})), {"a": value})
    assert message in error.message


INPUTS = {
    "text": {"type": "string", "maxLength": 5},
    "word": {"type": "string", "enum": ["en", "de"]},
    "count": {"type": "integer", "minimum": 1},
    "user": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    "chat": "messages",
    "any": {},
    "odd": {"not": {"multipleOf": 2}},
}
GOOD: dict[str, Any] = {
    "text": "x",
    "word": "en",
    "count": 1,
    "user": {"name": "a"},
    "chat": [],
    "any": None,
    "odd": 1,
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("text", 3, "the input `text` must be a string, not a number"),
        ("text", None, "the input `text` must be a string, not null"),
        ("text", "x" * 1_000_000, "the input `text` must be at most 5 characters long, and has 1000000"),
        ("text", "\ud800", "the input `text` cannot be used: character 1 is half a surrogate pair"),
        ("text", b"x", "the input `text` cannot be used: it holds a bytes, which is not JSON data"),
        ("word", "fr", "the input `word` must be one of `en`, `de`, not `fr`"),
        ("word", "x\ny" * 99, "the input `word` must be one of `en`, `de`, not `x\\ny"),
        ("count", 0, "the input `count` is less than the minimum of 1 (it is `0`)"),
        ("odd", 2, 'the input `odd`: {"multipleOf":2} is not allowed for the value (it is `2`)'),
        ("count", True, "the input `count` must be a whole number, not true"),
        ("user", {}, "the input `user` lacks `name`"),
        ("user", {"name": 1}, "the input `user.name` must be a string, not a number"),
        ("chat", "x", "the input `chat` must be a list, not a string"),
        (
            "chat",
            [{"role": "robot", "content": "x"}],
            "the input `chat[0].role` must be one of `system`, `developer`, `user`, `assistant`",
        ),
        ("chat", [{"role": "user"}], "the input `chat[0]` lacks `content`"),
        ("any", float("nan"), "the input `any` cannot be used: it holds nan, which is not a JSON number"),
        ("any", object, "the input `any` cannot be used: it holds a type, which is not JSON data"),
    ],
)
def test_wrong_inputs_are_named(name: str, value: Any, message: str) -> None:
    error = refused(load_text(minimal(inputs=INPUTS)), {**GOOD, name: value})
    assert error.message.startswith(message)
    assert len(error.message) < 200


def test_undeclared_and_missing_inputs() -> None:
    error = refused(load(), {"tickt": "x"})
    assert error.message == "unknown input `tickt` (did you mean `ticket`?) of `support/triage`"
    assert refused(load_text(minimal()), {"x": 1}).hint == "this prompt takes no inputs"
    assert refused(load(), {}).message == "the input `ticket` is missing"
    assert refused(load(), {}).hint == "give it: -i ticket=VALUE, or =@FILE"
    assert refused(load_text(minimal(inputs=INPUTS)), {}).message.startswith("the inputs `text`, `word`, ")


LITERAL = """\
model: m
inputs: {ticket: string, user: object}
messages:
  - role: user
    content: |
      one
      two %s

      three
"""


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ tickt }}", "the template names an unknown input `tickt` (did you mean `ticket`?)"),
        ("{{ user.nme }}", "the template fails: 'dict object' has no attribute 'nme'"),
        (
            "{{ ''.__class__ }}",
            "the sandbox forbids it: access to attribute '__class__' of 'str' object is unsafe",
        ),
        (
            "{{ user.update({}) }}",
            "the sandbox forbids it: access to attribute 'update' of 'dict' object is unsafe",
        ),
        ("{{ ticket.encode() }}", "the sandbox forbids it: access to attribute 'encode'"),
        ("{{ '{0.__class__}'.format(ticket) }}", "the sandbox forbids it: access to attribute '__class__'"),
        ("{{ ticket | uper }}", "template syntax: unknown filter `uper` (did you mean `upper`?)"),
        ("{{ [1] | random }}", "template syntax: the filter `random` is not available: the same inputs"),
        ("{{ [[1]] | map('random') | list }}", "the template fails: the filter `random` is not available"),
        ("{{ lipsum() }}", "`lipsum` is not available: the same inputs must give the same messages"),
        ("{{ 1 / 0 }}", "the template fails: division by zero"),
        (
            "{{ ticket | map('upper') }}",
            "the template is stopped: a generator has no text: add `|list` or `|join`",
        ),
        ("{{ [ticket | map('upper')] }}", "the template is stopped: a generator has no text"),
        ("{{ range }}", "the template is stopped: a function has no text"),
    ],
)
def test_failures_name_the_line_in_the_file(template: str, message: str) -> None:
    error = refused(load_text(LITERAL % template), {"ticket": "x", "user": {}})
    assert error.message.startswith(f"prompts/p.yaml:7:1: {message}")


@pytest.mark.parametrize("template", ["{{ tickt }}", "{{ 'a' | uper }}", "{{ 1 / 0 }}"])
def test_failures_in_partials_name_the_partial(template: str) -> None:
    prompt = load_text(minimal("{% include 'a.j2' %}"), {"a.j2": f"ok\n{template}"})
    assert refused(prompt, {}).message.startswith("prompts/a.j2:2:1: ")


def test_an_image_has_no_text() -> None:
    prompt = load_text(minimal("{{ photo }}", inputs={"photo": "image"}))
    assert (
        "the image `photo` has no text; send it as a part, `image: photo`"
        in refused(prompt, {"photo": PNG}).message
    )


BIG = "x" * 1_000_000
LOOP = "{% set n = namespace(s=START) %}{% for i in range(100) %}{% set n.s = NEXT %}{% endfor %}{{ n.s }}"
ENDLESS = [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) if false %}x{% endfor %}{% endfor %}",
    "{% for i in range(100000) recursive %}{{ loop(range(100000)) }}{% endfor %}",
    "{% for i in [range(100000)] * 20 recursive %}{% if i is iterable %}{{ loop(i) }}{% endif %}{% endfor %}",
    "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(1) }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% macro m() %}{% call m() %}{% endcall %}{{ caller() }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% for i in range(1000000) %}{% endfor %}",
    "{% for i in range(100000) %}" + "x" * 1000 + "{% endfor %}",
    "{% for i in range(100000) %}{% if i %}{% else %}{% endif %}{% if i %}"
    + "x" * 1000
    + "{% endif %}{% endfor %}",
    LOOP.replace("START", "'xx'").replace("NEXT", "n.s ~ n.s"),
    LOOP.replace("START", "'xx'").replace("NEXT", "n.s + n.s"),
    LOOP.replace("START", "'xx'").replace("NEXT", "[n.s, n.s]"),
    LOOP.replace("START", "'xx'").replace("NEXT", "n.s | replace('x', 'xx')"),
    LOOP.replace("START", "2").replace("NEXT", "n.s * n.s"),
    "{% set n=namespace(s='x') %}{% for i in [1]*99 %}{% set n.s %}{{n.s}}{{n.s}}{% endset %}{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ 1000000000 * 'x' }}",
    "{{ [1] * 1000000000 }}",
    "{{ 2 ** 1000000000 }}",
    "{{ 10 ** 5000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '{:1000000000d}'.format(1) }}",
    "{{ '{:{}d}'.format(1, 1000000000) }}",
    "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ 'x' | center(width=1000000000) }}",
    "{{ ['x'] | map('center', 1000000000) | list }}",
    "{{ 'x'.ljust(1000000000) }}",
    "{{ 'x' | indent(1000000000, true) }}",
    "{{ 1.5 | round(1000000000, 'ceil') }}",
    "{{ [1] | batch(1000000000, 'x') | list }}",
    "{{ {'a': 1} | tojson(indent=1000000000) }}",
    "{{ big | replace('x', big) }}",
    "{{ big.replace('x', big) }}",
    "{{ big | wordwrap(1, wrapstring=big) }}",
    "{{ big.join(big) }}",
    "{{ big.join(range(100000) | map('string')) }}",
    "{{ ([big] * 1000) | join }}",
    "{{ [[[[big] * 100] * 100] * 100] * 100 }}",
    "{{ ([[[[big] * 100] * 100] * 100] * 100) | tojson }}",
    "{{ dict(a=[[[big] * 100] * 100] * 100) | pprint }}",
    "{% set l = range(100000) | list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ a" + ".a" * 20_000 + " }}",
    "{{ 1" + " + 1" * 20_000 + " }}",
    "{{ big }}" * 20_000,
    "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
]


@pytest.mark.no_cover
@pytest.mark.parametrize("template", ENDLESS, ids=range(len(ENDLESS)))
def test_templates_without_end_are_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_budget, "MAX_SECONDS", 0.2)
    started = time.thread_time()
    with pytest.raises(Invalid) as caught:
        render_text(template, {"big": BIG}, where="p.yaml")
    assert time.thread_time() - started < 2
    assert re.match(r"p\.yaml:1: (the template (is|fails)|more than 100,000 char)", caught.value.message)


FINE = [
    ("{{ '{u.name}, {u[name]!r}'.format(u={'name': 'Ada'}) }}", "Ada, 'Ada'"),
    ("{{ {'a': 1}.keys() | list }}{{ {'a': 1}.items() | sort }}{{ 'a b' | title }}", "['a'][('a', 1)]A B"),
    ("{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | join(', ') }}", "1, 2"),
    ("{{ [{'a': 1}, {'a': 2}] | groupby('a') | map('first') | list }}", "[1, 2]"),
    (
        "{{ [1, 2] | sum }}{{ [[1], [2]] | sum(start=[]) }}{{ 7 // 2 }}{{ 7 - 2 }}{{ 7 is divisibleby 7 }}",
        "3[1, 2]35True",
    ),
    ("{{ 'a' in ['a'] and 1 < 2 < 3 and (1, 2) == (1, 2) }}{{ {'a': 1}['a'] }}{{ 'abc'[1:] }}", "True1bc"),
    (
        "{% set n = namespace(f='a') %}{{ n.f }}{% macro m(x) %}{{ x }}{% endmacro %}{{ m([1, 'a']) }}",
        "a[1, 'a']",
    ),
    (
        "{{ 'a b c' | wordwrap(3) }}{{ ['a'] | tojson }}{{ range(4) | select('odd') | list }}",
        'a b\nc["a"][1, 3]',
    ),
    ("{{ ['a'] | reverse | join }}{{ [3, 1] | max }}{{ 'x' | e }}{{ '<' | e ~ '' }}", "a3x&lt;"),
    ("{{ ('<{}>' | safe).format('<') }}{{ [none, 1.5, true] | join('|') }}", "<&lt;>None|1.5|True"),
    ("{{ '%5.1f|%s' % (1.25, 'a') }}", "  1.2|a"),
    ("{{ 'x' * 3 ~ 2 ** 10 ~ [1] * 2 }}", "xxx1024[1, 1]"),
    ("{{ 3 * 'x' + 'y' }}{{ [1] + [2] }}{{ 1.5 * 2 }}{{ 7 % 4 }}", "xxxy[1, 2]3.03"),
    ("{{ 'a-b'.split('-') | join('+') }}{{ 'x'.zfill(3) }}{{ '-'.join(['a', 'b']) }}", "a+b00xa-b"),
    ("{{ 'aXa' | replace('X', '--') }}|{{ 'x' | center(5) }}|{{ 'a\nb' | indent }}", "a--a|  x  |a\n    b"),
    ("{{ {'b': 1, 'a': [1]} | tojson(indent=1) }}", '{\n "a": [\n  1\n ],\n "b": 1\n}'),
    ("{{ [3, 1, 2] | sort | batch(2) | list }}{{ 2.345 | round(1) }}", "[[1, 2], [3]]2.3"),
    ("{% for a in [1, 2] if a > 1 %}{{ a }}{{ loop.length }}{% else %}none{% endfor %}", "21"),
    ("{% for a in [] %}{% else %}none{% endfor %}", "none"),
    (
        "{% for a in [[1], [2]] recursive %}{{ a if a is number else loop(a) }}{% endfor %}",
        "12",
    ),
    ("{% macro m(a, b=2) %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}", "<12><13>"),
    ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{% endcall %}", "[x]"),
    ("{% filter upper %}a{% endfilter %}{% set a %}b{% endset %}{{ a }}", "Ab"),
    ("{% autoescape true %}{{ '<' ~ '>' }}{% endautoescape %}{{ '<' }}", "&lt;&gt;<"),
    (
        "{{ none }}{{ true }}{{ 1.0 }}{{ {'a': 'b'} }}{{ (1,) }}{{ range(3) }}",
        "NoneTrue1.0{'a': 'b'}(1,)range(0, 3)",
    ),
    ("{% include 'p.j2' %}{% import 'p.j2' as p %}{{ p.f(2) }}{% include 'q' ignore missing %}", "P<2>"),
    ("{% extends 'base.j2' %}{% block a %}x{{ super() }}{% endblock %}", "[xa]xa"),
    ("{{ '{} {a}'.format(1, a=2) }}{{ '{b}'.format_map({'b': 3}) }}", "1 23"),
    ("{{ 2.5 | round }}", "2.0"),
    ("a\n", "a"),
    ("a\n\n", "a\n"),
]
PARTIALS = {
    "p.j2": "P{% macro f(x) %}<{{ x }}>{% endmacro %}",
    "base.j2": "[{% block a %}a{% endblock %}]{{ self.a() }}",
}


@pytest.mark.parametrize(("template", "text"), FINE, ids=range(len(FINE)))
def test_the_bounds_change_nothing_else(template: str, text: str) -> None:
    assert render_text(template, {}, partials=PARTIALS, json_values=False) == text


def test_a_missing_partial() -> None:
    with pytest.raises(Invalid, match=r"^template:1: no partial `x\.j2`\n"):
        render_text("{% include 'x.j2' %}", {})


def test_budget_of_tokens() -> None:
    prompt = with_overrides(load(), settings={"max_input_tokens": 30})
    assert estimate_tokens(render_prompt(prompt, {"ticket": "x"}).messages) == 19
    error = refused(prompt, {"ticket": "é" * 40})
    assert error.message == (
        "prompts/support/triage.yaml:18:1: the messages have about 38 tokens, above max_input_tokens 30"
    )
    assert min_tokens(prompt) == 18
    assert min_tokens(load_text(minimal("{{ a.b.c }}{% for x in d %}{% endfor %}hi you"))) == 6


def test_an_estimate_counts_what_is_beside_the_content() -> None:
    assert estimate_tokens([{"role": "assistant", "content": None, "tool_calls": [{"id": "x" * 100}]}]) > 25


def test_variables_that_templates_take() -> None:
    files = {"a.j2": "{{ inner }}{{ given }}{{ range(3) }}"}
    prompt = load_text(
        minimal("{% set given = 1 %}{{ outer }}{% include 'a.j2' %}{% for x in y %}{{ x }}{% endfor %}"),
        files,
    )
    assert template_variables(prompt) == {"inner", "outer", "y"}
    assert template_variables(load()) == {"ticket", "language"}


def test_the_hash_of_messages() -> None:
    one = messages_hash(({"role": "user", "content": "a"},))
    assert one == messages_hash([{"content": "a", "role": "user"}])
    assert one != messages_hash([{"content": "b", "role": "user"}])
    assert re.fullmatch("[0-9a-f]{64}", one)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    prompt = load_text(minimal("{{ a }}", inputs={"a": "string"}))
    assert render_prompt(prompt, {"a": text}).messages[0]["content"] == text


def shared_lines(name: str) -> list[dict[str, Any]]:
    path = SHARED / "data" / "hostile-inputs" / name
    if not path.exists():
        pytest.skip("no shared data here")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("name", ["blns.jsonl", "injection.jsonl"])
def test_hostile_strings_come_out_byte_for_byte(name: str) -> None:
    prompt = load({**FILES, "p.yaml": minimal("<{{ a }}>", inputs={"a": "string"})}, "p")
    rows = shared_lines(name)
    assert len(rows) >= 37
    for row in rows:
        text = row["text"]
        content = render_prompt(prompt, {"a": text}).messages[0]["content"]
        assert content.encode() == f"<{text}>".encode(), row["id"]


def vectors() -> list[Any]:
    path = SHARED / "data" / "conformance" / "prompty-render-vectors.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [pytest.param(row, id=row["name"]) for row in rows if row["input"].get("engine") == "jinja2"]


def matches(vector: dict[str, Any], *, missing_is_empty: bool) -> bool:
    """Render as Prompty does: its runtime, not Jinja2, puts a nonce for a chat's messages."""
    inputs = {
        name: f"__PROMPTY_THREAD_0123abcd_{name}__" if isinstance(value, dict) and "_kind" in value else value
        for name, value in vector["input"]["inputs"].items()
    }
    text = render_text(vector["input"]["template"], inputs, missing_is_empty=missing_is_empty)
    expected = vector["expected"]
    return bool(
        re.search(expected.get("nonce_pattern", f"^{re.escape(expected.get('rendered', ''))}$"), text)
    )


@pytest.mark.parametrize("vector", vectors())
def test_vectors_of_prompty(vector: dict[str, Any]) -> None:
    assert matches(vector, missing_is_empty=True)


def test_one_vector_rests_on_a_lenient_undefined() -> None:
    strict = [
        row
        for (row,) in (param.values for param in vectors())
        if row["name"] != "missing_variable_renders_empty"
    ]
    if not strict:
        pytest.skip("no shared data here")
    assert sum(matches(row, missing_is_empty=False) for row in strict) == 18
    with pytest.raises(Invalid, match="unknown input `name`"):
        render_text("Hello {{name}}!", {})

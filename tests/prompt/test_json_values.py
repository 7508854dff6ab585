"""How values become texts: as Python writes them in format 1, as JSON in format 2; and which is whose."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from promptops.errors import Invalid
from promptops.prompt import JSON_FORMAT, Prompt, from_canonical
from promptops.prompt.render import render_prompt
from support.prompt_files import load_text, minimal

VALUES: dict[str, Any] = {
    "order": {"id": 1.0, "paid": True, "note": None, "tags": ["é", "<b>"]},
    "rows": [{"n": 1, "ok": False}, {"n": 2, "ok": None}],
    "words": ["a", "b"],
    "flag": True,
    "nothing": None,
    "text": "x",
    "number": 1.5,
}
INPUTS: dict[str, Any] = {
    "order": {
        "type": "object",
        "properties": {
            "id": "number",
            "paid": "boolean",
            "note": {"type": ["string", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    },
    "rows": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "ok": {"type": ["boolean", "null"]}},
            "additionalProperties": False,
        },
    },
    "words": {"type": "array", "items": {"enum": ["a", "b"]}},
    "flag": "boolean",
    "nothing": {"type": ["string", "null"], "default": None},
    "text": "string",
    "number": "number",
}
INPUTS["order"]["properties"]["id"] = {"type": "number"}
INPUTS["order"]["properties"]["paid"] = {"type": "boolean"}


def prompt_of(template: str, inputs: dict[str, Any] = INPUTS) -> Prompt:
    return load_text(minimal(messages=[{"role": "user", "content": template}], inputs=inputs))


def rendered(prompt: Prompt, values: dict[str, Any] = VALUES) -> str:
    return str(render_prompt(prompt, values).messages[0]["content"])


WRITTEN_AS_JSON = {
    "{{ order }}": '{"id":1.0,"paid":true,"note":null,"tags":["é","<b>"]}',
    "{{ rows }}!": '[{"n":1,"ok":false},{"n":2,"ok":null}]!',
    "{{ flag }} {{ nothing }} {{ text }} {{ number }}": "true null x 1.5",
    "{{ order.paid }} {{ order.note }} {{ order.tags }}": 'true null ["é","<b>"]',
    "{% for row in rows %}{{ row.ok }};{% endfor %}": "false;null;",
    "{% for row in rows %}{{ loop.first }};{% endfor %}": "true;false;",
    "{{ number > 1 }} {{ not flag }} {{ text is defined }}": "true false true",
    "{{ 'a' ~ flag ~ order.tags }}": 'atrue["é","<b>"]',
    "{{ rows | map(attribute='ok') | join(', ') }}": "false, null",
    "{{ rows | join('; ', attribute='ok') }}": "false; null",
    "{{ [flag, nothing] | map('string') | join('|') }}": "true|null",
    "{{ flag | upper }} {{ flag | string }} {{ order.tags | string | length }}": "TRUE true 11",
    "{{ '%s and %s' | format(flag, nothing) }}": "true and null",
    "{{ '%s %d' % (flag, flag) }}{{ '%s' % nothing }}": "true 1null",
    "{{ '%(paid)s %(note)s' % order }}": "true null",
    "{{ '{} {} {:>6}'.format(flag, nothing, text) }}": "true null      x",
    "{{ '{0[paid]} {o[note]} {o}'.format(order, o=order) }}": "true null "
    '{"id":1.0,"paid":true,"note":null,"tags":["é","<b>"]}',
    "{{ '{paid} {tags}'.format_map(order) }}": 'true ["é","<b>"]',
    "{{ 'is ?' | replace('?', flag) }}": "is true",
    "{{ {'a': flag, 'b': nothing} | urlencode }} {{ flag | urlencode }}": "a=true&b=null true",
    "{{ {'a': flag, 'b': nothing, 'c': 1} | xmlattr }}": ' a="true" c="1"',
    "{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(flag) }}{{ m(nothing) }}": "[true][null]",
    "{% set x = order.paid %}{{ x }}": "true",
    "{% set ns = namespace(last=none) %}{{ ns.last }}{% set ns.last = 1 %}{{ ns.last }}": "null1",
    "{{ order.get('nope') }}": "null",
    "{{ order.keys() }} {{ range(3) }}": '["id","paid","note","tags"] [0,1,2]',
    "{% set x = nothing or flag %}{{ x }}": "true",
    "{{ flag | default('no') }}": "true",
    "{% filter upper %}{{ flag }}{% endfilter %}": "TRUE",
    "{{ nothing | e }}{{ flag | safe }}": "nulltrue",
    "{{ 'yes' if flag else none }} {{ none if flag else 'no' }}": "yes null",
}
WRITTEN_ALIKE = {
    "{{ text }} {{ number }}": "x 1.5",
    "{{ order | tojson }}": '{"id": 1.0, "note": null, "paid": true, "tags": ["\\u00e9", "\\u003cb\\u003e"]}',
    "{{ order.id }} {{ order['id'] }} {{ order.tags | join(', ') }}": "1.0 1.0 é, <b>",
    "{% for row in rows %}{{ loop.index }}. {{ row.n }}{% if row.ok %}+{% endif %}{% endfor %}": "1. 12. 2",
    "{{ words[0] }} {{ words | first }} {{ words | length }} {{ words | join }}": "a a 2 ab",
    "{{ nothing or '-' }} {{ nothing | default('-', true) }} {{ 'on' if flag else 'off' }}": "- - on",
    "{% for word in words | sort %}{{ word | upper }}{% else %}none{% endfor %}": "AB",
    "{% for key, value in order.items() %}{{ key }},{% endfor %}": "id,paid,note,tags,",
    "{% macro m(x, y='-') %}[{{ x }}{{ y }}]{% endmacro %}{{ m(text) }}{{ m(number, 'é') }}": "[x-][1.5é]",
    "{% set ns = namespace(n=0) %}{% for w in words %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}": "2",
    "{% set comma = joiner(', ') %}{% for w in words %}{{ comma() }}{{ w }}{% endfor %}": "a, b",
    "{{ text ~ number }} {{ text.upper() }} {{ '%s/%d' % (text, number) }} {{ text * 2 }}": "x1.5 X x/1 xx",
    "{{ rows | map(attribute='n') | sum }} {{ rows | map(attribute='n') | join('+') }}": "3 1+2",
    "{% set x %}{{ text }}{% endset %}{{ x }} {{ text.split('x') | length }}": "x 2",
    "{% if flag and nothing is none %}ok{% endif %}{% raw %}{{ flag }}{% endraw %}": "ok{{ flag }}",
    "{{ rows | selectattr('ok') | list | count }} {{ (number*2) | round | int }} {{ -number }}": "0 3 -1.5",
    "{{ order.get('id', 0) }} {{ order.note or '' }} {{ range(3) | join }}": "1.0  012",
}


@pytest.mark.parametrize(("template", "written"), WRITTEN_AS_JSON.items())
def test_what_python_would_write_is_written_as_json(template: str, written: str) -> None:
    prompt = prompt_of(template)
    assert prompt.format == 2
    assert rendered(prompt) == written


@pytest.mark.parametrize(("template", "written"), WRITTEN_ALIKE.items())
def test_a_prompt_in_which_the_format_cannot_matter_keeps_its_digest(template: str, written: str) -> None:
    prompt = prompt_of(template)
    assert prompt.format == 1
    assert rendered(prompt) == rendered(replace(prompt, recorded_format=JSON_FORMAT)) == written


@pytest.mark.parametrize("template", [*WRITTEN_AS_JSON, *WRITTEN_ALIKE])
def test_a_recorded_version_keeps_its_format(template: str) -> None:
    now = prompt_of(template)
    then = replace(now, recorded_format=1)
    assert now.with_digest(now.digest) is now
    assert now.with_digest("0" * 64) is None
    found = now.with_digest(then.digest)
    assert found is not None
    assert (found.digest, found.format) == (then.digest, 1)
    for version in (now, then):
        assert from_canonical("p", json.loads(version.canonical_text)).digest == version.digest


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{{ flag }} {{ nothing }} {{ order.tags }}", "True None ['é', '<b>']"),
        ("{{ rows }}", "[{'n': 1, 'ok': False}, {'n': 2, 'ok': None}]"),
        ("{{ 'a' ~ flag }}{{ '%s' % nothing }}{{ [flag] | join }}", "aTrueNoneTrue"),
    ],
)
def test_a_version_of_format_1_is_written_as_it_was(template: str, written: str) -> None:
    assert rendered(replace(prompt_of(template), recorded_format=1)) == written


@pytest.mark.parametrize(
    ("schema", "number"),
    [
        ({"type": "string"}, 1),
        ({"type": ["integer", "string"]}, 1),
        ({"enum": ["a", 1]}, 1),
        ({"enum": ["a", None]}, 2),
        ({"const": True}, 2),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 2),
        ({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}, 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, 2),
        ({"minLength": 1}, 2),
        ({}, 2),
    ],
)
def test_the_schema_of_an_input_decides(schema: dict[str, Any], number: int) -> None:
    assert prompt_of("{{ x }}", {"x": schema}).format == number
    assert prompt_of("{% if 1 %}{{ x }}{% endif %}", {"x": schema}).format == number


CART: dict[str, Any] = {
    "type": "object",
    "properties": {
        name: {"type": "array", "items": {"type": "string"}} for name in ("items", "keys", "values", "get")
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{% for item in cart.items %}{{ item }};{% endfor %}", "tea;milk;"),
        ("{{ cart.items | join('+') }} {{ cart.keys | length }} {{ cart['values'][0] }}", "tea+milk 0 v"),
        ("{{ cart.values | first }}{% if cart.keys %}never{% endif %}", "v"),
        (
            "{% for key, value in cart.items() %}{{ key }} {{ value | length }} {% endfor %}",
            "items 2 keys 0 values 1 ",
        ),
        (
            "{{ cart.items[1] }} {{ cart.get('keys') | length }} {{ cart.values() | list | length }}",
            "milk 0 3",
        ),
    ],
)
def test_a_key_goes_before_a_method_of_its_name(template: str, written: str) -> None:
    cart = {"items": ["tea", "milk"], "keys": [], "values": ["v"]}
    assert rendered(prompt_of(template, {"cart": CART}), {"cart": cart}) == written


def test_messages_as_a_text_are_json() -> None:
    prompt = prompt_of("{{ chat }}", {"chat": "messages"})
    chat = [{"role": "user", "content": "hi"}]
    assert prompt.format == 2
    assert rendered(prompt, {"chat": chat}) == '[{"role":"user","content":"hi"}]'


@pytest.mark.parametrize(
    "template", ["{{ [cycler] }}", "{{ flag.nope }}", "{{ [order.nope] }}", "{{ [nope] }}"]
)
def test_what_has_no_text_is_refused(template: str) -> None:
    with pytest.raises(Invalid):
        rendered(prompt_of(template))


def test_templates_that_feed_on_themselves_are_analysed_in_bounded_time() -> None:
    names = [chr(97 + number) for number in range(20)]
    grow = "".join(f"{{% set {a} = [{', '.join([b] * 9)}] %}}" for a, b in itertools.pairwise(names))
    loop = "{% set t = a %}"
    assert prompt_of(f"{loop}{grow}{loop}{{{{ a | length }}}}", {}).format == 1
    assert prompt_of(f"{loop}{grow}{loop}{{{{ a }}}}", {}).format == 2

"""Handlebars as Jinja2: the text that Handlebars writes for the same values, or a refusal by line."""

from collections.abc import Mapping
from typing import Any

import pytest

from promptops.interop.dotprompt.chunks import Mark, end_template, join_chunks
from promptops.interop.dotprompt.template import Template, translate_template
from promptops.prompt.render import render_text

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "string"},
    "note": {"type": ["string", "null"]},
    "count": {"type": "integer"},
    "age": {"type": ["integer", "null"]},
    "flag": {"type": "boolean"},
    "mood": {"enum": ["good", "bad", None]},
    "tags": {"type": "array", "items": {"type": "string"}},
    "people": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
    "user": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": ["integer", "null"]},
            "nick": {"type": "string"},
            "items": {"type": "array", "items": {"type": "string"}},
            "home": {"type": "object", "properties": {"city": {"type": "string"}}},
            "first name": {"type": "string"},
        },
        "required": ["name"],
    },
    "prices": {"type": "object", "additionalProperties": {"type": "number"}},
    "any": {},
}
VALUES: Mapping[str, Any] = {
    "name": "Ada",
    "note": None,
    "count": 0,
    "age": None,
    "flag": False,
    "mood": None,
    "tags": ["a", "b"],
    "people": [{"name": "Bo"}, {"name": "Cy"}],
    "user": {"name": "Eve", "age": None, "first name": "E"},
    "prices": {"tea": 2, "pie": 3},
    "any": None,
}
PARTIALS = {
    "tone": "Be kind.\n",
    "sign": "-- {{name}}",
    "who": "{{name}} of {{../name}}",
    "lines": "one\n\ntwo {{name}}\n",
    "open": "{{role 'system'}}",
    "self": "{{> self}}",
    "a": "{{> b}}",
    "b": "{{> a}}",
    "shared/tone": "Shared.",
    "broken": "{{#if x}}",
    "loop": "{{@index}}{{this}};",
}


def translated(source: str, schemas: Mapping[str, Any] = SCHEMAS) -> Template:
    return translate_template(source, schemas, PARTIALS.get, lambda name, _: f"partials/{name}.md")


def text(source: str, **values: Any) -> str:
    template = translated(source)
    assert template.faults == ()
    code = end_template(join_chunks(each for each in template.chunks if not isinstance(each, Mark)))
    return render_text(code, {**VALUES, **values}, partials=template.files)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{name}} {{{name}}} {{&name}} {{ this.name }} {{./name}}", "Ada Ada Ada Ada Ada"),
        ("[{{note}}|{{age}}|{{mood}}|{{any}}|{{user.age}}|{{user.nick}}|{{user.home.city}}]", "[||||||]"),
        ("{{count}} {{flag}} {{tags}} {{user.items}}", "0 false a,b "),
        ("{{tags.length}} {{tags.[1]}} {{tags.1}}{{tags.[7]}} {{people.0.name}}", "2 b b Bo"),
        ("{{user.[first name]}} {{user/name}}", "E Eve"),
        ("{{any.deep.er}}", ""),
        ("{ {{name}} {%x%} {#y#} {{'{{'}}", None),
        ("{%x%} {#y {{{name}}}{", "{%x%} {#y Ada{"),
        ("{{{name}}}{{{name}}}", "AdaAda"),
        ("\\{{name}} and {{name}}", "{{name}} and Ada"),
        ("\\\\{{name}}", "\\Ada"),
        ("\\{{name}} \\{{name}} \\\\{{name}}", "{{name}} {{name}} \\Ada"),
        ("a{{! note }}b{{!-- }} --}}c", "abc"),
        ("a\n  {{! alone }}\nb\n{{!-- alone --}}", "a\nb\n"),
        ("a {{~! x ~}} b", "ab"),
        ("{{#if name}}y{{else}}n{{/if}}{{#if count}}y{{else}}n{{/if}}{{#if flag}}y{{/if}}", "yn"),
        ("{{#if note}}y{{else if age}}z{{else if name}}w{{else}}v{{/if}}", "w"),
        ("{{#if note}}y{{else unless name}}z{{else}}v{{/if}}", "v"),
        ("{{#if note}}y{{else each tags}}{{this}}{{/if}}", "ab"),
        ("{{#unless note}}n{{/unless}}{{#unless tags}}n{{else}}y{{/unless}}", "ny"),
        ("{{#if user.home}}h{{/if}}{{#if user}}u{{/if}}{{#if any}}a{{/if}}{{#if user.nick}}k{{/if}}", "u"),
        ("{{#each tags}}{{@index}}{{@key}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", None),
        (
            "{{#each tags}}{{@index}} {{this}}{{#if @first}}!{{/if}}{{#unless @last}},{{/unless}}{{/each}}",
            "0 a!,1 b",
        ),
        ("{{#each people}}{{name}} of {{../name}} {{@root.name}};{{/each}}", "Bo of Ada Ada;Cy of Ada Ada;"),
        ("{{#each prices}}{{@key}}={{this}} {{/each}}", "tea=2 pie=3 "),
        ("{{#each user.items}}x{{else}}none{{/each}}", "none"),
        ("{{#each any}}{{this}}{{else}}none{{/each}}", "none"),
        ("{{#each tags}}{{#each ../people}}{{name}}{{@index}} {{/each}}{{/each}}", "Bo0 Cy1 Bo0 Cy1 "),
        ("{{#with user}}{{name}} {{../name}}{{/with}}{{#with note}}x{{else}}none{{/with}}", "Eve Adanone"),
        ('{{#ifEquals name "Ada"}}y{{else}}n{{/ifEquals}}{{#ifEquals "x" name}}y{{/ifEquals}}', "y"),
        ("{{#ifEquals flag false}}y{{/ifEquals}}{{#ifEquals count 0}}z{{/ifEquals}}", "yz"),
        ("{{#ifEquals flag 0}}y{{/ifEquals}}{{#unlessEquals user.nick 'x'}}z{{/unlessEquals}}", "z"),
        ("{{json tags}} {{json name}} {{json user.nick}} {{json note}}", '["a","b"] "Ada" undefined null'),
        ("Start\n{{#if name}}\nin\n{{/if}}\nEnd\n", "Start\nin\nEnd\n"),
        ("{{#if name}}\nin\n{{else}}\nout\n{{/if}}", "in\n"),
        ("{{^if name}}x{{else}}y{{/if}}", "y"),
        ("{{#if note}}\nin\n{{else if name}}\nmid\n{{else}}\nout\n{{/if}}\n", "mid\n"),
        ("a {{~#if name~}} b {{~else~}} c {{~/if~}} d", "abd"),
        ("a {{~#if note~}} b {{~else~}} c {{~/if~}} d", "acd"),
        ("a {{~#if note~}} b {{~/if~}} d", "ad"),
        ("{{> tone}}x", "Be kind.\nx"),
        ("{{> tone}}\nx {{> shared/tone}} {{> tone}}", "Be kind.\nx Shared. Be kind.\n"),
        ("{{> sign}} {{> sign name='Bo'}} {{> sign user}}", "-- Ada -- Bo -- Eve"),
        ("{{#each people}}{{> sign}}{{> sign name=../name}} {{/each}}", "-- Bo-- Ada -- Cy-- Ada "),
        ("x\n  {{> lines}}\ny", "x\n  one\n  \n  two Ada\ny"),
        ("x\n  {{> sign}}\ny", "x\n  -- Aday"),
        ("{{#each tags}}{{> loop}}{{/each}}", None),
    ],
)
def test_the_text_is_that_of_handlebars(source: str, expected: str | None) -> None:
    if expected is None:
        translated(source)
    else:
        assert text(source) == expected


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a\n{{x", 2, "not closed"),
        ("{{name}}}", 1, "different braces"),
        ("{{{name}}", 1, "different braces"),
        ("{{{{raw}}}}", 1, "raw block"),
        ("{{name%}}", 1, "`%` is not allowed"),
        ("{{}}", 1, "empty tag"),
        ("{{#*inline 'x'}}{{/inline}}", 1, "decorator"),
        ("{{*x}}", 1, "decorator"),
        ("{{#> layout}}{{/layout}}", 1, "with a block"),
        ("{{/if}}", 1, "belongs to no block"),
        ("a\n{{else}}", 2, "belongs to no block"),
        ("{{#if name}}", 1, "not closed"),
        ("{{#if name}}{{/each}}", 1, "closed by `each`"),
        ("{{#if name}}{{else}}{{else}}{{/if}}", 1, "two {{else}}"),
        ("{{#if name}}" * 60, 1, "nested more than"),
        ("{{#if a}}" + "{{else if a}}" * 60 + "{{/if}}", 1, "nested more than"),
        ("{{#tags}}{{this}}{{/tags}}", 1, "`tags` is not translated"),
        ("{{^name}}x{{/name}}", 1, "`name` is not translated"),
        ("{{^if name}}x{{/if}}", 1, "`{{^…}}`"),
        ("{{#if name includeZero=true}}{{/if}}", 1, "options of a block"),
        ("{{#if name note}}{{/if}}", 1, "too few or too many"),
        ("{{#each tags as |tag|}}{{/each}}", 1, "`as |item|`"),
        ("{{#each name}}{{/each}}", 1, "not a list"),
        ("{{helper name}}", 1, "unknown helper"),
        ("{{lookup user 'name'}}", 1, "`lookup` is not translated"),
        ("{{(x)}}", 1, "call inside"),
        ("{{json (x)}}", 1, "call inside"),
        ("{{'x'}}", 1, "where a name is expected"),
        ("{{x key=}}", 1, "is missing"),
        ("{{x key=1 y}}", 1, "after an option"),
        ("{{a..b}}", 1, "`a` is an unknown helper"),
        ("{{a.this}}", 1, "not allowed in a path"),
        ("{{a.}}", 1, "ends early"),
        ("{{a.)}}", 1, "where a name is expected"),
        ("{{" + "a." * 30 + "a}}", 1, "more than 20 members"),
        ("{{../name}}", 1, "above the top"),
        ("{{this}}", 1, "all inputs together"),
        ("{{first-name}}{{first_name}}", 1, "would be one input"),
        ("{{@index}}", 1, "in no {{#each}}"),
        ("{{@../index}}", 1, "is not translated"),
        ("{{@state}}", 1, "is not translated"),
        ("{{name.first}}", 1, "not a member of a value of type string"),
        ("{{people}}", 1, "list of lists or mappings"),
        ("{{user}}", 1, "is a mapping"),
        ("{{json user indent=2}}", 1, "`indent` is not translated"),
        ("{{role name}}", 1, "text in quotes"),
        ("{{media url='https://x'}}", 1, "must be an input"),
        ("{{media url=user.name}}", 1, "must be an input"),
        ("{{#if name}}\n{{role 'user'}}{{/if}}", 2, "`{{role}}` inside of a block"),
        ("{{#ifEquals name note}}{{/ifEquals}}", 1, "one of the two is a literal"),
        ("{{#ifEquals name null}}{{/ifEquals}}", 1, "one of the two is a literal"),
        ("{{> none}}", 1, "no partial `none`"),
        ("{{> ../up}}", 1, "must be written out"),
        ("{{> a/../../up}}", 1, "no partial"),
        ("{{> (x)}}", 1, "must be written out"),
        ("{{> tone a b}}", 1, "one context"),
        ("{{> self}}", 1, "circle: self → self"),
        ("{{> a}}", 1, "circle: a → b → a"),
        ("{{> broken}}", 1, "not closed"),
        ("{{> who}}", 1, "in the partial `who`: `../name` leads above the top"),
        ("  {{> open}}\n", 1, "begins a message"),
        ("<<<dotprompt:media:url x>>>", 1, "<<<dotprompt"),
        ("{{#if name}}<<<dotprompt:role:user>>>{{/if}}", 1, "<<<dotprompt"),
    ],
)
def test_what_is_not_translated_is_refused_by_its_line(source: str, line: int, words: str) -> None:
    fault = translated(source).faults[0]
    assert words in fault.message
    assert fault.line == line


def test_values_that_no_schema_tells_are_what_the_text_makes_of_them() -> None:
    source = (
        "{{a}}{{#if b}}{{/if}}{{#each c}}{{x}}{{/each}}{{d.e}}{{#if d.f}}{{/if}}{{json g}}{{media url=h}}"
        "{{#each i}}{{name}}{{/each}}{{@state.n}}"
    )
    template = translated(source, {})
    assert template.faults == ()
    assert dict(template.inputs) == {
        "a": {"type": "string"},
        "b": {"type": "boolean"},
        "c": {
            "type": "array",
            "items": {"type": "object", "properties": {"x": {"type": ["string", "number", "boolean"]}}},
        },
        "d": {
            "type": "object",
            "properties": {
                "e": {"type": ["string", "number", "boolean"]},
                "f": {"type": ["string", "number", "boolean"]},
            },
        },
        "g": {"type": ["object", "array"]},
        "h": {"type": ["object", "array"]},
        "i": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": ["string", "number", "boolean"]}}},
        },
        "state": {"type": "object", "properties": {"n": {"type": ["string", "number", "boolean"]}}},
    }
    assert template.images == {"h"}
    assert template.context_names == {"state"}


def test_a_name_of_a_loop_is_no_input() -> None:
    template = translated(
        "{{#each tags}}{{this}}{{../item}}{{/each}}", {**SCHEMAS, "item": {"type": "string"}}
    )
    assert "item2 in tags" in join_chunks(each for each in template.chunks if not isinstance(each, Mark))


def test_partials_that_name_one_another_many_times_end() -> None:
    partials = {f"p{number}": f"{{{{> p{number + 1}}}}}" * 2 for number in range(30)} | {"p30": "x"}
    template = translate_template("{{> p0 a=1}}", {}, partials.get, lambda name, _: name)
    assert any("more than 500 times" in fault.message for fault in template.faults)
    included = translate_template("{{> p0}}", {}, partials.get, lambda name, _: name)
    assert included.faults == ()
    assert len(included.files) == 31


def test_blocks_in_partials_are_nested_within_a_limit() -> None:
    partials = {f"p{number}": f"{{{{#if a}}}}{{{{> p{number + 1} b=1}}}}{{{{/if}}}}" for number in range(60)}
    template = translate_template("{{> p0 b=1}}", {}, partials.get, lambda name, _: name)
    assert any("nested more than 40 deep" in fault.message for fault in template.faults)

"""`.prompty` files become prompt files: both formats, their keys, references; and hostile ones."""

import json
import os
import time
from typing import Any

import pytest

from support.front_door import Cli, Repo
from support.imported_prompts import imported, rendered
from support.prompt_samples import PROMPTY_1, PROMPTY_2


def report_of(cli: Cli, *arguments: str) -> Any:
    return json.loads(cli("import", *arguments, "--json").out)


def results(report: Any) -> dict[str, tuple[str, str]]:
    found = [each for source in report["sources"] for each in source["findings"]]
    return {each["key"]: (each["result"], each["note"]) for each in found}


def test_the_first_format(repo: Repo, cli: Cli) -> None:
    repo.write("first.prompty", PROMPTY_1)
    found = results(report_of(cli, "first.prompty"))
    prompt = imported("first")
    assert prompt.model == "azure/gpt-4o"
    assert prompt.parameters == {"max_tokens": 3000}
    assert prompt.metadata["authors"] == ["Ada"]
    assert [tool["function"]["name"] for tool in prompt.tools] == ["find"]
    assert prompt.output_schema == {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "score": {"type": "number", "enum": [1, 2]}},
    }
    assert {key for key, (result, _) in found.items() if result == "lost"} == {
        "base",
        "inputs.question.is_required",
        "model.configuration.api_key",
        "model.configuration.azure_endpoint",
        "model.parameters.stream",
        "model.parameters.tools[1]",
        "model.response",
        "other",
        "template.more",
    }
    assert "Prompty also takes its values" in found["sample"][1]
    assert "sk-secret" not in (repo.path / "prompts/first.yaml").read_text("utf-8")


def test_the_first_format_renders_as_prompty_does(repo: Repo, cli: Cli) -> None:
    repo.write("first.prompty", PROMPTY_1)
    cli("import", "first.prompty")
    given = {
        "firstName": " Jane",
        "count": 3,
        "question": " Why?\n\n",
        "chat_history": [{"role": "user", "content": "x"}],
    }
    assert rendered("first", given) == [("system", "You help  Jane3."), ("user", "x"), ("user", "Why?")]


def test_a_sample_with_all_values_is_a_case(repo: Repo, cli: Cli) -> None:
    repo.write("a.prompty", "---\nsample: ${file:s.json}\n---\nsystem:\n{{a}}{{b}}\n")
    repo.write("s.json", '{"a": "x", "b": [1], "spare": true}')
    report = report_of(cli, "a.prompty")
    assert report["sources"][0]["cases"] == 1
    assert json.loads((repo.path / "prompts/a.cases.jsonl").read_text("utf-8"))["inputs"]["spare"] is True
    assert imported("a").inputs["a"].required


def test_the_second_format(repo: Repo, cli: Cli) -> None:
    repo.write("second.prompty", PROMPTY_2)
    found = results(report_of(cli, "second.prompty"))
    prompt = imported("second")
    assert prompt.model == "openai/gpt-4o-2024-08-06"
    assert prompt.parameters == {"temperature": 0, "top_p": 0.5, "logprobs": True}
    assert {name: one.default for name, one in prompt.inputs.items() if not one.required} == {
        "b": 3,
        "c": False,
        "d": [],
        "h": "none",
        "l": [],
    } | ({"e": {}} if not prompt.inputs["e"].required else {})
    assert prompt.output_schema is not None
    assert prompt.output_schema["properties"]["mood"] == {"type": ["string", "null"], "enum": ["good", None]}
    assert prompt.output_schema["properties"]["maybe"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert [tool["function"]["parameters"] for tool in prompt.tools] == [
        {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    ]
    assert {key for key, (result, _) in found.items() if result == "lost"} == {
        "inputs[8].strict",
        "model.another",
        "model.connection",
        "model.options.additionalProperties.stream",
        "model.options.strange",
        "template.format.options",
        "tools[0].bindings",
        "tools[0].returns",
        "tools[1]",
        "tools[2]",
    }
    assert found["displayName"][0] == "changed"
    assert found["[tone=…]"][0] == "changed"
    assert "is required here" in found["inputs[8]"][1]
    text = (repo.path / "prompts/second.yaml").read_text("utf-8")
    assert "sk-x" not in text
    assert "sk-y" not in text


def test_the_second_format_renders_as_prompty_does(repo: Repo, cli: Cli) -> None:
    repo.write("second.prompty", PROMPTY_2)
    cli("import", "second.prompty")
    photo = b"\x89PNG\r\n\x1a\n" + bytes(8)
    given = {
        "a": "\n A",
        "f": "p",
        "g": 1.5,
        "i": "i",
        "j": "j",
        "k": photo,
        "e": {"x": 2.5},
        "d": ["s"],
        "c": True,
    }
    first, look = rendered("second", given)
    assert first == ("developer", " A 3!s2.5\np1.5nonetruej")
    assert [part["type"] for part in look[1]] == ["text", "image_url"]
    assert look[1][0]["text"] == "Look:"


@pytest.mark.parametrize(
    ("front", "model", "words"),
    [
        ("model: gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06", ""),
        ("model: ${env:M:gpt-4o-2024-08-06}", "openai/gpt-4o-2024-08-06", "is not read"),
        ("model: ${env:M}", "local/smollm2-135m-instruct", "is not read"),
        ("model: {id: '${env:M}'}", "local/smollm2-135m-instruct", "is not read"),
        ("model: {id: m, provider: openrouter}", "openrouter/m", ""),
        ("model: [x]", "local/smollm2-135m-instruct", "neither a name"),
        ("model: {id: x y, provider: 3}", "local/smollm2-135m-instruct", "no model is known"),
        ("model: {apiType: embedding}", "local/smollm2-135m-instruct", "chat models"),
        ("model: {api: chat, configuration: x}", "local/smollm2-135m-instruct", "no mapping"),
        ("model: {configuration: {type: openai, name: gpt-4o}}", "openai/gpt-4o", ""),
        ("description: [x]", "local/smollm2-135m-instruct", "none is named"),
    ],
)
def test_the_model_is_pinned(repo: Repo, cli: Cli, front: str, model: str, words: str) -> None:
    repo.write("a.prompty", f"---\n{front}\n---\nsystem:\nHello\n")
    assert words in cli("import", "a.prompty").out
    assert imported("a").model == model


def test_a_person_may_pin_another_model(repo: Repo, cli: Cli) -> None:
    repo.write("a.prompty", "---\nmodel: gpt-4\n---\nHello")
    assert "in its place" in cli("import", "a.prompty", "--model", "openai/gpt-4o-2024-08-06").out
    assert imported("a").model == "openai/gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    ("head", "body", "messages"),
    [
        ("model: gpt-4", "\n\nHi\n\n", [("system", "Hi")]),
        ("model: gpt-4", "system:\n\n\nuser:\nx\nassistant:", [("system", ""), ("user", "x")]),
        ("model: gpt-4", "system:\nuser:\nx {{a}}user:\n", [("user", "x user:")]),
        ("tags: [v1]", "system:\n  a  \nuser:\n b\n\nuser:", [("system", "a"), ("user", "b\n\nuser:")]),
        ("tags: [v1]", "user:\nb\nsystem:\n\n", [("user", "b")]),
        ("model: gpt-4", "system:\na\n{# c #}\n", [("system", "a")]),
        (
            "model: gpt-4",
            "system:\n{% raw %}{{ x }}{% endraw %}{% set y = 1 %}{% set z %}2{% endset %}{{y}}{{z}}",
            [("system", "{{ x }}12")],
        ),
        ("inputs: [{name: t, kind: thread}]", "system:\nx {{t}} y", [("system", "x"), ("system", "y")]),
        ("inputs: [{name: t, kind: thread}]", "system:\nx", [("system", "x")]),
        ("inputs: [{name: n, kind: integer, default: 3}]", "user:\n{{n}}", [("user", "3")]),
        (
            "inputs: {a: {kind: string, enumValues: [x, ' y'], default: ' y'}}",
            "user:\n{{a}}",
            [("user", " y")],
        ),
        ("inputs: {a: {kind: string, enumValues: [x], default: x}}", "user:\n{{a}}", [("user", "x")]),
        ("inputSchema: {properties: [{name: a, kind: string, default: b}]}", "user:\n{{a}}", [("user", "b")]),
        ("inputs: {a: 5, b: {kind: string, example: x}}", "user:\n{{a or 1}}{{b}}", None),
        ("inputs: ${file:none.json}", "user:\n{{a}}", [("user", "")]),
        ("description: x", "user:\n{% for i in items %}{{i}}{% endfor %}.", [("user", ".")]),
        ("inputs: {a: {kind: string}}", "user:\n{{a | default('x')}}{{a}}", None),
        ("inputs: {a: {kind: array}}", "user:\n{{a}}", None),
        ("description: x", "user:\n{{a.b}}", None),
        ("template: mustache", "user:\n{{! c }}\n{{#a}}{{.}};{{/a}}{{^a}}none{{/a}}", [("user", "none")]),
        (
            "template: {format: {kind: nunjucks}}",
            "user:\n{% if a %}{{a}}{% elseif b %}b{% endif %}.",
            [("user", ".")],
        ),
    ],
)
def test_bodies(repo: Repo, cli: Cli, head: str, body: str, messages: Any) -> None:
    repo.write("a.prompty", f"---\n{head}\n---\n{body}")
    assert cli("import", "a.prompty").code == 0
    if messages is not None:
        assert rendered("a", {}) == messages


MUSTACHE = """\
---
template: {format: mustache}
inputs:
  show: {kind: boolean, default: true}
  word: {kind: string, default: w}
  people: {kind: array, default: [{name: Ann, n: 1}, {name: Bo}], items: {kind: object}}
  who: {kind: object, default: {name: Cy, deep: {er: d}}}
  name: {kind: string, default: top}
---
{{#show}}
shown {{&word}} {{{word}}}
{{/show}}
{{#word}}[{{.}}]{{/word}}{{#people}}({{name}} {{n}}{{word}}){{/people}}{{#who}}{{name}} {{deep.er}}{{/who}}
{{^show}}hidden{{/show}}{{#free}}{{name}}{{.}}{{/free}}{{who.deep.none}}{{#who.deep}}{{er}}{{/who.deep}}
{{#people}}{{#more}}{{x}}{{/more}}{{/people}}{ {{word}}{{.}} {% x %}
"""


def test_mustache(repo: Repo, cli: Cli) -> None:
    repo.write("a.prompty", MUSTACHE)
    done = cli("import", "a.prompty")
    assert "values are sent as they are" in done.out
    ((_, text),) = rendered("a", {})
    assert text == "shown w w\n[w](Ann 1w)(Bo w)Cy d\nd\n{ w {% x %}"
    ((_, text),) = rendered("a", {"free": "F"})
    assert "\ntopFd\n" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\nmodel: !!python/name:os.system x\n---\nx", "tag"),
        ("---\na: [\n---\nx", "a.prompty"),
        ("---\nmodel: gpt-4\n---\n", "no text to send"),
        ("---\nmodel: gpt-4\n", "not closed"),
        ("---\nmodel: gpt-4\n---\n\nsystem:\n{{ x", "a.prompty:6: "),
        ("---\nmodel: gpt-4\n---\n{% if a %}\nuser:\n{% endif %}", "a.prompty:5: a role inside a block"),
        ("a{% if a -%}\nuser:\nx{% endif %}", "shares its line with a tag"),
        ("{# c #}user:\nx", "shares its line with a tag"),
        ("---\ntags: [x]\n---\nfunction:\nx", "role function"),
        ("---\ntags: [x]\n---\nsystem:\n\nuser:\nx", "without a text"),
        ("---\ntags: [x]\n---\nuser:\nSee ![a](b.png)", "image in Markdown"),
        ("{% for m in h %}\n{{m.role}}:\nx {{m.content}}\n{% endfor %}", "list of messages is an input"),
        ("{% for m in h %}\n{{m.role}}:\n{{m.content}}\n{% endfor %}\nand", "belongs to the last of them"),
        ("---\ninputs: [{name: t, kind: audio}]\n---\n{{t}}", "kind audio"),
        ("---\ninputs: [{name: t, kind: thread}]\n---\n{{t | upper}}", "is where a text is expected"),
        (
            "---\ninputs: [{name: t, kind: thread}]\n---\n{% if t %}{{t}}{% endif %}",
            "is where a text is expected",
        ),
        ("---\ninputs: [{name: t, kind: thread}, {name: u, kind: thread}]\n---\n{{t}}{{u}}", "two inputs"),
        ("---\ninputs: [x]\n---\n{{t}}", "a property has no name"),
        ("---\ntemplate: handlebars\n---\nx", "`handlebars` is not known"),
        ("---\ntemplate: {parser: own}\n---\nx", "the parser `own`"),
        ("---\ntemplate: mustache\n---\n\n{{> p}}", "a partial of Mustache"),
        ("---\ntemplate: mustache\n---\n{{=<% %>=}}", "a change of the tags"),
        ("---\ntemplate: mustache\n---\n{{#a}}", "is not closed"),
        ("---\ntemplate: mustache\n---\n{{/a}}", "closes no section"),
        ("---\ntemplate: mustache\n---\n{{a-b}}", "a name that is not translated"),
        ("---\ntemplate: mustache\n---\n{{a", "not closed"),
        ("---\ntemplate: mustache\n---\n" + "{{#a}}" * 50, "nested more than"),
        ("---\ntemplate: mustache\n---\n" + "{{a}}" * 21_000, "more than 20,000 tags"),
        ("---\ntemplate: {format: nunjucks}\n---\n\n{{ x.y() }}", "a.prompty:5: "),
        (
            "---\ntemplate: {format: nunjucks}\ninputs: {a: {kind: array}}\n---\n{% if a %}x{% endif %}",
            "is empty",
        ),
        ("{% extends 'b.prompty' %}", "made of several files"),
        ("{{ x | nofilter }}", "nofilter"),
        ("{{ " + "(" * 5000 + "x" + ")" * 5000 + " }}", "nested too deeply"),
        ("x" * 1_100_000, "too large"),
        (
            "---\ninputs: {a: {kind: object, properties: "
            + "{p: {kind: object, properties: " * 40
            + "x"
            + "}" * 81
            + "\n---\nx",
            "a.prompty",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(repo: Repo, cli: Cli, text: str, words: str) -> None:
    repo.write("a.prompty", text)
    done = cli("import", "prompty", "a.prompty")
    assert done.code == 4
    assert words in done.out + done.err
    assert not (repo.path / "prompts").exists()


def test_references_stay_within_the_folder(repo: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_NAME", "read-from-the-environment")
    (repo.path.parent / "secret.json").write_text('{"a": "from outside"}', "utf-8")
    (repo.path / "link.json").symlink_to(repo.path.parent / "secret.json")
    repo.write("loop.json", '{"a": "${file:loop.json}"}')
    repo.write("wide.json", json.dumps(["${file:wide.json}"] * 40))
    repo.write("b.yaml", "x: {kind: string, default: from yaml}\n")
    repo.write("t.txt", "a text")
    front = (
        "description: ${file:t.txt}\ninputs: ${file:b.yaml}\nmetadata:\n  a: ${file:../secret.json}\n"
        "  b: ${file:link.json}\n  c: ${file:/etc/passwd}\n  d: ${file:loop.json}\n  e: ${file:wide.json}\n"
        "  f: ${env:SECRET_NAME}\n  g: ${env:SECRET_NAME:plain}\n  h: ${other:x}\n"
    )
    repo.write("a.prompty", f"---\n{front}---\nsystem:\nx {{{{x}}}}\n")
    done = cli("import", "a.prompty")
    assert done.code == 0
    written = (repo.path / "prompts/a.yaml").read_text("utf-8")
    assert "from outside" not in written
    assert "root:" not in written
    assert "read-from-the-environment" not in written
    metadata = imported("a").metadata
    assert metadata["g"] == "plain"
    assert metadata["h"] == "${other:x}"
    assert imported("a").description == "a text"
    assert rendered("a", {}) == [("system", "x from yaml")]
    assert "is outside" in done.out
    assert "more than 10 deep" in done.out


@pytest.mark.parametrize(
    "text",
    [
        "user[" + "a=" * 100_000,
        "---\ntemplate: mustache\n---\n" + "{{" * 100_000,
        "---\ntags: [x]\n---\nuser:\n" + "![" * 100_000,
    ],
)
def test_what_never_ends_is_read_in_one_pass(repo: Repo, cli: Cli, text: str) -> None:
    repo.write("a.prompty", text)
    started = time.process_time()
    cli("import", "a.prompty")
    assert time.process_time() - started < 5


def test_a_link_or_a_pipe_is_no_source(repo: Repo, cli: Cli) -> None:
    os.mkfifo(repo.path / "a.prompty")
    assert "not a regular file" in cli("import", "a.prompty").out

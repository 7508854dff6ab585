"""Prompts as promptfoo configurations, and back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from promptops.interop.promptfoo.conditions import json_path_of, read_condition
from promptops.interop.promptfoo.expected import assertion_of
from promptops.interop.promptfoo.provider_ids import provider_id
from support.front_door import Cli, Finished, Repo

BASE = """\
description: Say it.
model: openai/gpt-5.4-mini-2026-03-17
inputs: {x: string}
messages: [{role: user, content: "Say {{ x }}"}]
"""
Export = Callable[..., tuple[dict[str, Any], Finished]]


@pytest.fixture
def export(repo: Repo, cli: Cli) -> Export:
    def run(*texts: str, cases: str = "", **files: str) -> tuple[dict[str, Any], Finished]:
        for path, text in files.items():
            repo.write(
                f"prompts/{path.replace('__', '/').replace('_yaml', '.yaml').replace('_md', '.md')}", text
            )
        if cases:
            repo.write("prompts/say.cases.jsonl", cases)
        names = ["say", "say-2"][: len(texts)]
        for name, text in zip(names, texts, strict=True):
            repo.write(f"prompts/{name}.yaml", text + ("cases: say.cases.jsonl\n" if cases else ""))
        done = cli("export", *names, "--format", "promptfoo")
        return (yaml.safe_load(done.out) if done.code == 0 else {}), done

    return run


AS_ASSERTIONS: list[tuple[Any, dict[str, Any]]] = [
    ({"equals": "a"}, {"type": "equals", "value": "a"}),
    ({"not": True, "contains": "a"}, {"type": "not-contains", "value": "a"}),
    (
        {"icontains": "a", "name": "n", "weight": 2},
        {"type": "icontains", "value": "a", "metric": "n", "weight": 2},
    ),
    ({"contains_any": ["a"]}, {"type": "contains-any", "value": ["a"]}),
    ({"iequals": "A"}, {"type": "javascript", "value": 'output.trim().toLowerCase() === "a"'}),
    ({"ends_with": "a"}, {"type": "javascript", "value": 'output.trim().endsWith("a")'}),
    ({"one_of": ["a", "b"]}, {"type": "javascript", "value": '["a", "b"].includes(output.trim())'}),
    ({"regex": "(?i)a/b"}, {"type": "javascript", "value": "/a\\/b/i.test(output)"}),
    ({"regex": "(?P<n>a)"}, {"type": "regex", "value": "(?<n>a)"}),
    ("json", {"type": "is-json"}),
    ({"json_schema": {"type": "object"}}, {"type": "is-json", "value": {"type": "object"}}),
    (
        {"json_path": {"path": "$.a[0]", "equals": 1}, "not": True},
        {"type": "javascript", "value": "!(JSON.parse(output).a[0] === 1)"},
    ),
    ({"max_chars": 5}, {"type": "javascript", "value": "output.length <= 5"}),
    ({"min_words": 2}, {"type": "word-count", "value": {"min": 2}}),
    ("refusal", {"type": "is-refusal"}),
    ("complete", {"type": "finish-reason", "value": "stop"}),
    ({"latency": 5}, {"type": "latency", "threshold": 5}),
    (
        {"similarity": {"to": "a", "by": "embedding", "model": "openai/e"}, "threshold": 0.5},
        {"type": "similar", "value": "a", "threshold": 0.5, "provider": "openai:embedding:e"},
    ),
    ("tool_calls", {"type": "is-valid-openai-tools-call"}),
    ({"not": {"tool_calls": "f"}}, {"type": "not-tool-call-f1", "value": ["f"]}),
    (
        {"tool_calls": {"names": ["f", "g"], "order": "any"}, "threshold": 0.5},
        {"type": "tool-call-f1", "value": ["f", "g"], "threshold": 0.5},
    ),
    ({"similarity": {"to": "a", "by": "rouge_l"}}, {"type": "rouge-l", "value": "a", "threshold": 0.8}),
]


def test_a_check_is_an_assertion(export: Export) -> None:
    config, done = export(BASE + yaml.safe_dump({"checks": [check for check, _ in AS_ASSERTIONS]}))
    assert config["defaultTest"]["assert"] == [made for _, made in AS_ASSERTIONS]
    assert "not exported" not in done.err


UNSAID: list[Any] = [
    {"contains_all": ["a", "b"], "threshold": 0.5},
    {"one_of": [1, 2]},
    {"json_path": "$.a"},
    {"json_path": {"path": "$..a", "equals": 1}},
    {"json_path": {"path": "$.a", "equals": [1]}},
    {"similarity": "a"},
    {"similarity": {"to": ["a", "b"], "by": "rouge_l"}},
    {"language": "en"},
    {"tool_calls": {"at_most": 0}},
    {"tool_calls": {"names": ["f"], "order": "exact"}},
    {"tool_calls": {}},
    {"judge": "judges/none"},
    {"judge": "judges/bare"},
]


def test_what_promptfoo_has_no_assertion_for_is_named(export: Export) -> None:
    bare = "model: openai/x\ninputs: {output: string}\nmessages: [{role: user, content: '{{ output }}'}]\n"
    config, done = export(BASE + yaml.safe_dump({"checks": UNSAID}), judges__bare_yaml=bare)
    assert "assert" not in config.get("defaultTest", {})
    named = [f"say: checks[{number}]: not exported" in done.err for number in range(len(UNSAID))]
    assert named == [True] * len(UNSAID)


@pytest.mark.parametrize(
    "check",
    [
        {"tool_calls": True},
        {"judge": 5},
        {"judge": {}},
        {"one_of": 5},
        {"max_chars": "9); stop("},
        {"links": {}},
    ],
)
@pytest.mark.parametrize("form", ["promptfoo", "prompt-yml"])
def test_a_check_that_is_none_is_not_written(repo: Repo, cli: Cli, check: Any, form: str) -> None:
    repo.write("prompts/say.yaml", BASE + yaml.safe_dump({"checks": [check]}))
    done = cli("export", "say", "--format", form)
    assert (done.code, done.out) == (4, "")
    assert f"say.yaml: the check {next(iter(check))}" in done.err


def test_a_check_of_a_case_that_is_none_costs_the_cases(export: Export) -> None:
    cases = json.dumps({"id": "a", "inputs": {"x": "1"}, "checks": [{"max_chars": "9); stop("}]})
    config, done = export(BASE, cases=cases)
    assert "tests" not in config
    assert "the case a: the check max_chars: its argument must be a whole number" in done.err


@pytest.mark.parametrize("expected", [5, ["a", 1], {"a": 1}])
def test_what_a_case_expects_may_be_no_argument(export: Export, expected: Any) -> None:
    checks = [{"tool_calls": "{{ expected }}"}, {"judge": "{{ expected }}", "threshold": 1}]
    cases = json.dumps({"id": "a", "inputs": {"x": "1"}, "expected": expected, "checks": checks})
    config, _ = export(BASE, cases=cases)
    assert "assert" not in config["tests"][0]


def test_cases_are_tests(export: Export) -> None:
    cases = [
        {"id": "first", "inputs": {"x": "1"}, "expected": "one", "tags": ["k:v", "plain"]},
        {
            "inputs": {"x": "2"},
            "checks": [{"contains": "{{ expected }}!"}, {"equals": "{{ expected }}"}],
            "expected": "two",
        },
        {"inputs": {"x": "3"}},
    ]
    lines = "".join(f"{json.dumps(case)}\n" for case in cases)
    config, _ = export(BASE + "checks: [equals, {max_chars: 9}]\n", cases=lines)
    first, second, third = config["tests"]
    assert first == {
        "description": "first",
        "vars": {"x": "1"},
        "assert": [{"type": "equals", "value": "one"}, {"type": "javascript", "value": "output.length <= 9"}],
        "metadata": {"k": "v", "tags": ["plain"]},
    }
    assert [one.get("value") for one in second["assert"]] == ["two", "output.length <= 9", "two!", "two"]
    assert third == {"vars": {"x": "3"}, "assert": [{"type": "javascript", "value": "output.length <= 9"}]}
    assert "defaultTest" not in config
    config, done = export(BASE, cases='{"inputs": {"x": "1"}, "expected": "e"}\n')
    assert "no check compares with it" in done.err
    config, done = export(BASE, cases="not json\n")
    assert "say: cases: not exported" in done.err


def test_several_prompts_share_what_is_the_same(export: Export) -> None:
    second = BASE.replace("Say {{", "Sing {{").replace(
        "mini-2026-03-17", "mini-2026-03-17\nparameters: {temperature: 1}"
    )
    checks = "checks: [{max_chars: 9}]\n"
    config, done = export(
        BASE + checks, second.replace("Say it.", "Sing it.") + checks, cases='{"inputs": {"x": "1"}}\n'
    )
    assert [one["prompts"] for one in config["providers"]] == [["say"], ["say-2"]]
    assert config["tests"] == [{"vars": {"x": "1"}}]
    assert len(config["defaultTest"]["assert"]) == 1
    assert "there is one for all" in done.err
    config, _ = export(BASE + checks, second, cases='{"inputs": {"x": "1"}}\n')
    assert [one["prompts"] for one in config["tests"]] == [["say"], ["say-2"]]


MANY = """\
description: Everything.
model: anthropic/claude-sonnet-4-5-20250929
parameters: {temperature: 0}
fallback: [openai/gpt-4o-2024-08-06]
inputs:
  talk: messages
  picture: image
  order: object
  lines: {type: array, items: {type: string}}
  tone: {type: string, default: kind}
messages:
  - role: system
    content: "{% include 'partials/tone.md' %} {{ order | tojson }}"
    cache_control: {type: ephemeral}
  - insert: talk
  - role: user
    content:
      - text: "{% for k, v in order.items() %}{{ k }}{% endfor %}{{ lines }}{{ tone }}"
        cache_control: {type: ephemeral}
      - image: picture
      - image_file: partials/dot.png
output: {schema: {type: object, properties: {a: {type: string}}}, extract: json}
checks: [json_schema, {judge: judges/kind, threshold: 0.5}, {judge: {prompt: judges/x-context-faithfulness}}]
max_input_tokens: 5000
metadata: {owner: me}
tools: [{type: function, function: {name: f, parameters: {type: object}}}]
"""


def test_all_keys_of_a_prompt_are_said_or_named(export: Export, repo: Repo, cli: Cli) -> None:
    (repo.path / "prompts/partials").mkdir(parents=True)
    (repo.path / "prompts/partials/dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    judge = BASE.replace("x: string", "output: string").replace(
        "{role: user", "{role: system, content: Be kind.}, {role: user"
    )
    case = {
        "inputs": {
            "order": {"a": 1},
            "lines": ["a", "b"],
            "talk": [{"role": "user", "content": "hi"}],
            "picture": "p",
        }
    }
    config, done = export(
        MANY,
        cases=json.dumps(case) + "\n",
        partials__tone_md="Be {{ tone }}.",
        judges__kind_yaml=judge.replace("{{ x }}", "{{ output }}"),
        **{"judges__x-context-faithfulness_yaml": judge.replace("{{ x }}", "{{ output }}")},
    )
    (prompt,) = config["prompts"]
    assert "{% for turn in talk %}" in prompt["raw"]
    assert "Be {{ tone }}. {{ order | dump }}" in prompt["raw"]
    assert "in order %}" in prompt["raw"]
    (provider,) = config["providers"]
    assert provider["id"] == "anthropic:messages:claude-sonnet-4-5-20250929"
    assert provider["config"].keys() == {"temperature", "tools", "response_format"}
    asserts = config["defaultTest"]["assert"]
    assert [one["type"] for one in asserts] == ["is-json", "llm-rubric", "context-faithfulness"]
    assert asserts[1] == {
        "type": "llm-rubric",
        "value": "Be kind.",
        "threshold": 0.5,
        "provider": "openai:chat:gpt-5.4-mini-2026-03-17",
    }
    assert config["defaultTest"]["options"] == {"disableVarExpansion": True}
    assert config["tests"][0]["vars"]["tone"] == "kind"
    for key in (
        "fallback",
        "max_input_tokens",
        "metadata",
        "inputs.lines",
        "output.extract",
        "messages[0].cache_control",
    ):
        assert f"say: {key}: not exported" in done.err
    assert "say: messages[0]: with a note: partials are written out" in done.err
    assert "say: messages[2]: not exported: the image partials/dot.png" in done.err
    repo.write("promptfooconfig.yaml", done.out)
    again = json.loads(cli("import", "promptfooconfig.yaml", "--to", "back", "--json").out)
    assert [one for one in again["sources"][0]["findings"] if one["result"] == "lost"] == []
    back = yaml.safe_load((repo.path / "prompts/back/say.yaml").read_text("utf-8"))
    assert back["messages"][1] == {"insert": "talk"}
    assert back["inputs"]["talk"] == "messages"
    (read,) = [
        json.loads(line)
        for line in (repo.path / "prompts/back/say.cases.jsonl").read_text("utf-8").splitlines()
    ]
    assert read["inputs"] == {"tone": "kind", **case["inputs"]}


def test_texts_that_look_like_files_or_json_are_messages(export: Export) -> None:
    for text in ("read.md", "file://x", "[1]", "all/*.txt"):
        config, _ = export(BASE.replace('"Say {{ x }}"', json.dumps(text)).replace("{x: string}", "{}"))
        assert json.loads(config["prompts"][0]["raw"])[0]["content"] == text


def test_a_conversation_at_the_end_has_no_place(export: Export) -> None:
    config, done = export(
        BASE.replace("{x: string}", "{x: string, t: messages}").replace('}"}]', '}"}, {insert: t}]')
    )
    assert config["prompts"][0]["raw"] == "Say {{ x }}"
    assert "a conversation at the end" in done.err


def test_where_an_export_is_written(export: Export, repo: Repo, cli: Cli) -> None:
    export(BASE)
    (repo.path / "there").mkdir()
    assert (
        "wrote there/promptfooconfig.yaml"
        in cli("export", "say", "--format", "promptfoo", "--out", "there").err
    )
    assert (repo.path / "there/promptfooconfig.yaml").is_file()
    assert cli("export", "say", "--format", "promptfoo", "--out", "gone/foo.yaml").code == 4
    said = json.loads(cli("export", "say", "--format", "promptfoo", "--json", "--strict").out)
    assert (said["files"], said["lost"]) == (["promptfooconfig.yaml"], 0)
    repo.write("prompts/say.yaml", BASE + "metadata: {a: 1}\n")
    assert cli("export", "say", "--format", "promptfoo", "--strict").code == 1
    assert cli("export", "say", "--format", "none").code == 2


@pytest.mark.parametrize(
    ("code", "checks"),
    [
        ("output.length <= 100 ? 1 : 0", None),
        ("return output.startsWith('Ahoy');", [{"starts_with": "Ahoy"}]),
        ('output.trim().endsWith("x")', [{"ends_with": "x"}]),
        ("output.toLowerCase().startsWith('x')", None),
        ("output.toLowerCase().includes('Abc')", None),
        ("output.toLowerCase().includes('abc')", [{"icontains": "abc"}]),
        ("'abc' in output.lower() and len(output) < 10", [{"icontains": "abc"}, {"max_chars": 9}]),
        ("'abc' not in output", [{"contains": "abc", "not": True}]),
        ("len(output) > 0", [{"min_chars": 1}]),
        ("output.length < 0", None),
        ("output.length < 1.5", None),
        ("len(output.split()) <= 5", [{"max_words": 5}]),
        ("output.split(' ').length >= 5", [{"min_words": 5}]),
        ("output === 'x'", [{"equals": "x"}]),
        ("output !== 'x'", [{"equals": "x", "not": True}]),
        ("output == 5", None),
        ("output.trim() === 'x'", [{"equals": "x"}]),
        ("output.toLowerCase() === 'x'", [{"iequals": "x"}]),
        ("['a', 'b'].includes(output.trim())", [{"one_of": ["a", "b"]}]),
        ("JSON.parse(output).a.b === null", [{"json_path": {"path": "$.a.b", "equals": None}}]),
        ("json.loads(output)['a'] == True", [{"json_path": {"path": "$['a']", "equals": True}}]),
        ("output.n >= 1.5", [{"json_path": {"path": "$.n", "schema": {"type": "number", "minimum": 1.5}}}]),
        ("output > 3", None),
        ("output.items.length > -2", None),
        (
            "output.items.length > 1",
            [
                {
                    "json_path": {
                        "path": "$.items",
                        "schema": {
                            "anyOf": [{"type": "string", "minLength": 2}, {"type": "array", "minItems": 2}]
                        },
                    }
                }
            ],
        ),
        ("Array.isArray(output.x)", [{"json_path": {"path": "$.x", "schema": {"type": "array"}}}]),
        ("typeof output.x === 'string'", [{"json_path": {"path": "$.x", "schema": {"type": "string"}}}]),
        ("Array.isArray(output)", None),
        ("/a\\/b/gi.test(output)", [{"regex": "(?i)a/b"}]),
        (
            "output.list.some(one => one.kind === 'a')",
            [
                {
                    "json_path": {
                        "path": "$.list",
                        "schema": {
                            "type": "array",
                            "contains": {
                                "type": "object",
                                "required": ["kind"],
                                "properties": {"kind": {"const": "a"}},
                            },
                        },
                    }
                }
            ],
        ),
        (
            "output.list.every((one) => one.name.toLowerCase().includes('a'))",
            [
                {
                    "json_path": {
                        "path": "$.list",
                        "schema": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"type": "string", "pattern": "(?i:a)"}},
                            },
                        },
                    }
                }
            ],
        ),
        ("output.list.some(one => two.kind === 'a')", None),
        ("(output.includes('a'))", [{"contains": "a"}]),
        ("!(f(output))", None),
        ("!(JSON.parse(output).a === 1)", [{"json_path": {"path": "$.a", "equals": 1}, "not": True}]),
        ("!(output.includes('a') && output.includes('b'))", None),
        ("(output.includes('a')) && (output.includes('b'))", [{"contains": "a"}, {"contains": "b"}]),
        (
            "!output.includes('a') && !/x/.test(output)",
            [{"contains": "a", "not": True}, {"regex": "x", "not": True}],
        ),
        ("!!output.includes('a')", None),
        ("output.includes('it\\'s \"x\"')", [{"contains": 'it\'s "x"'}]),
        ("// words\noutput.includes('a')", [{"contains": "a"}]),
        ("const a = 1;\n\nreturn a", None),
        ("", None),
    ],
)
def test_conditions_are_read_and_never_run(code: str, checks: Any) -> None:
    assert read_condition(code) == checks


def test_paths_of_transforms() -> None:
    assert json_path_of("return JSON.parse(output).a[0];") == "$.a[0]"
    assert json_path_of("output.trim()") == ""
    assert json_path_of("output.toUpperCase()") is None


@pytest.mark.parametrize(
    ("cell", "made"),
    [
        ("plain", {"type": "equals", "value": "plain"}),
        ("grade:kind", {"type": "llm-rubric", "value": "kind"}),
        ("fn: x", {"type": "javascript", "value": "x"}),
        ("python:x", {"type": "python", "value": "x"}),
        ("file://a.py:f", {"type": "python", "value": "file://a.py:f"}),
        ("file://a.js", {"type": "javascript", "value": "file://a.js"}),
        ("not-contains-any:a, b", {"type": "not-contains-any", "value": ["a", "b"]}),
        ("latency(500)", {"type": "latency", "threshold": 500.0}),
        ("cost:0.5", {"type": "cost", "value": "0.5", "threshold": 0.5}),
        ("similar:near", {"type": "similar", "value": "near", "threshold": 0.8}),
        ("is-json", {"type": "is-json"}),
        ("unheard-of:x", {"type": "equals", "value": "unheard-of:x"}),
    ],
)
def test_a_cell_is_an_assertion(cell: str, made: dict[str, Any]) -> None:
    assert assertion_of(cell) == made


def test_models_have_their_names_there() -> None:
    assert provider_id("local/smollm2-135m-instruct") == "echo"
    assert provider_id("gemini/gemini-2.5-pro") == "google:gemini-2.5-pro"
    assert provider_id("snowflake/x") == "litellm:snowflake/x"

"""promptfoo configurations in every form that they are written in."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import yaml

from support.front_door import Cli, Finished, Repo


class Found(NamedTuple):
    """What an import wrote, and what it said."""

    prompts: dict[str, Any]
    cases: dict[str, list[dict[str, Any]]]
    lost: dict[str, str]
    changed: dict[str, str]
    steps: list[str]
    done: Finished


Import = Callable[..., Found]


@pytest.fixture
def take(repo: Repo, cli: Cli) -> Import:
    """Import a configuration given as data, with the files that it names."""

    def run(config: dict[str, Any], *options: str, **files: str) -> Found:
        for name, text in files.items():
            base, _, suffix = name.rpartition("_")
            repo.write(f"foo/{base.replace('__', '/')}.{suffix}", text)
        repo.write("foo/promptfooconfig.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        done = cli("import", "foo/promptfooconfig.yaml", "--json", *options)
        (source,) = json.loads(done.out)["sources"]
        by = {
            result: {one["key"]: one["note"] for one in source["findings"] if one["result"] == result}
            for result in ("lost", "changed")
        }
        folder = repo.path / "prompts"
        prompts = {
            file.relative_to(folder).as_posix().removesuffix(".yaml"): yaml.safe_load(file.read_text("utf-8"))
            for file in folder.rglob("*.yaml")
        }
        cases = {
            file.relative_to(folder).as_posix().removesuffix(".cases.jsonl"): [
                json.loads(line) for line in file.read_text("utf-8").splitlines()
            ]
            for file in folder.rglob("*.jsonl")
        }
        return Found(prompts, cases, by["lost"], by["changed"], source["next"], done)

    return run


MODEL = "openai:chat:gpt-5.4-mini-2026-03-17"


def config(*prompts: Any, **more: Any) -> dict[str, Any]:
    return {"prompts": [*prompts] or ["Say {{x}}"], "providers": [MODEL], **more}


def checks_of(take: Import, *asserts: Any, **more: Any) -> tuple[list[Any], Found]:
    found = take(config(tests=[{"vars": {"x": "1"}, "assert": [*asserts]}], **more))
    return found.cases["foo"][0].get("checks", []), found


def test_prompts_in_every_form(take: Import) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell {{x}}"}]
    parts = [
        {"type": "text", "text": "See {{x}}", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,{{picture}}"}},
        {"type": "image", "source": {"type": "base64", "data": "{{ other }}"}},
        "and this",
    ]
    found = take(
        config(
            "Line one\nabout {{x}}",
            {"raw": "Raw {{x}}", "label": "My Label!", "id": "ignored"},
            {"id": "file://two.txt", "label": "pair"},
            {"messages": chat, "label": "chat"},
            {"messages": [{"role": "user", "content": "file://read.md"}], "label": "from file"},
            {
                "label": "parts",
                "raw": json.dumps([{"role": "model", "content": "a"}, {"role": "user", "content": parts}]),
            },
            "file://chat.json",
            "file://chat2.yaml",
            "file://text.yaml",
            "file://map.yaml",
            "read.md",
            "file://lines.jsonl",
            "file://table.csv",
            "file://plain.csv",
            "file://list.yaml",
            "*.j2",
            {"raw": "Configured {{x}}", "label": "own", "config": {"temperature": 0.5}},
            "file://gone.txt",
            "file://made.js",
            {"id": "file://made.py:fn"},
            "langfuse://x",
            7,
            {"label": "nothing"},
            {"messages": [{"role": "critic", "content": "x"}], "label": "odd"},
            "file://none/*.txt",
            "file://x.docx",
            tests=[{"vars": {"x": "1", "picture": "p", "other": "o"}}],
        ),
        two_txt="First {{x}}\n---\nSecond {{x}}\n---\n",
        read_md="# Read {{x}}\n",
        chat_json=json.dumps(chat),
        chat2_yaml=yaml.safe_dump({"messages": chat}),
        text_yaml="just {{x}}\n",
        map_yaml="a: {b: 1}\n",
        lines_jsonl=json.dumps(chat) + '\n"one {{x}}"\n',
        table_csv="prompt,label\nCell {{x}},Cell One\n,\n",
        plain_csv="prompt\nPlain {{x}}\n",
        list_yaml="- raw: Listed {{x}}\n  label: listed\n- Bare {{x}}\n",
        letter_j2="Dear {{ x }}\n",
        x_docx="x",
    )
    messages = {name: prompt["messages"] for name, prompt in found.prompts.items()}
    assert messages["foo"] == [{"role": "user", "content": "Line one\nabout {{x}}"}]
    assert messages["my-label"][0]["content"] == "Raw {{x}}"
    assert [messages[name][0]["content"] for name in ("pair", "pair-2")] == ["First {{x}}", "Second {{x}}"]
    assert messages["chat"] == chat
    assert messages["from-file"][0]["content"] == "# Read {{x}}\n"
    assert messages["parts"][1]["content"] == [
        {"text": "See {{x}}", "cache_control": {"type": "ephemeral"}},
        {"image": "picture"},
        {"image": "other"},
        {"text": "and this"},
    ]
    assert found.prompts["parts"]["inputs"]["picture"] == "image"
    assert messages["text"][0]["content"] == "just {{x}}"
    assert '"b": 1' in messages["map"][0]["content"]
    assert messages["cell-one"][0]["content"] == "Cell {{x}}"
    assert messages["plain"][0]["content"] == "Plain {{x}}"
    assert messages["listed"][0]["content"] == "Listed {{x}}"
    assert messages["letter"][0]["content"] == "Dear {{ x }}\n"
    assert found.prompts["own"]["parameters"] == {"temperature": 0.5}
    same = [key for key, note in found.changed.items() if note.startswith("the same as")]
    assert same == ["prompts[6]", "prompts[7]", "prompts[10]", "prompts[11]"]
    assert len([key for key in found.lost if key.startswith("prompts")]) == 9


def test_a_mapping_of_paths_and_a_prompt_alone(take: Import) -> None:
    found = take({"prompts": {"a.txt": "first", "b.txt": "second"}, "providers": MODEL}, a_txt="A", b_txt="B")
    assert {"first", "second"} <= found.prompts.keys()
    assert found.prompts["first"]["messages"][0]["content"] == "A"


def test_templates_that_jinja_has_not_are_refused_by_line(take: Import) -> None:
    found = take(
        config(
            "one\n{% asyncEach x in y %}{% endeach %}",
            "{{ x | nl2br2 }}",
            "{{ x.at(1) }}",
            "{{ f(a => a) }}",
            "{{ x | replace(r/a/, 'b') }}",
            "{{ x === undefined }}",
            "{{ x | random }}",
            "{% if x === 'a' %}{{ x.length }}{% elseif null %}{{ x.toUpperCase() | safe }}{% endif %}{##}",
            "{% raw %}{{ x | nope }}{% endraw %}",
            "{{ class }} {{ o.items }} {% for k, v in o %}{{ k }}{% endfor %}",
            "{{ l | dump }} {{ x | dump(2) }} {{ (j | load).a }}",
            tests=[{"vars": {"x": "a", "class": "c", "o": {"items": 1}, "l": [{}], "j": '{"a": 1}'}}],
        )
    )
    assert len(found.lost) == 7
    assert found.lost["prompts[0]"].startswith("line 2: ")
    texts = [prompt["messages"][0]["content"] for prompt in found.prompts.values()]
    assert "{% if x == 'a' %}{{ (x|length) }}{% elif none %}{{ x.upper() }}{% endif %}{##}" in texts
    assert '{{ class_ }} {{ o["items"] }} {% for k, v in o.items() %}{{ k }}{% endfor %}' in texts
    assert "{{ l }} {{ x | tojson(indent=2) }} {{ j.a }}" in texts
    assert found.changed["tests[0].vars.class"] == "the input is named `class_`"
    assert [one for one in found.cases.values() if one[0]["inputs"]["j"] == {"a": 1}]


def test_the_provider_is_pinned_with_its_settings(take: Import) -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    tool = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
    settings = {
        "temperature": 0,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "functions": "file://tools.yaml",
        "tools": [
            {"function_declarations": [{"name": "g", "parameters": schema}]},
            {"name": "h", "input_schema": {"type": "object"}},
            {"type": "web_search"},
        ],
        "function_call": {"name": "f"},
        "generationConfig": {
            "topP": 0.5,
            "responseSchema": schema,
            "responseMimeType": "application/json",
            "thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "HIGH"},
        },
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "systemInstruction": {"parts": [{"text": "Sys"}]},
        "prompt": {"prefix": "[", "suffix": "]"},
        "passthrough": {"seed": 3},
        "apiKey": "k",
        "apiHost": "h",
        "odd": 1,
        "top_k": "{{env.K}}",
    }
    found = take(
        {
            "prompts": ["Say {{x}}"],
            "targets": [{"id": MODEL, "label": "L", "config": settings}, {"id": "openai:gpt-4o"}],
        },
        tools_yaml=yaml.safe_dump([tool]),
    )
    prompt = found.prompts["foo"]
    assert prompt["model"] == "openai/gpt-5.4-mini-2026-03-17"
    assert prompt["parameters"] == {
        "temperature": 0,
        "max_tokens": 9,
        "stop": ["x"],
        "top_p": 0.5,
        "seed": 3,
        "verbosity": "low",
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "reasoning_effort": "low",
        "thinking": {"type": "enabled", "budget_tokens": 5},
    }
    assert [one.get("function", one).get("name") for one in prompt["tools"]] == ["f", "g", "h", None]
    assert prompt["output"] == {
        "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
        "extract": "json",
    }
    assert prompt["messages"] == [
        {"role": "system", "content": "Sys"},
        {"role": "user", "content": "[Say {{x}}]"},
    ]
    assert found.lost.keys() == {f"targets[0].config.{key}" for key in ("apiKey", "apiHost", "odd", "top_k")}
    assert prompt["metadata"]["imported"]["not_in_force"]["targets[0].config.apiKey"] == "(left out)"
    assert "promptops eval foo --model openai/gpt-5.4-mini-2026-03-17 --model openai/gpt-4o" in found.steps


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
            "schema",
        ),
        ({"response_format": {"type": "json_schema", "schema": "file://s.json"}}, "schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": "file://s.json"}}}, "schema"),
        ({"response_format": "file://form.yaml"}, "schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "schema"),
        ({"response_format": {"type": "json_object"}}, ""),
        ({"response_format": {"type": "odd"}}, None),
        ({"response_format": "file://gone.yaml"}, None),
        ({"response_schema": {"type": "nonsense"}}, None),
        ({"tools": "file://gone.yaml"}, None),
        ({"tools": ["x"]}, None),
        ({"tools": [{"name": "f", "parameters": {"type": "nonsense"}}]}, None),
        ({"tool_config": {"function_calling_config": {"mode": "any"}}}, ""),
        ({"tool_config": {"function_calling_config": {"mode": "odd"}}}, None),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, ""),
        ({"systemPrompt": "file://sys.txt"}, ""),
        ({"system_prompt": "file://gone.txt"}, None),
        ({"prompt_template": "<{prompt}>"}, ""),
        ({"prompt_template": "nothing"}, None),
        ([1], None),
    ],
)
def test_settings_are_kept_or_said_to_be_lost(take: Import, settings: Any, kept: str | None) -> None:
    found = take(
        {"prompts": ["Hi"], "providers": [{MODEL: {"config": settings}}]},
        s_json='{"type": "object"}',
        form_yaml="type: json_schema\nschema: {type: object}\n",
        sys_txt="Sys",
    )
    assert bool(found.lost) == (kept is None)
    assert ("schema" in found.prompts["foo"].get("output", {})) == (kept == "schema")


def test_providers_that_are_no_models(take: Import) -> None:
    found = take({"prompts": ["Hi"], "providers": ["echo"]})
    assert found.prompts["foo"]["model"] == "local/smollm2-135m-instruct"
    assert "no model is named" in found.steps[0]
    providers = [
        "python:x.py",
        {"id": "https://x"},
        {"config": {}},
        7,
        "nobody:knows",
        "file://p.yaml",
        "file://gone.yaml",
    ]
    found = take({"prompts": ["Hi"], "providers": providers}, "--force", p_yaml=f"- id: {MODEL}\n")
    assert found.prompts["foo"]["model"] == "openai/gpt-5.4-mini-2026-03-17"
    assert len(found.lost) == 6
    found = take(
        {"prompts": ["Hi"], "providers": [{"id": "gpt", "provider": MODEL}]}, "--force", "--model", "openai/x"
    )
    assert found.prompts["foo"]["model"] == "openai/x"


def test_settings_of_another_provider_are_in_force_where_they_are_the_same(take: Import) -> None:
    same = {"temperature": 0, "apiHost": "h"}
    providers = [{"id": MODEL, "config": {"temperature": 0}}, {"id": "openai:gpt-4o", "config": same}]
    found = take(
        {"prompts": ["Hi"], "providers": [*providers, {"id": "openai:gpt-4", "config": {"temperature": 1}}]}
    )
    assert found.lost.keys() == {"providers[1].config.apiHost", "providers[2].config"}


def test_a_prompt_pins_the_provider_that_it_is_for(take: Import) -> None:
    found = take(
        {
            "prompts": [{"raw": "A {{x}}", "label": "a"}, {"raw": "B {{x}}", "label": "b"}],
            "providers": [
                {"id": "openai:gpt-4o-2024-08-06", "prompts": ["a"]},
                {"id": MODEL, "prompts": ["b"]},
            ],
        }
    )
    assert found.prompts["a"]["model"] == "openai/gpt-4o-2024-08-06"
    assert found.prompts["b"]["model"] == "openai/gpt-5.4-mini-2026-03-17"


def test_tests_from_everywhere(take: Import) -> None:
    png = "\x89PNG\r\n\x1a\n"
    found = take(
        config(
            "Say {{x}} {{y}}",
            defaultTest={"vars": {"y": "Y"}, "metadata": {"team": "a"}, "description": "all"},
            tests=[
                {"vars": {"x": "one", "n": None}, "description": "d", "metadata": {"k": ["1", "2"], "o": {}}},
                {
                    "vars": {"x": "two"},
                    "description": "d",
                    "threshold": 0.5,
                    "prompts": ["Say {{x}} {{y}}", "other"],
                },
                {"vars": {"x": ["p", "q"], "y": ["r", "file://v.txt"]}},
                {"vars": {"x": "see {{ y }}", "y": "Z"}},
                {"vars": {"x": "file://data.yaml"}},
                {"vars": {"x": "file://made.py"}},
                {"vars": "file://vars.yaml"},
                {"vars": {"x": "file://gone.txt"}},
                {"vars": {"x": "file://v*.txt"}},
                {"vars": {"x": "file://no*.txt"}},
                {"vars": ["file://list.yaml"]},
                {"vars": {}},
                7,
                "file://more.yaml",
                "file://more.json",
                "file://more.jsonl",
                "file://more.csv",
                "file://sub/",
                "gone.csv",
                {"path": "file://more.yaml"},
                "https://x",
                "huggingface://x",
                "file://gen.ts:f",
                "file://a.xlsx",
                "file://z*.yaml",
            ],
        ),
        v_txt="V\n",
        data_yaml="a: [1]\n",
        vars_yaml="x: fromvars\n",
        list_yaml="- 1\n",
        more_yaml="- vars: {x: yaml}\n",
        more_json='[{"vars": {"x": "json"}}]',
        more_jsonl='{"vars": {"x": "jsonl"}}\n',
        more_csv=(
            "x,y,__expected,__expected2,__description,__metric,__threshold,__metadata:severity,__metadata:tags[],__prefix\n"
            'csv,c,contains-any:a,"similar(0.5): near",row,m,0.5,high,"u,v",pre\ncsv2,,fn:no(),,,,,,,\n'
        ),
        sub__t_yaml="vars: {x: sub}\n",
    )
    assert png
    cases = found.cases["foo"]
    by_x = {str(case["inputs"].get("x")): case for case in cases}
    assert [case["id"] for case in cases if "id" in case] == ["d", "d 2", "row"]
    assert by_x["one"]["tags"] == ["team:a", "k:1", "k:2"]
    assert by_x["one"]["inputs"] == {"y": "Y", "x": "one", "n": ""}
    assert {(str(case["inputs"].get("x")), case["inputs"]["y"]) for case in cases} >= {
        ("p", "r"),
        ("p", "V"),
        ("q", "r"),
        ("q", "V"),
        ("see Z", "Z"),
        ("fromvars", "Y"),
        ("yaml", "Y"),
        ("json", "Y"),
        ("jsonl", "Y"),
        ("csv", "c"),
        ("sub", "Y"),
        ("V", "Y"),
    }
    row = by_x["csv"]
    assert row["checks"] == [
        {"contains_any": ["a"], "name": "m"},
        {"similarity": {"to": "near", "by": "embedding"}, "threshold": 0.5, "name": "m_2"},
    ]
    assert row["tags"] == ["team:a", "severity:high", "u", "v"] or row["tags"][:2] == [
        "team:a",
        "severity:high",
    ]
    assert "tests that occur more than once are one case" in found.steps
    for key in (
        "tests[1].threshold",
        "tests[5].vars.x",
        "tests[7].vars.x",
        "tests[12]",
        "tests[18]",
        "tests[20]",
    ):
        assert key in found.lost
    assert "[0].__prefix" in found.lost


def test_scenarios_are_expanded(take: Import) -> None:
    found = take(
        config(
            "Say {{x}} {{y}}",
            scenarios=[
                {
                    "description": "s",
                    "config": [{"vars": {"x": "1"}}, {"vars": {"x": "2"}}],
                    "tests": [{"vars": {"y": "a"}, "description": "t"}, {"vars": {"y": "b"}}],
                },
                {"config": [{"vars": {"x": "3"}}]},
                7,
            ],
        )
    )
    pairs = [(case["inputs"]["x"], case["inputs"].get("y")) for case in found.cases["foo"]]
    assert pairs == [("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"), ("3", None)]
    assert found.prompts["foo"]["inputs"]["y"] == {"type": "string", "default": ""}


def test_values_of_one_name_have_one_type(take: Import) -> None:
    values = [
        {"n": 1, "f": 1.5, "b": True, "m": 1, "o": {"a": 1}},
        {"n": 2, "f": 2, "b": False, "m": "x", "l": [{}]},
    ]
    found = take(
        config(
            "{{n}}{{f}}{{b}}{{m}}{{unknown}}{{env.HOME}}",
            tests=[{"vars": one} for one in values],
            env={"HOME": "h"},
        )
    )
    assert found.prompts["foo"]["inputs"] == {
        "b": "boolean",
        "f": "number",
        "m": "string",
        "n": "integer",
        "unknown": {"type": "string", "default": ""},
        "o": {"type": "object", "default": {}},
        "l": {"type": "array", "default": []},
        "env": {"type": "object", "default": {"HOME": "h"}},
    }
    assert [case["inputs"]["m"] for case in found.cases["foo"]] == ["1", "x"]


def test_too_many_cases_are_refused(take: Import) -> None:
    many = [str(number) for number in range(101)]
    found = take(
        config("{{a}}{{b}}", tests=[{"vars": {"a": many, "b": many}}, {"vars": {"a": "1", "b": "2"}}])
    )
    assert "more than 10,000 cases" in found.lost["tests[0]"]


AS_CHECKS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "equals", "value": "a"}, {"equals": "a"}),
    ({"type": "not-equals", "value": {"a": 1}}, {"equals": {"a": 1}, "not": True}),
    (
        {"type": "contains", "value": "{{x}}", "metric": "m", "weight": 2},
        {"contains": "{{x}}", "name": "m", "weight": 2},
    ),
    ({"type": "contains-all", "value": "a, b"}, {"contains_all": ["a", "b"]}),
    ({"type": "icontains-any", "value": ["a.", "b"]}, {"regex": "(?i)(?:a\\.|b)"}),
    ({"type": "starts-with", "value": "a"}, {"starts_with": "a"}),
    ({"type": "regex", "value": "(?<n>a)\\/b"}, {"regex": "(?P<n>a)/b"}),
    ({"type": "is-json"}, "json"),
    ({"type": "not-is-json"}, {"not": "json"}),
    ({"type": "is-json", "value": "type: object"}, {"json_schema": {"type": "object"}}),
    ({"type": "is-json", "value": "file://s.json"}, {"json_schema": {"type": "object"}}),
    ({"type": "contains-json"}, {"regex": "(?s)\\{.*\\}|\\[.*\\]"}),
    (
        {"type": "similar", "value": "a", "provider": "openai:embedding:text-embedding-3-large"},
        {
            "similarity": {"to": "a", "by": "embedding", "model": "openai/text-embedding-3-large"},
            "threshold": 0.75,
        },
    ),
    (
        {"type": "rouge-n", "value": "a", "threshold": 0},
        {"similarity": {"to": "a", "by": "rouge_1"}, "threshold": 0},
    ),
    ({"type": "bleu", "value": "a"}, {"similarity": {"to": "a", "by": "bleu"}, "threshold": 0.5}),
    (
        {"type": "levenshtein", "value": "abcdefghij", "threshold": 2},
        {"similarity": {"to": "abcdefghij", "by": "levenshtein"}, "threshold": 0.8},
    ),
    ({"type": "latency", "threshold": 5}, {"latency": 5}),
    ({"type": "cost", "threshold": 0.1}, {"cost": 0.1}),
    ({"type": "max-length", "value": 5}, {"max_chars": 5}),
    ({"type": "word-count", "value": {"max": 5}}, {"max_words": 5}),
    ({"type": "is-refusal"}, "refusal"),
    ({"type": "finish-reason", "value": "stop"}, "complete"),
    (
        {"type": "equals", "value": "a", "transform": "JSON.parse(output).k"},
        {"json_path": {"path": "$.k", "equals": "a"}},
    ),
    (
        {"type": "icontains", "value": "a", "transform": "output.k"},
        {
            "json_path": {
                "path": "$.k",
                "schema": {
                    "anyOf": [
                        {"type": "string", "pattern": "(?i:a)"},
                        {"type": "array", "contains": {"enum": ["a"]}},
                    ]
                },
            }
        },
    ),
    (
        {"type": "contains-all", "value": ["a"], "transform": "output.k"},
        {
            "json_path": {
                "path": "$.k",
                "schema": {
                    "allOf": [
                        {
                            "anyOf": [
                                {"type": "string", "pattern": "(?:a)"},
                                {"type": "array", "contains": {"enum": ["a"]}},
                            ]
                        }
                    ]
                },
            }
        },
    ),
    (
        {"type": "regex", "value": "a", "transform": "output.k"},
        {"json_path": {"path": "$.k", "schema": {"type": "string", "pattern": "a"}}},
    ),
    (
        {"type": "starts-with", "value": "a", "transform": "output.k"},
        {"json_path": {"path": "$.k", "schema": {"type": "string", "pattern": "^a"}}},
    ),
    (
        {"type": "contains-any", "value": ["a"], "transform": "output.k"},
        {
            "json_path": {
                "path": "$.k",
                "schema": {
                    "anyOf": [
                        {"type": "string", "pattern": "(?:a)"},
                        {"type": "array", "contains": {"enum": ["a"]}},
                    ]
                },
            }
        },
    ),
    ({"type": "contains", "value": "a", "transform": "output.trim()"}, {"contains": "a"}),
    (
        {"type": "is-json", "value": {"type": "array"}, "transform": "output.k"},
        {"json_path": {"path": "$.k", "schema": {"type": "array"}}},
    ),
    ({"type": "javascript", "value": "output.length < 5"}, {"max_chars": 4}),
    ({"type": "not-javascript", "value": "output.includes('a')"}, {"contains": "a", "not": True}),
    ({"type": "not-javascript", "value": "!output.includes('a')"}, {"contains": "a"}),
    ({"type": "python", "value": "'a' in output"}, {"contains": "a"}),
    ({"$ref": "#/assertionTemplates/short"}, {"max_chars": 5}),
]


def test_an_assertion_is_a_check(take: Import) -> None:
    templates = {"short": {"$ref": "#/assertionTemplates/base"}, "base": {"type": "max-length", "value": 5}}
    tests = [{"vars": {"x": str(number)}, "assert": [given]} for number, (given, _) in enumerate(AS_CHECKS)]
    found = take(config(tests=tests, assertionTemplates=templates), s_json='{"type": "object"}')
    alone = take(config(tests=[{"assert": [{"$ref": "#/t", "weight": 2}]}], t={"type": "is-json"}), "--force")
    assert alone.lost.keys() == {"tests[0].assert[0].weight"}
    assert [case["checks"] for case in found.cases["foo"]] == [[made] for _, made in AS_CHECKS]
    assert not {key for key in found.lost if key.startswith("tests")}


def test_some_assertions_are_several_checks(take: Import) -> None:
    checks, found = checks_of(
        take,
        {"type": "icontains-all", "value": ["a", "b"]},
        {"type": "word-count", "value": 3},
        {
            "type": "assert-set",
            "threshold": 0.5,
            "metric": "m",
            "assert": [{"type": "contains", "value": "x"}],
        },
        {"type": "llm-rubric", "value": "kind", "weight": 0},
    )
    assert checks[:5] == [
        {"icontains": "a"},
        {"icontains": "b"},
        {"min_words": 3},
        {"max_words": 3},
        {"contains": "x"},
    ]
    assert checks[5]["judge"]["inputs"] == {"rubric": "kind"}
    assert found.changed.keys() == {
        "tests[0].assert[2].threshold",
        "tests[0].assert[2].metric",
        "tests[0].assert[3].weight",
    }


UNSAID: list[Any] = [
    {"type": "javascript", "value": "score(output)"},
    {"type": "javascript", "value": "file://x.js"},
    {"type": "javascript", "value": "output.length < 5", "threshold": 0.5},
    {"type": "javascript", "value": "output.length < 5", "transform": "f(output)"},
    {"type": "javascript", "value": "output.length < 5", "transform": "output.k"},
    {"type": "not-javascript", "value": "output.length < 5 && output.length > 1"},
    {"type": "contains", "value": "a", "transform": "f(output)"},
    {"type": "similar", "value": "a", "transform": "output.k"},
    {"type": "contains"},
    {"type": "contains", "value": "file://x.js"},
    {"type": "contains", "value": "file://gone.txt"},
    {"type": "contains", "value": "{{ x | nope }}"},
    {"type": "contains-any", "value": 5},
    {"type": "regex", "value": "("},
    {"type": "icontains-any", "value": ["{{x}}"]},
    {"type": "not-icontains-all", "value": ["a", "b"]},
    {"type": "is-json", "value": 5},
    {"type": "contains-json", "value": {"type": "object"}},
    {"type": "levenshtein", "value": "{{x}}"},
    {"type": "latency"},
    {"type": "max-length", "value": "x"},
    {"type": "word-count", "value": {"odd": 1}},
    {"type": "finish-reason", "value": "length"},
    {"type": "llm-rubric"},
    {"type": "is-sql"},
    {"type": "unheard-of"},
    {"type": 5},
    "text",
    {"$ref": "#/assertionTemplates/round"},
    {"$ref": "other.yaml#/x"},
    {"$ref": "#/assertionTemplates/gone"},
    {"type": "is-valid-openai-tools-call"},
    {"type": "json_schema"},
]


def test_an_assertion_that_no_check_says_is_kept_with_the_reason(take: Import) -> None:
    templates = {
        "round": {"$ref": "#/assertionTemplates/other"},
        "other": {"$ref": "#/assertionTemplates/round"},
    }
    tests = [{"vars": {"x": str(number)}, "assert": [given]} for number, given in enumerate(UNSAID)]
    found = take(config(tests=tests, assertionTemplates=templates))
    assert [case for case in found.cases["foo"] if "checks" in case] == []
    kept = found.prompts["foo"]["metadata"]["imported"]["not_in_force"]
    assert [kept[f"tests[{number}].assert[0]"] for number in range(len(UNSAID))] == UNSAID
    assert all(found.lost[f"tests[{number}].assert[0]"] for number in range(len(UNSAID)))


@pytest.mark.parametrize(
    ("given", "kind", "argument", "threshold"),
    [
        (
            {"type": "llm-rubric", "value": ["a", "b"], "threshold": 0.8},
            "llm-rubric",
            {"inputs": {"rubric": "- a\n- b"}},
            0.8,
        ),
        ({"type": "g-eval", "value": 5}, "g-eval", {"inputs": {"criteria": "5"}}, 0.7),
        (
            {"type": "factuality", "value": "f"},
            "factuality",
            {"inputs": {"facts": "f"}, "pass": ["subset", "agree", "immaterial"]},
            None,
        ),
        (
            {"type": "model-graded-closedqa", "value": "c"},
            "model-graded-closedqa",
            {"inputs": {"criterion": "c"}, "pass": ["Y"]},
            None,
        ),
        ({"type": "answer-relevance", "threshold": 0.5}, "answer-relevance", {}, 0.5),
        ({"type": "context-recall", "value": "t"}, "context-recall", {"inputs": {"truth": "t"}}, 0),
        ({"type": "context-faithfulness"}, "context-faithfulness", {}, 0),
        ({"type": "conversation-relevance", "config": {"windowSize": 2}}, "conversation-relevance", {}, 0.5),
    ],
)
def test_what_a_model_grades_is_a_judge(
    take: Import,
    cli: Cli,
    given: dict[str, Any],
    kind: str,
    argument: dict[str, Any],
    threshold: float | None,
) -> None:
    options = {
        "factuality": {"superset": 0, "differButFactual": 0.5},
        "provider": {"id": "openai:gpt-4o-2024-08-06", "config": {}},
    }
    found = take(
        config(
            "{{query}} {{context}}",
            tests=[{"vars": {"query": "q", "context": "c"}, "assert": [given], "options": options}],
        )
    )
    ((check,),) = [case["checks"] for case in found.cases["foo"]]
    name = f"judges/foo-{kind}"
    assert check["judge"] == {"prompt": name, **argument}
    assert check.get("threshold") == threshold
    assert found.prompts[name]["model"] == "openai/gpt-4o-2024-08-06"
    assert json.loads(cli("lint", name, "--json").out)["errors"] == 0


def test_graders_and_rubrics_of_the_configuration_are_used(take: Import) -> None:
    asserts = [
        {"type": "llm-rubric", "value": "a"},
        {"type": "similar", "value": "b"},
        {"type": "contains", "value": "c"},
    ]
    graders = {"text": MODEL, "embedding": {"id": "openai:embedding:text-embedding-3-large"}}
    other = {
        "type": "llm-rubric",
        "value": "d",
        "rubricPrompt": "Grade {{ output }} by {{ rubric }}.",
        "provider": "nobody:x",
    }
    found = take(
        config(
            defaultTest={
                "assert": asserts,
                "options": {"provider": graders, "transform": "output.trim()", "prefix": "p"},
            },
            tests=[
                {
                    "vars": {"x": "1"},
                    "assert": [other],
                    "options": {"rubricPrompt": "file://r.txt"},
                },
                {
                    "vars": {"x": "2"},
                    "assert": [{"type": "llm-rubric", "value": "e"}],
                    "options": {"rubricPrompt": "{{ x | no }}"},
                },
                {
                    "vars": {"x": "3"},
                    "options": {"rubricPrompt": [{"role": "user", "content": "{{ output }} {{ rubric }}"}]},
                    "assert": [{"type": "llm-rubric", "value": "f"}],
                },
                {
                    "vars": {"x": "4"},
                    "options": {"rubricPrompt": "file://gone.txt", "postprocess": "f(output)"},
                },
            ],
        ),
        r_txt="Rate {{ output }}",
    )
    assert found.prompts["foo"]["checks"][1]["similarity"]["model"] == "openai/text-embedding-3-large"
    judges = [name for name in found.prompts if name.startswith("judges/")]
    assert len(judges) == 3
    assert found.prompts["judges/foo-llm-rubric-2"]["messages"] == [
        {"role": "user", "content": "Grade {{ output }} by {{ rubric }}."}
    ]
    assert {
        "tests[3].options.postprocess",
        "defaultTest.options.prefix",
        "tests[1].options.rubricPrompt",
        "tests[3].options.rubricPrompt",
        "tests[0].assert[0].provider",
    } <= found.lost.keys()


TOOL = {"type": "function", "function": {"name": "f"}}
ON_TOOLS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "is-valid-openai-tools-call"}, "tool_calls"),
    ({"type": "is-valid-openai-function-call", "metric": "calls"}, {"tool_calls": None, "name": "calls"}),
    ({"type": "not-is-valid-function-call"}, {"not": "tool_calls"}),
    ({"type": "tool-call-f1", "value": "f, g"}, {"tool_calls": ["f", "g"]}),
    (
        {"type": "not-tool-call-f1", "value": ["g"], "threshold": 0.5},
        {"tool_calls": ["g"], "threshold": 0.5, "not": True},
    ),
    ({"type": "equals", "value": "f", "transform": "output[0].function.name"}, {"tool_calls": ["f"]}),
    ({"type": "javascript", "value": "output.name === 'f'"}, {"tool_calls": ["f"]}),
    (
        {"type": "javascript", "value": 'JSON.parse(output[0].function.arguments).x === "A, B"'},
        {"tool_calls": {"arguments": {"f": {"x": "A, B"}}}},
    ),
    ({"type": "contains", "value": "a"}, {"contains": "a"}),
]
NOT_ON_TOOLS: list[dict[str, Any]] = [
    {"type": "is-json"},
    {"type": "tool-call-f1"},
    {"type": "tool-call-f1", "value": "{{ tools }}"},
    {"type": "contains", "value": "f", "transform": "output[0].function.name"},
    {"type": "equals", "value": 5, "transform": "output[0].function.name"},
    {"type": "equals", "value": "f", "transform": "output[1].function.name"},
    {"type": "javascript", "value": "output[0].function.name !== 'f'"},
    {"type": "javascript", "value": "output[0].function.name.length > 5"},
    {"type": "javascript", "value": "unheard(output)"},
    {"type": "not-equals", "value": "f", "transform": "output[0].function.name"},
    {"type": "not-javascript", "value": "output[0].function.name === 'f'"},
]


def test_assertions_on_tool_calls_are_the_check_on_them(take: Import) -> None:
    given = [one for one, _ in ON_TOOLS]
    providers = [{"id": MODEL, "config": {"tools": [TOOL]}}]
    found = take({"prompts": ["Hi"], "providers": providers, "tests": [{"assert": [*given, *NOT_ON_TOOLS]}]})
    assert found.cases["foo"][0]["checks"] == [check for _, check in ON_TOOLS]
    assert found.lost.keys() == {
        f"tests[0].assert[{number}]" for number in range(len(given), len(given) + len(NOT_ON_TOOLS))
    }
    assert "not the first alone" in found.changed["tests[0].assert[6]"]
    assert "fit its tool fails" in found.changed["tests[0].assert[3]"]
    assert "fit its tool passes" in found.changed["tests[0].assert[4]"]


def test_what_asks_for_tools_that_nobody_has_is_not_in_force(take: Import) -> None:
    asserts = [{"type": "is-valid-openai-tools-call"}, {"type": "tool-call-f1", "value": "f"}]
    found = take(config(tests=[{"vars": {"x": "1"}, "assert": asserts}]))
    assert "checks" not in found.cases["foo"][0]
    assert {*found.lost.values()} == {"no provider has tools that could be called"}


def test_a_conversation_is_an_input(take: Import) -> None:
    raw = (
        '[{% for turn in _conversation %}{"role": "user", "content": "{{ turn.input }}"},{% endfor %}'
        '{"role": "user", "content": "{{ x }}"}]'
    )
    turns = [{"input": "a", "output": "b"}, {"role": "user", "content": "c"}, 7]
    found = take(
        config(
            {"raw": raw, "label": "talk"},
            tests=[{"vars": {"x": "1", "_conversation": turns}}, {"vars": {"x": "2"}}],
        )
    )
    assert found.prompts["talk"]["messages"][0] == {"insert": "_conversation"}
    assert found.cases["talk"][0]["inputs"]["_conversation"] == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert "give each case" in found.steps[0]
    found = take(
        config({"raw": raw, "label": "talk"}, tests=[{"vars": {"x": "1", "_conversation": "odd"}}]), "--force"
    )
    assert found.prompts["talk"]["inputs"]["_conversation"] == "messages"


def test_keys_without_a_place_have_their_reasons(take: Import) -> None:
    found = take(
        config(
            "Hi",
            description="D",
            outputPath="o",
            env={},
            sharing=True,
            redteam={},
            **{"$schema": "s", "x-own": 1},
            tests=[{"assertScoringFunction": "f", "providerOutput": "x", "provider": "y", "vars": {}}],
        )
    )
    assert found.lost.keys() == {
        "outputPath",
        "env",
        "sharing",
        "redteam",
        "x-own",
        "tests[0].assertScoringFunction",
        "tests[0].providerOutput",
        "tests[0].provider",
    }


def test_what_hosted_evals_export_has_items(take: Import) -> None:
    found = take(
        config(
            json.dumps([{"role": "user", "content": "Answer {{ item.question }}"}]),
            tests=[
                {
                    "vars": {"item": {"question": "q", "answer": "a"}},
                    "assert": [{"type": "equals", "value": "{{ item.answer }}"}],
                }
            ],
        )
    )
    assert found.prompts["foo"]["inputs"] == {"item": "object"}
    assert found.cases["foo"][0]["checks"] == [{"equals": "{{ item.answer }}"}]


def test_files_that_are_there_are_not_overwritten(take: Import, repo: Repo, cli: Cli) -> None:
    take(config("Hi {{x}}"))
    again = cli("import", "foo/promptfooconfig.yaml")
    assert again.code == 0
    assert "unchanged prompts/foo.yaml" in again.out
    changed = repo.write("prompts/foo.yaml", "model: local/x\nmessages: [{role: user, content: mine}]\n")
    refused = cli("import", "foo/promptfooconfig.yaml")
    assert refused.code == 4
    assert "exists with other contents" in refused.err
    assert "in the way prompts/foo.yaml" in cli("import", "foo/promptfooconfig.yaml", "--dry-run").out
    assert "mine" in changed.read_text("utf-8")
    assert "overwrote prompts/foo.yaml" in cli("import", "foo/promptfooconfig.yaml", "--force").out
    changed.rename(changed.with_suffix(".yml"))
    assert cli("import", "foo/promptfooconfig.yaml").code == 4


def test_strict_says_that_something_is_not_in_force(take: Import, cli: Cli) -> None:
    assert take(config("Hi {{x}}"), "--strict").done.code == 0
    assert take(config("Hi {{x}}", outputPath="o"), "--strict", "--to", "prompts/other").done.code == 1
    shown = cli("import", "foo", "--to", "./third", "--dry-run")
    assert "would write prompts/third/foo.yaml" in shown.out
    assert "not importable" in shown.out
    assert cli("import", "foo", "--to", "../out").code == 4


def test_when_one_file_cannot_be_written_none_is(
    take: Import, repo: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(config("Hi {{x}}"))
    before = {file: file.read_bytes() for file in (repo.path / "prompts").iterdir()}
    tests = [{"vars": {"x": "1"}, "assert": [{"type": "llm-rubric", "value": "a"}]}]
    text = yaml.safe_dump(config("Ho {{x}}", {"raw": "new", "label": "second"}, tests=tests))
    repo.write("foo/promptfooconfig.yaml", text)
    repo.write("prompts/judges", "a file where a folder has to be")
    assert cli("import", "foo", "--force").code == 4
    assert {
        file: file.read_bytes() for file in (repo.path / "prompts").iterdir() if file.name != "judges"
    } == before


def test_two_sources_that_give_one_file_are_refused(repo: Repo, cli: Cli) -> None:
    for name in ("one", "two"):
        repo.write(f"{name}/promptfooconfig.x.yaml", f"prompts: ['Say {name}']\nproviders: [{MODEL}]\n")
    assert cli("import", "one/promptfooconfig.x.yaml", "two/promptfooconfig.x.yaml").code == 4
    done = cli("import", "one/promptfooconfig.x.yaml", "two")
    assert done.code == 4
    repo.write("all/a/promptfooconfig.yaml", f"prompts: ['Say']\nproviders: [{MODEL}]\n")
    repo.write("all/b/promptfooconfig.yaml", f"prompts: ['Say']\nproviders: [{MODEL}]\n")
    assert sorted(json.loads(cli("import", "all", "--json").out)["lint"]["prompts"]) == ["a/a", "b/b"]


def test_dump_writes_json_as_javascript_does(take: Import, repo: Repo, cli: Cli) -> None:
    template = (
        'A {{ x | dump }} {{- o.name | dump }} {{ {"k": [1, "é"]} | dump() }} {{ x | upper | dump }} '
        "{{ o | dump }}"
    )
    text, mapping = 'é <b> & "q"\n', {"name": "Zoë", "list": [1, None, True]}
    take(config(template, tests=[{"vars": {"x": text, "o": mapping}}]))
    done = cli("render", "foo", "--json", "-i", f"x={text}", "-i", f"o={_stringified(mapping)}")
    (message,) = json.loads(done.out)
    upper, whole = _stringified(text.upper()), _stringified(mapping)
    assert message["content"] == f'A {_stringified(text)}"Zoë" {{"k":[1,"é"]}} {upper} {whole}'
    repo.commit("Import")
    written = cli("export", "foo", "--format", "promptfoo").out
    assert yaml.safe_load(written)["prompts"][0]["raw"].count("| dump") >= 4


def _stringified(value: Any) -> str:
    """As ``JSON.stringify`` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

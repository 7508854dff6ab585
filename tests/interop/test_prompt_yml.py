"""`.prompt.yml` files of GitHub Models: all of the shared ones, and what they have not."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptops.config.settings import current_settings
from promptops.errors import Invalid, NotFound
from promptops.interop.model import Finding, ImportedSource
from promptops.interop.prompt_yml.importer import read_prompt_yml
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget
from promptops.interop.writing import plan_import
from promptops.lint.context import LintProject
from promptops.prompt import FileReader, load_prompt
from promptops.prompt.render import render_prompt
from tests.support.front_door import Cli, Repo

TODAY = date(2026, 11, 29)
SAMPLE = """\
name: Support triage
description: Sort a mail into a queue
model: openai/gpt-4o-mini-2024-07-18
modelParameters:
  temperature: 0.2
  maxTokens: 50
  logitBias: {"1": 2}
messages:
  - role: system
    content: |
      Queues: {{queue.list}} {% no tag %}
  - role: User
    content: '{{ticket}} {{ spaced }}'
testData:
  - {ticket: I paid twice, queue.list: [a, b], expected: billing, word: bill, spare: 1}
  - {ticket: 7.0}
evaluators:
  - name: word
    string: {contains: "{{word}}", endsWith: z}
  - name: word
    string: {startsWith: "Bill {"}
  - string: {endsWith: "{{expected}}"}
  - string: {equals: billing}
  - name: tone
    llm:
      modelId: mystery/model
      systemPrompt: Judge {{nobody}}.
      prompt: "{{ticket}} {{completion}} {{expected}}"
      choices: [{choice: bad, score: 0}, {choice: fine, score: 0.5}, {choice: 1, score: 1}]
  - uses: github/fluency
  - name: similar
    uses: github/similarity
  - {name: empty, string: {contains: ""}}
  - {name: none, llm: {prompt: x, choices: []}}
  - {name: unknown, uses: acme/nothing}
  - nothing
owner: ada
"""


def read(path: Path, target: ImportTarget | None = None) -> ImportedSource:
    project = LintProject(current_settings(), TODAY)
    return read_prompt_yml(SourceFile(path), target or ImportTarget(), project)


def leaves(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, f"{path}[{index}]")]
    return [path.removeprefix(".")]


def reader(files: dict[str, bytes]) -> FileReader:
    def read_planned(path: str) -> bytes:
        if path not in files:
            raise NotFound(f"no {path}")
        return files[path]

    return read_planned


def is_told(leaf: str, findings: list[str]) -> bool:
    return any(leaf == key or leaf.startswith((f"{key}.", f"{key}[")) for key in findings)


def as_github_writes(text: str, row: dict[str, Any]) -> str:
    for key, value in row.items():
        text = text.replace(f"{{{{{key}}}}}", value if isinstance(value, str) else f"{value:g}")
    return text


def test_every_real_file_is_imported_with_no_key_lost_in_silence(repo: Repo, shared: Path) -> None:
    settings = current_settings()
    files = sorted((shared / "data" / "prompt-yml").rglob("*.yml"))
    imports = [read(file, ImportTarget(f"n{number}")) for number, file in enumerate(files)]
    plan = plan_import(imports, settings, TODAY)
    texts = {planned.path: planned.data for planned in plan.files}
    assert len(files) == 48
    assert {one.rule for one in plan.lint.findings if one.severity == "error"} == {"floating-model"}
    rendered = 0
    for file, done in zip(files, imports, strict=True):
        source = yaml.safe_load(file.read_text("utf-8"))
        told = [finding.key for finding in done.findings]
        assert [leaf for leaf in leaves(source) if not is_told(leaf, told)] == []
        assert [one.key for one in done.findings if one.verdict == "lost"] in ([], ["temperature"])
        prompt = load_prompt(done.prompts[-1].name, reader(texts))
        rows = source.get("testData") or []
        assert len(done.prompts[-1].cases) == len(rows)
        for row, case in zip(rows, done.prompts[-1].cases, strict=True):
            sent = render_prompt(prompt, case["inputs"]).messages
            assert [one["content"] for one in sent] == [
                as_github_writes(one["content"], row) for one in source["messages"]
            ]
            rendered += len(sent)
    assert rendered > 200


def test_what_each_key_becomes(repo: Repo, cli: Cli) -> None:
    repo.write("triage.prompt.yml", SAMPLE)
    done = cli("import", "triage.prompt.yml", "--json")
    told = json.loads(done.out)["sources"][0]
    results = {one["key"]: (one["result"], one["note"]) for one in told["findings"]}
    prompt = yaml.safe_load((repo.path / "prompts/triage.yaml").read_text())
    cases = [json.loads(line) for line in (repo.path / "prompts/triage.cases.jsonl").read_text().splitlines()]
    assert prompt["parameters"] == {"temperature": 0.2, "max_tokens": 50}
    assert prompt["messages"] == [
        {"role": "system", "content": "Queues: {{ queue_list }} {{ '{' }}% no tag %}\n\n"},
        {"role": "user", "content": "{{ ticket }} {{ '{' }}{ spaced }}"},
    ]
    assert prompt["inputs"] == {
        "queue_list": "string",
        "ticket": "string",
        "word": {"type": "string", "default": ""},
    }
    assert prompt["checks"] == [
        {"icontains": "{{ word }}", "name": "word"},
        {"regex": r"(?i)\A\s*Bill \{", "name": "word-2"},
        {"ends_with": "{{ expected }}", "name": "check"},
        {"equals": "billing", "name": "check-2"},
        {"judge": {"prompt": "judges/triage-tone", "pass": ["fine", "1"]}, "name": "tone"},
        {"judge": {"prompt": "judges/fluency"}, "threshold": 2, "name": "fluency"},
        {
            "judge": {
                "prompt": "judges/similarity",
                "inputs": {"input": "queue.list: {{ queue_list }}\nticket: {{ ticket }}"},
            },
            "threshold": 2,
            "name": "similar",
        },
    ]
    assert cases[0]["inputs"] == {"queue_list": '["a", "b"]', "ticket": "I paid twice", "word": "bill"}
    assert cases[0]["expected"] == "billing"
    assert cases[1] == {"inputs": {"ticket": "7", "queue_list": "{{queue.list}}"}}
    assert prompt["metadata"]["imported"] == {
        "from": "prompt-yml",
        "name": "Support triage",
        "modelParameters.logitBias": {"1": 2},
        "testData": {"0": {"spare": 1}},
        "owner": "ada",
        "evaluators": {
            "7": {"name": "empty", "string": {"contains": ""}},
            "8": {"name": "none", "llm": {"prompt": "x", "choices": []}},
            "9": {"name": "unknown", "uses": "acme/nothing"},
            "10": "nothing",
        },
    }
    lost = sorted(key for key, (result, _) in results.items() if result == "lost")
    assert lost == [
        "evaluators[0].string.endsWith",
        "evaluators[10]",
        "evaluators[7].string",
        "evaluators[8].llm",
        "evaluators[9].uses",
        "modelParameters.logitBias",
        "owner",
        "testData[0].spare",
    ]
    assert "retired on 2026-07-30; it is asked at openai now" in results["model"][1]
    assert "no provider of `mystery/model`" in results["evaluators[4].llm.modelId"][1]
    assert any("`queue.list` is the input `queue_list`" in step for step in told["next"])
    judge = yaml.safe_load((repo.path / "prompts/judges/triage-tone.yaml").read_text())
    assert judge["metadata"]["imported"]["scores"] == {"bad": 0, "fine": 0.5, "1": 1}
    assert judge["inputs"] == {"expected": "string", "output": "string", "ticket": "string"}
    assert judge["messages"][0]["content"] == "Judge {{ '{' }}{nobody}}."
    assert judge["messages"][1]["content"].startswith("{{ ticket }} {{ output }} {{ expected }}\n\nAnswer as")
    assert judge["output"]["schema"]["properties"]["choice"]["enum"] == ["bad", "fine", "1"]
    assert cli("cases", "validate", "triage").code == 0


def test_the_model_that_a_person_names_answers_and_judges(repo: Repo, cli: Cli) -> None:
    repo.write("triage.prompt.yml", SAMPLE)
    pinned = "openai/gpt-5.4-mini-2026-03-17"
    assert cli("import", "prompt-yml", "triage.prompt.yml", "--model", pinned, "--to", "old").code == 0
    for name in ("triage", "judges/triage-tone", "judges/fluency"):
        assert yaml.safe_load((repo.path / f"prompts/old/{name}.yaml").read_text())["model"] == pinned


def test_without_messages_a_template_is_the_users_message(repo: Repo) -> None:
    file = repo.write("notes.prompt.yml", "template: |\n  Notes for {{name}}\nmodel: gpt-9\n")
    done = read(file)
    assert done.prompts[0].content["messages"] == [{"role": "user", "content": "Notes for {{ name }}\n\n"}]
    assert done.prompts[0].content["model"] == "openai/gpt-9"


NAMED_SCHEMA = """\
responseFormat: json_schema
jsonSchema: '{"name": "a b", "strict": true, "x": 1, "schema": {}}'
"""
FORMS: list[tuple[str, dict[str, Any], Any, list[str]]] = [
    ("responseFormat: text", {}, None, []),
    ("responseFormat: json", {"response_format": {"type": "json_object"}}, None, []),
    ("responseFormat: xml", {}, None, ["responseFormat"]),
    ("jsonSchema: '{}'", {}, None, ["jsonSchema"]),
    (NAMED_SCHEMA, {}, {"title": "a b"}, []),
    ("responseFormat: json_schema\njsonSchema: {type: object}", {}, {"type": "object"}, []),
    (
        "model: openai/gpt-5\nmodelParameters: {max_tokens: 9, max_completion_tokens: 8, topP: 1}",
        {"max_completion_tokens": 9, "top_p": 1},
        None,
        ["modelParameters.max_completion_tokens"],
    ),
    (
        "modelParameters: {response_format: {type: json_object}}",
        {"response_format": {"type": "json_object"}},
        None,
        [],
    ),
]


@pytest.mark.parametrize(("written", "parameters", "schema", "lost"), FORMS)
def test_forms_and_parameters(
    repo: Repo, written: str, parameters: dict[str, Any], schema: Any, lost: list[str]
) -> None:
    file = repo.write("a.prompt.yml", f"{written}\nmessages: [{{role: user, content: hi}}]\n")
    done = read(file)
    content = done.prompts[0].content
    assert content["parameters"] == parameters
    assert content.get("output", {}).get("schema") == schema
    assert [one.key for one in done.findings if one.verdict == "lost"] == lost


def test_a_reasoning_model_is_given_its_own_limit(repo: Repo) -> None:
    file = repo.write(
        "a.prompt.yml",
        "model: openai/gpt-5\nmodelParameters: {maxTokens: 9}\nmessages: [{role: user, content: hi}]",
    )
    done = read(file)
    assert done.prompts[0].content["parameters"] == {"max_completion_tokens": 9}
    found = [one for one in done.findings if one.key == "modelParameters.maxTokens"]
    assert found == [
        Finding(
            "modelParameters.maxTokens",
            "changed",
            "max_completion_tokens, as reasoning models call it",
            "a.prompt.yml",
            2,
        )
    ]


HI = "messages: [{role: user, content: hi}]"
BOMB = "\n".join(
    f"{name}: &{name} [{', '.join([before] * 9)}]"
    for name, before in zip("abcdefg", ["x", "*a", "*b", "*c", "*d", "*e", "*f"], strict=True)
)
REFUSED = [
    ("- a list", "a prompt file is a mapping"),
    ("name: x", "there are no `messages`"),
    ("messages: []", "`messages` is a list"),
    ("messages: [{role: tool, content: x}]", "a message has a role and a content"),
    ("messages: [{role: user, content: [x]}]", "a content is a text"),
    ("messages: !!python/object:os.system [x]", "the tag `!!python/object:os.system` is not read"),
    (f"{HI}\nresponseFormat: json_schema\njsonSchema: '['", "not JSON"),
    (f"{HI}\nresponseFormat: json_schema\njsonSchema: 7", "not a JSON object"),
    ("messages: " + "[" * 200 + "]" * 200, "nested deeper"),
    (f"{BOMB}\nmessages: *g", "expand to too much data"),
    (
        f"testData: [{'{}, ' * 1_000}]\nmessages: [{{role: user, content: '"
        + "".join(f"{{{{a{number}}}}}" for number in range(200))
        + "'}]",
        "lacks more than 100,000 values",
    ),
    ("x: " + "y" * 1_000_001, "at most"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(repo: Repo, text: str, problem: str) -> None:
    file = repo.write("bad.prompt.yml", text)
    with pytest.raises(Invalid, match=r"bad\.prompt\.yml|jsonSchema|testData") as refused:
        read(file)
    assert problem in refused.value.message


def test_a_link_to_a_file_outside_is_not_read(repo: Repo, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "secret.prompt.yml").write_text("messages: [{role: user, content: secret}]")
    (repo.path / "in.prompt.yml").symlink_to(tmp_path / "secret.prompt.yml")
    done = cli("import", "in.prompt.yml")
    assert done.code == 4
    assert "is outside" in done.out
    assert not (repo.path / "prompts").exists()

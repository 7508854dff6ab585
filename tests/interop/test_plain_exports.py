"""What is imported, exported and imported again is the same version; what a format cannot hold is said."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptops.config.settings import Settings, current_settings
from promptops.errors import NotFound
from promptops.interop.exporters import EXPORTERS, ExportSubject
from promptops.interop.model import ExportedFiles, ImportedSource
from promptops.interop.sources import SOURCES
from promptops.interop.target import ImportTarget
from promptops.interop.writing import cases_text, prompt_text
from promptops.lint.context import LintProject
from promptops.prompt import FileReader, Prompt, load_prompt
from tests.support.front_door import Cli, Repo

TODAY = date(2026, 11, 29)
FORMATS = {"prompt-yml": "prompt-yml", "llm": "llm", "openai-chat": "openai"}
ENDINGS = {"prompt-yml": ".prompt.yml", "llm": ".yaml", "openai-chat": ".json"}


def reader(done: ImportedSource) -> FileReader:
    files = {f"{draft.name}.yaml": prompt_text(draft, done.source) for draft in done.prompts}
    files |= {f"{draft.name}.cases.jsonl": cases_text(draft.cases) for draft in done.prompts if draft.cases}
    files |= done.files

    def read(path: str) -> bytes:
        if path not in files:
            raise NotFound(f"no {path}")
        return files[path].encode()

    return read


def imported(source: str, path: Path, project: LintProject) -> tuple[Prompt, FileReader]:
    done = SOURCES[source].read(path, ImportTarget(), project)
    read = reader(done)
    return load_prompt(done.prompts[-1].name, read), read


def exported(form: str, prompt: Prompt, read: FileReader, settings: Settings) -> ExportedFiles:
    return EXPORTERS[form].write([ExportSubject(prompt, read)], settings)


def again(form: str, path: Path, project: LintProject) -> tuple[Prompt, Prompt, ExportedFiles, str]:
    """A source file imported, exported in its format, and imported again."""
    first, read = imported(FORMATS[form], path, project)
    done = exported(form, first, read, project.settings)
    ((_, text),) = done.files.items()
    other = path.with_name(f"{first.name.rpartition('/')[2]}{ENDINGS[form]}")
    other.write_text(text, encoding="utf-8")
    second, _ = imported(FORMATS[form], other, project)
    return first, second, done, text


TEXT = st.lists(
    st.one_of(
        st.sampled_from(["{{x}}", "{{y_1}}", "$x", "${y_1}z", "$$", "{", "}", "{%", "{# a", "\n", " a", "é"]),
        st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn")), max_size=5),
    ),
    min_size=1,
    max_size=6,
).map("".join)
SCHEMA = st.sampled_from(
    [
        None,
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": ["a"],
            "additionalProperties": False,
        },
        {"title": "answer", "type": "object"},
        {"type": "object", "title": "answer"},
        {"title": "output", "type": "string"},
    ]
)
NUMBERS = {"temperature": st.sampled_from([0, 0.5]), "top_p": st.just(0.9), "max_tokens": st.integers(1, 99)}
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written_prompt_yml(texts: list[str], numbers: dict[str, Any], schema: Any) -> str:
    names = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxTokens"}
    data: dict[str, Any] = {
        "model": "openai/gpt-4o-mini-2024-07-18",
        "modelParameters": {names[name]: value for name, value in numbers.items()},
        "messages": [
            {"role": role, "content": text}
            for role, text in zip(("system", "user", "assistant", "user"), texts, strict=False)
        ],
    }
    if schema is not None:
        wrapped = {"name": "thing", "schema": schema}
        data |= {"responseFormat": "json_schema", "jsonSchema": json.dumps(wrapped)}
    return yaml.safe_dump(data, allow_unicode=True)


def written_llm(texts: list[str], numbers: dict[str, Any], schema: Any) -> str:
    data: dict[str, Any] = {"model": "gpt-4o-mini-2024-07-18", "prompt": texts[0], "options": numbers}
    if len(texts) > 1:
        data["system"] = texts[1]
    if schema is not None:
        data["schema_object"] = schema
    return yaml.safe_dump(data, allow_unicode=True)


def written_chat(texts: list[str], numbers: dict[str, Any], schema: Any) -> str:
    roles = ("developer", "user", "assistant", "user")
    data: dict[str, Any] = {
        "model": "gpt-4o-mini-2024-07-18",
        "messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)],
        **numbers,
    }
    if schema is not None:
        data["response_format"] = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    return json.dumps(data)


WRITERS = {"prompt-yml": written_prompt_yml, "llm": written_llm, "openai-chat": written_chat}


@pytest.mark.parametrize("form", FORMATS)
@FEW
@given(st.lists(TEXT, min_size=1, max_size=4), st.fixed_dictionaries({}, optional=NUMBERS), SCHEMA)
def test_a_second_import_is_the_same_version(
    repo: Repo, form: str, texts: list[str], numbers: dict[str, Any], schema: Any
) -> None:
    source = repo.write(f"first{ENDINGS[form]}", WRITERS[form](texts, numbers, schema))
    first, second, done, text = again(form, source, LintProject(current_settings(), TODAY))
    assert (second.canonical(), text) == (first.canonical(), text)
    assert second.digest == first.digest
    changed = [one for one in done.findings if one.verdict != "kept"]
    assert [one.note for one in changed if "strips" not in one.note and "metadata" not in one.key] == []


def test_the_real_files_come_back_as_they_were(repo: Repo, shared: Path) -> None:
    project = LintProject(current_settings(), TODAY)
    for number, file in enumerate(sorted((shared / "data" / "prompt-yml").rglob("*.yml"))):
        source = repo.write(f"{number}/source.prompt.yml", file.read_text("utf-8"))
        first, second, done, text = again("prompt-yml", source, project)
        assert second.digest == first.digest
        assert {one.key for one in done.findings if one.verdict == "lost"} <= {"metadata"} | {
            f"inputs.{name}" for name in ("string",)
        }
        old, new = yaml.safe_load(file.read_text("utf-8")), yaml.safe_load(text)
        assert new.get("testData", []) == [*(old.get("testData") or [])]
        assert len(new.get("evaluators", [])) == len(old.get("evaluators") or [])


RICH = """\
description: Answer mails
model: anthropic/claude-sonnet-4-5-20250929
parameters: {temperature: 0, top_k: 5, response_format: {type: json_object}}
inputs:
  mail: {type: string, maxLength: 9}
  tone: {type: string, default: kind}
  count: integer
  history: messages
  photo: image
messages:
  - role: developer
    content: '{% include "partials/tone.md" %} {{ tone }}'
    cache_control: {type: ephemeral}
  - insert: history
  - role: user
    content: "{% if mail %}{{ mail }}{% endif %}"
    name: ada
  - role: user
    content: [{text: "{{ count }}"}, {image: photo}, {image_file: dot.png}]
  - role: assistant
    tool_calls: [{id: c, type: function, function: {name: f, arguments: "{}"}}]
  - role: tool
    tool_call_id: c
    content: done
tools: [{type: function, function: {name: f}}]
fallback: [openai/gpt-4.1-2025-04-14]
output: {schema: {title: answer, type: object}, repair: 1}
checks:
  - equals: "{{ expected }}"
  - contains: billing
  - starts_with: "Dear {{ tone }}"
  - regex: '(?i)a\\s*\\Z'
  - regex: '(?i)end\\.\\s*\\Z'
  - max_words: 5
  - not: {contains: no}
  - contains: "{{ mail | upper }}"
  - judge: {prompt: judges/fluency}
    threshold: 3
  - judge: {prompt: judges/verdict, pass: good}
  - judge: {prompt: judges/pairs, pass: [a]}
  - judge: judges/none
cases: rich.cases.jsonl
metadata: {owner: ada}
max_input_tokens: 99
"""
VERDICT = """\
model: openai/gpt-4.1-2025-04-14
inputs: {output: string}
messages: [{role: user, content: "Good? {{ output }}"}]
output: {schema: {type: object, properties: {choice: {enum: [good, bad]}}, required: [choice]}}
"""
DOT = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")


@pytest.fixture
def rich(repo: Repo) -> Repo:
    repo.write("prompts/rich.yaml", RICH)
    repo.write("prompts/partials/tone.md", "Be {{ tone }}.\n")
    (repo.path / "prompts/dot.png").write_bytes(DOT)
    repo.write("prompts/judges/verdict.yaml", VERDICT)
    repo.write("prompts/judges/pairs.yaml", VERDICT.replace("good, bad", "a, b").replace("- {", "- {"))
    repo.write(
        "prompts/judges/fluency.yaml",
        VERDICT.replace(
            "model:", "description: Judges fluency from 1 to 5, in place of `github/fluency`.\nmodel:"
        ),
    )
    repo.write(
        "prompts/rich.cases.jsonl",
        '{"inputs": {"mail": "m", "count": 3}, "expected": {"a": 1}, "tags": ["t"], "checks": ["json"]}\n',
    )
    return repo


def told(finished: Any) -> dict[str, tuple[str, str]]:
    return {one["key"]: (one["result"], one["note"]) for one in json.loads(finished.out)["findings"]}


def test_prompt_yml_says_what_it_cannot_hold(rich: Repo, cli: Cli) -> None:
    done = cli("export", "rich", "--format", "prompt-yml", "--out", "rich.prompt.yml", "--json")
    written = yaml.safe_load((rich.path / "rich.prompt.yml").read_text())
    assert done.code == 0
    assert written["messages"] == [
        {"role": "system", "content": "Be {{tone}}. {{tone}}"},
        {"role": "user", "content": "{% if mail %}{{ mail }}{% endif %}"},
        {"role": "user", "content": "{{count}}"},
    ]
    assert written["modelParameters"] == {"temperature": 0}
    assert written["responseFormat"] == "json_schema"
    assert json.loads(written["jsonSchema"]) == {
        "name": "answer",
        "schema": {"type": "object"},
        "strict": False,
    }
    assert written["testData"] == [{"mail": "m", "count": "3", "expected": {"a": 1}}]
    assert written["evaluators"] == [
        {"name": "equals", "string": {"equals": "{{expected}}"}},
        {"name": "contains", "string": {"contains": "billing"}},
        {"name": "starts_with", "string": {"startsWith": "Dear {{tone}}"}},
        {"name": "regex", "string": {"endsWith": "a"}},
        {"name": "regex_2", "string": {"endsWith": "end."}},
        {"name": "judge", "uses": "github/fluency"},
        {
            "name": "judge_2",
            "llm": {
                "modelId": "openai/gpt-4.1-2025-04-14",
                "prompt": "Good? {{completion}}",
                "choices": [{"choice": "good", "score": 1}, {"choice": "bad", "score": 0}],
            },
        },
        {
            "name": "judge_3",
            "llm": {
                "modelId": "openai/gpt-4.1-2025-04-14",
                "prompt": "Good? {{completion}}",
                "choices": [{"choice": "a", "score": 1}, {"choice": "b", "score": 0}],
            },
        },
    ]
    keys = told(done)
    assert {key for key, (verdict, _) in keys.items() if verdict == "lost"} == {
        "parameters.top_k",
        "messages[0].cache_control",
        "messages[1]",
        "messages[2]",
        "messages[2].name",
        "messages[3].content",
        "messages[4]",
        "messages[5]",
        "inputs.mail",
        "inputs.tone",
        "inputs.count",
        "inputs.history",
        "inputs.photo",
        "cases." + next(key for key in keys if key.endswith(".tags")).split(".")[1] + ".tags",
        "cases." + next(key for key in keys if key.endswith(".checks")).split(".")[1] + ".checks",
        "checks[5]",
        "checks[6]",
        "checks[7]",
        "checks[11]",
        "tools",
        "fallback",
        "max_input_tokens",
        "output.repair",
        "metadata",
    }
    assert keys["messages[0]"] == ("changed", "its partials are written out")
    assert keys["messages[0].role"] == ("changed", "system: there is no role developer")
    assert keys["checks[8]"] == ("changed", "2 of 5 passes there")
    assert keys["inputs.mail"] == ("lost", "a placeholder is a text, with no maxLength")


def test_openai_chat_says_what_it_cannot_hold(rich: Repo, cli: Cli) -> None:
    done = cli("export", "rich", "--format", "openai-chat", "--strict")
    body = json.loads(done.out)
    assert done.code == 1
    assert "put the messages of `history` there" in done.err
    assert "no model of OpenAI" in done.err
    assert "put a value into each {{mail}} of rich" in done.err
    assert body["model"] == "anthropic/claude-sonnet-4-5-20250929"
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert body["messages"][0] == {"role": "developer", "content": "Be {{tone}}. {{tone}}"}
    assert body["messages"][1]["name"] == "ada"
    kinds = [(part["type"], str(part["image_url"]["url"])[:9] if "image_url" in part else part["text"])
             for part in body["messages"][2]["content"]]  # fmt: skip
    assert kinds == [("text", "{{count}}"), ("image_url", "{{photo}}"), ("image_url", "data:imag")]
    assert body["messages"][3]["content"] is None
    assert body["messages"][4] == {"role": "tool", "content": "done", "tool_call_id": "c"}


def test_a_placeholder_in_place_of_an_image_is_an_input(repo: Repo) -> None:
    body = {
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "{{photo}}"}}]}],
    }
    source = repo.write("a.json", json.dumps(body))
    first, second, _, _ = again("openai-chat", source, LintProject(current_settings(), TODAY))
    assert first.inputs["photo"].kind == "image"
    assert second.digest == first.digest


def test_llm_takes_one_system_text_and_one_of_the_user(rich: Repo, cli: Cli) -> None:
    done = cli("export", "rich", "--format", "llm")
    assert done.code == 4
    assert "a template of llm is one system text and one user's text" in done.err
    rich.write(
        "prompts/small.yaml",
        "model: openai/gpt-5-2025-08-07\nparameters: {max_completion_tokens: 9, stop: [a], response_format: "
        "{type: json_object}}\ninputs: {input: {type: string, default: x}, n: {type: integer, default: 2}}\n"
        'messages:\n  - {role: developer, content: " {{ n }} for $5"}\n'
        '  - {role: user, content: "{{ input }}"}\n'
        "tools: [{type: function, function: {name: f}}]\ncases: gone.jsonl\nchecks: [json]\n",
    )
    done = cli("export", "small", "--format", "llm", "--json", "--out", "small.yaml")
    assert yaml.safe_load((rich.path / "small.yaml").read_text()) == {
        "model": "gpt-5-2025-08-07",
        "system": " $n for $$5",
        "options": {"max_tokens": 9, "json_object": True},
        "defaults": {"n": "2"},
    }
    keys = told(done)
    assert keys["messages[0]"] == ("changed", "llm strips blanks and line ends around it")
    assert {key for key, (verdict, _) in keys.items() if verdict == "lost"} == {
        "parameters.stop",
        "inputs.n",
        "tools",
        "cases",
        "checks",
    }


def test_what_llm_alone_knows_comes_back(repo: Repo) -> None:
    written = {
        "model": "gpt-4.1-2025-04-14",
        "prompt": "Shout $input",
        "extract_last": True,
        "functions": "def upper(s: str) -> str:\n    return s.upper()\n",
        "tools": ["llm_time"],
    }
    source = repo.write("shout.yaml", yaml.safe_dump(written))
    first, second, _, text = again("llm", source, LintProject(current_settings(), TODAY))
    assert yaml.safe_load(text) == written
    assert first.digest == second.digest


def test_a_golden_set_that_cannot_be_read_is_said(repo: Repo, cli: Cli) -> None:
    repo.write(
        "prompts/a.yaml",
        "model: openai/gpt-4.1-2025-04-14\nmessages: [{role: user, content: hi}]\ncases: a.jsonl\n",
    )
    repo.write("prompts/a.jsonl", "not json\n")
    done = cli("export", "a", "--format", "prompt-yml", "--json")
    assert told(done)["cases"][0] == "lost"


def test_judges_of_an_import_go_back(repo: Repo) -> None:
    choices = [{"choice": "poor", "score": 0}, {"choice": "good", "score": 0.75}]
    judge = {"modelId": "openai/o3-2025-04-16", "prompt": "{{completion}}", "choices": choices}
    data = {
        "model": "openai/gpt-4.1-2025-04-14",
        "messages": [{"role": "user", "content": "{{input}}"}],
        "evaluators": [
            {"name": "starts", "string": {"startsWith": "A.b"}},
            {"name": "rules", "llm": judge},
            {"name": "fluent", "uses": "github/fluency"},
        ],
    }
    source = repo.write("a.prompt.yml", yaml.safe_dump(data))
    _, _, _, text = again("prompt-yml", source, LintProject(current_settings(), TODAY))
    new = yaml.safe_load(text)["evaluators"]
    assert new[0] == data["evaluators"][0]
    assert new[2] == data["evaluators"][2]
    assert new[1]["llm"]["choices"] == choices
    assert new[1]["llm"]["prompt"].startswith("{{completion}}")

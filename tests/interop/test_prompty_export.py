"""Prompts as Prompty files: what comes back is the same version, and what Prompty has no word for is said."""

import string
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.config.settings import Settings, current_settings
from promptops.errors import Invalid
from promptops.interop.exporters import ExportSubject
from promptops.interop.prompty.exporter import write_prompty
from support.front_door import Cli, Repo
from support.imported_prompts import imported
from support.prompt_files import load_text

FULL = """\
description: Everything.
model: openrouter/some/model
parameters: {max_tokens: 5, top_p: 0.5, logprobs: true}
fallback: [openai/gpt-4o-2024-08-06]
inputs:
  a: {type: string, maxLength: 10, description: A}
  b: {type: [integer, "null"], default: 3}
  c: {type: array, items: {type: object, properties: {x: {type: number}}, required: [x]}}
  d: {enum: [p, q], default: p}
  e: {type: [string, integer], default: x}
  f: {type: object, additionalProperties: {type: string}}
  photo: image
  talk: messages
  later: {type: messages, default: []}
messages:
  - role: system
    name: Bo
    content: "{{ a }} {% include \\"partials/tone.md\\" %} end"
  - insert: talk
  - role: user
    content: [{text: "Look: {{ b }}{{ c }}{{ d }}{{ e }}{{ f }}"}, {image: photo}]
  - {role: assistant, content: "\\n blank \\n"}
  - insert: later
tools:
  - type: function
    function: {name: find, description: Finds, parameters: {type: object, properties: {q: {type: string}}}}
  - {type: web_search}
output: {schema: {type: object, properties: {y: {type: string, pattern: "^a"}}}, repair: 1}
max_input_tokens: 900
checks: [{max_chars: 9}]
cases: full.cases.jsonl
metadata: {owner: ada}
"""


def test_what_prompty_has_no_word_for_comes_back(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/full.yaml", FULL)
    repo.write("prompts/partials/tone.md", "Be {# so #}kind.\n")
    done = cli("export", "full", "--format", "prompty", "--out", "full.prompty")
    assert done.code == 0
    for words in (
        "maxLength",
        "fallback",
        "the partial is written",
        "cases are files",
        "blank lines",
        "inputs.e",
    ):
        assert words in done.err
    assert cli("import", "full.prompty", "--to", "back").code == 0
    there, back = imported("full"), imported("back/full")
    assert {key for key in there.canonical() if there.canonical()[key] != back.canonical().get(key)} == {
        "messages",
        "partials",
    }
    assert back.max_input_tokens == 900
    assert back.messages[0] == there.messages[0] or back.messages[0].extras == {"name": "Bo"}  # type: ignore[union-attr]


def test_a_whole_prompt_comes_back_as_the_same_version(repo: Repo, cli: Cli) -> None:
    text = FULL.replace('{% include \\"partials/tone.md\\" %} ', "").replace('"\\n blank \\n"', "blank")
    repo.write("prompts/full.yaml", text)
    assert cli("export", "full", "--format", "prompty", "--out", "full.prompty").code == 0
    assert cli("import", "full.prompty", "--to", "back").code == 0
    assert imported("back/full").digest == imported("full").digest


def test_a_file_that_was_changed_since_wins(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/full.yaml", FULL.replace('{% include \\"partials/tone.md\\" %} ', ""))
    cli("export", "full", "--format", "prompty", "--out", "full.prompty")
    text = (repo.path / "full.prompty").read_text("utf-8")
    text = "name: seek\n".join(text.rsplit("name: find\n", 1)).replace(
        "outputs: [{name: y", "outputs: [{name: z"
    )
    text = text.replace("description: A,", "description: B,").replace("description: A\n", "description: B\n")
    repo.write("full.prompty", text)
    done = cli("import", "full.prompty", "--to", "back")
    back = imported("back/full")
    assert "was changed since the export" in done.out
    assert back.inputs["a"].schema["maxLength"] == 10
    assert back.inputs["a"].schema["description"] == "B"
    assert back.output_schema is not None
    assert [tool["function"]["name"] for tool in back.tools] == ["seek"]
    assert list(back.output_schema["properties"]) == ["z"]


def exported(messages: list[dict[str, Any]], **more: Any) -> tuple[str, Any]:
    data = {"model": "openai/gpt-4o-2024-08-06", "messages": messages, **more}
    prompt = load_text(yaml.safe_dump(data).encode())
    done = write_prompty([ExportSubject(prompt, lambda _: b"")], _settings())
    return next(iter(done.files.values())), done.findings


def _settings() -> Settings:
    return current_settings()


@pytest.mark.parametrize(
    ("messages", "more", "words"),
    [
        ([{"role": "user", "content": "a\nuser:\nb"}], {}, "reads as the beginning of another"),
        ([{"role": "user", "content": "a\nuser: \n{% if 1 %}x{% endif %}"}], {}, "reads as the beginning"),
        ([{"role": "user", "content": "{% if 1 %}\nuser:\n{% endif %}"}], {}, "a role inside a block"),
        ([{"role": "tool", "content": "x", "tool_call_id": "1"}], {}, "the role tool"),
        ([{"insert": "h"}, {"insert": "h"}], {"inputs": {"h": "messages"}}, "is where a text is expected"),
    ],
)
def test_what_cannot_be_a_prompty_file_is_refused(
    repo: Repo, messages: list[dict[str, Any]], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        exported(messages, **more)


def test_calls_of_tools_and_parts_are_named(repo: Repo) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    text, findings = exported(
        [
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": "x", "tool_calls": [call]},
        ]
    )
    notes = {finding.key: finding.note for finding in findings}
    assert "tool_calls" in notes["messages[1]"]
    assert "blank lines or parts differently" in notes["messages"]
    assert text.endswith("user:\na\n\nb\n\nassistant:\nx\n")


WORDS = st.text(st.sampled_from(string.ascii_letters + " .,é\n"), min_size=1, max_size=12)
TEXTS = st.lists(
    WORDS
    | st.sampled_from(
        ["{{ a }}", "{{b}}", "{% if a %}x{% endif %}", "{{ a | trim }}", "{% raw %}{{{% endraw %}"]
    ),
    min_size=1,
    max_size=5,
).map("".join)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "developer"]), "content": TEXTS}
    ),
    min_size=1,
    max_size=4,
)
SCHEMAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "array", "object", "boolean"])},
    optional={"description": WORDS, "minLength": st.integers(0, 3), "title": WORDS},
)


@given(messages=MESSAGES, schema=SCHEMAS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_texts_come_back_or_the_report_says_so(
    messages: list[dict[str, Any]], schema: dict[str, Any]
) -> None:
    from datetime import date
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from promptops.interop.prompty.importer import read_prompty
    from promptops.interop.reader import SourceFile
    from promptops.interop.target import ImportTarget
    from promptops.interop.writing import prompt_text
    from promptops.lint.context import LintProject

    inputs = {"a": schema, "b": "string"}
    data = {"model": "openai/gpt-4o-2024-08-06", "inputs": inputs, "messages": messages}
    prompt = load_text(yaml.safe_dump(data).encode())
    try:
        done = write_prompty([ExportSubject(prompt, lambda _: b"")], _settings())
    except Invalid:
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / "p.prompty"
        file.write_text(done.files[f"{prompt.name}.prompty"], "utf-8")
        read = read_prompty(SourceFile(file), ImportTarget(), LintProject(_settings(), date(2026, 11, 29)))
    back = load_text(prompt_text(read.prompts[0], "prompty").encode())
    said = any(finding.key == "messages" for finding in done.findings)
    assert (back.digest == prompt.digest) != said

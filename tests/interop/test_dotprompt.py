"""`.prompt` files become prompt files: front matter, Picoschema, partials, roles; and hostile ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from promptops.errors import Invalid
from promptops.interop.dotprompt.picoschema import json_schema
from support.front_door import Cli, Repo
from support.imported_prompts import imported, rendered
from support.prompt_samples import DOTPROMPT


def finding(report: Any, key: str) -> tuple[str, str]:
    found = [each for source in report["sources"] for each in source["findings"] if each["key"] == key]
    return found[0]["result"], found[0]["note"]


@pytest.fixture
def greeting_report(repo: Repo, cli: Cli) -> Any:
    repo.write("src/greet.prompt", DOTPROMPT)
    repo.write("src/_tone.prompt", "Be kind, {{name}}.\n")
    repo.write("src/_ask.prompt", "Ask {{what}}.")
    done = cli("import", "src", "--to", "guests", "--json")
    assert done.code == 0
    return json.loads(done.out)


def test_a_file_with_everything_becomes_a_prompt(greeting_report: Any, repo: Repo) -> None:
    prompt = imported("guests/greet")
    assert prompt.model == "gemini/gemini-2.5-flash"
    assert prompt.parameters == {"temperature": 0.7, "top_k": 20, "max_tokens": 100}
    assert prompt.description == "Greets a guest."
    assert {name: one.default for name, one in prompt.inputs.items() if not one.required} == {
        "name": "Guest",
        "extra": 1,
        "language": "",
        "level": None,
        "known": None,
        "friends": [],
        "history": [],
    }
    assert [tool["function"]["name"] for tool in prompt.tools] == ["weather"]
    assert prompt.output_schema is not None
    assert prompt.output_schema["required"] == ["greeting"]
    assert prompt.metadata["owner"] == "ada"
    assert prompt.metadata["imported"]["not_in_force"]["tools"] == ["timeOfDay"]
    assert (repo.path / "prompts/guests/partials/tone.md").read_text("utf-8") == "Be kind, {{ name }}.\n\n"
    assert "sk-secret" not in (repo.path / "prompts/guests/greet.yaml").read_text("utf-8")


def test_it_renders_as_dotprompt_does(greeting_report: Any) -> None:
    earlier = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    assert rendered("guests/greet", {"tags": ["tea", "pie"], "history": earlier, "level": 2}) == [
        ("system", "\nYou greet. Be kind, Guest.\n Level 2.\n"),
        ("user", "Hi"),
        ("assistant", "Yes?"),
        ("user", "Guest: tea pie\n"),
        ("assistant", "Hello.\n"),
        ("user", "Ask more."),
    ]


def test_the_report_says_what_became_of_each_key(greeting_report: Any) -> None:
    assert finding(greeting_report, "config.temperature")[0] == "kept"
    assert finding(greeting_report, "config.topK") == ("changed", "parameters.top_k")
    assert finding(greeting_report, "config.safetySettings")[0] == "lost"
    assert "environment" in finding(greeting_report, "config.apiKey")[1]
    assert finding(greeting_report, "tools")[0] == "lost"
    assert finding(greeting_report, "toolDefs[1]")[0] == "lost"
    assert finding(greeting_report, "acme.owner")[0] == "lost"
    assert finding(greeting_report, "name")[0] == "changed"
    assert "a partial" in finding(greeting_report, "(the file)")[1]


def test_what_no_schema_says_is_told_by_the_text(repo: Repo, cli: Cli) -> None:
    repo.write("in/a.prompt", "{{#each items}}{{this}}{{/each}}{{name}}{{@auth.email}} {{media url=photo}}")
    repo.write("in/b.prompt", "---\ninput: {schema: {a: string}}\n---\n{{a}}{{b}}")
    repo.write(
        "in/c.prompt", "---\ninput: {schema: Person}\noutput: {schema: Answer, format: code}\n---\n{{a}}"
    )
    repo.write("in/d.prompt", "---\ninput: {schema: [a]}\noutput: {format: json}\n---\n{{a}}")
    repo.write(
        "in/e.prompt", "---\ninput: {schema: string}\noutput: {format: text}\n---\n{{history}}{{history.x}}"
    )
    repo.write("in/f.prompt", "---\ninput: x\noutput: y\nmodel: 3\n---\n{{json a}}{{#if b}}x{{/if}}")
    report = json.loads(cli("import", "in", "--json").out)
    names = {name: one.schema.get("type") or one.kind for name, one in imported("a").inputs.items()}
    assert names == {"items": "array", "name": "string", "auth": "object", "photo": "image"}
    assert finding(report, "@auth")[0] == "changed"
    assert "the schema does not name it" in finding(report, "b")[1]
    assert finding(report, "input.schema")[0] == "kept"
    lost = [each for source in report["sources"] for each in source["findings"] if each["result"] == "lost"]
    assert {each["key"] for each in lost} >= {
        "input.schema",
        "output.schema",
        "output.format",
        "output",
        "model",
    }
    assert imported("d").output is not None
    assert imported("f").inputs["b"].default is False


@pytest.mark.parametrize(
    ("front", "model", "words"),
    [
        ("model: vertexai/gemini-2.5-flash", "vertex_ai/gemini-2.5-flash", ""),
        ("model: googleai/gemini-flash\nconfig: {version: gemini-2.5-flash}", "gemini/gemini-2.5-flash", ""),
        ("model: claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5-20250929", ""),
        ("model: 'no model'", "local/smollm2-135m-instruct", "no model is known"),
        ("description: x", "local/smollm2-135m-instruct", "none is named"),
    ],
)
def test_the_model_is_pinned(repo: Repo, cli: Cli, front: str, model: str, words: str) -> None:
    repo.write("a.prompt", f"---\n{front}\n---\nHello")
    assert words in cli("import", "a.prompt").out
    assert imported("a").model == model


def test_a_person_may_pin_another_model(repo: Repo, cli: Cli) -> None:
    repo.write("a.prompt", "---\nmodel: googleai/gemini-2.5-flash\n---\nHello")
    assert "in its place" in cli("import", "a.prompt", "--model", "openai/gpt-4o-mini-2024-07-18").out
    assert imported("a").model == "openai/gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("  {{role 'system'}}  {{role 'user'}}Hi", [("user", "Hi")]),
        (
            "<<<dotprompt:role:user>>>\nHi\n<<<dotprompt:role:model>>>\nYes",
            [("user", "\nHi\n"), ("assistant", "\nYes")],
        ),
        ("a{{history}}b", [("user", "a"), ("assistant", "b")]),
        ("<<<dotprompt:history>>> {{role 'user'}}b", [("user", "b")]),
        (
            'a {{section "code"}} b',
            [("user", [{"type": "text", "text": "a "}, {"type": "text", "text": " b"}])],
        ),
    ],
)
def test_roles_divide_a_text(repo: Repo, cli: Cli, text: str, messages: list[tuple[str, Any]]) -> None:
    repo.write("a.prompt", text)
    assert cli("import", "a.prompt").code == 0
    assert rendered("a", {}) == messages


def test_a_message_that_may_be_empty_is_named(repo: Repo, cli: Cli) -> None:
    repo.write("a.prompt", "{{#if x}}text{{/if}}{{role 'user'}}{{section 'output'}}b")
    done = cli("import", "a.prompt")
    assert "where it is empty it is sent" in done.out
    assert "a place for texts of other programs" in done.out


def test_partials_with_conditions_are_files_of_their_prompt(repo: Repo, cli: Cli) -> None:
    repo.write("src/a.prompt", "---\ninput: {schema: {x: string}}\n---\n{{> p}}")
    repo.write("src/b.prompt", "---\ninput: {schema: {'x?': integer}}\n---\n{{> p}} {{> deep/q}}")
    repo.write("src/_p.prompt", "{{#if x}}{{x}}{{/if}}")
    repo.write("src/deep/_q.prompt", "Q")
    done = cli("import", "src/a.prompt", "src/b.prompt")
    assert done.code == 0
    assert {path.name for path in (repo.path / "prompts/partials").rglob("*.md")} == {
        "a.p.md",
        "b.p.md",
        "q.md",
    }
    assert rendered("b", {"x": 3}) == [("user", "3 Q")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\nmodel: !!python/object:os.system {}\n---\nx", "tag"),
        ("---\na: &a [*a]\n---\nx", "a.prompt"),
        ("---\nmodel: [\n---\nx", "a.prompt"),
        ("---\n- a\n---\nx", "not a mapping"),
        ("---\nmodel: x\n", "not closed"),
        ("---\nmodel: gpt-4o\n---\n", "no text to send"),
        ("", "no text to send"),
        ("---\nmodel: gpt-4o\n---\n\n\n{{x}}\n{{#nope}}{{/nope}}", "line 7"),
        ("{{> ../../up}}", "must be written out"),
        ("{{> outside}}", "outside of"),
        ("{{role 'tool'}}x", "no message has the role `tool`"),
        ("{{#if a}}" * 5000, "nested more than"),
        ("{{a" + ".a" * 20_000 + "}}", "more than 20 members"),
        ("{{a}}" * 7 + "{{x y}}" * 7, "and 2 more"),
        ("x" * 1_100_000, "too large"),
        ("caf\udce9", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused(repo: Repo, cli: Cli, text: str, words: str) -> None:
    (repo.path / "a.prompt").write_bytes(text.encode("utf-8", "surrogateescape"))
    outside = repo.path.parent / "secret.prompt"
    outside.write_text("secret", "utf-8")
    (repo.path / "_outside.prompt").symlink_to(outside)
    done = cli("import", "dotprompt", "a.prompt")
    assert done.code == 4
    assert words in done.out + done.err
    assert not (repo.path / "prompts").exists()


def test_a_link_or_a_pipe_is_no_source(repo: Repo, cli: Cli) -> None:
    os.mkfifo(repo.path / "a.prompt")
    assert "not a regular file" in cli("import", "a.prompt").out
    (repo.path / "b.prompt").symlink_to("/etc/hostname")
    assert "outside" in cli("import", "b.prompt").out


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        (None, None),
        ("string, a name", {"type": "string", "description": "a name"}),
        ({"type": "array", "items": {}}, {"type": "array", "items": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        (
            {
                "a?": "any, x",
                "b(object, y)": {"(*)": "number"},
                "c(enum)": [1, 2],
                "d?(enum)": ["p"],
                "e?(array)": "string",
            },
            {
                "type": "object",
                "properties": {
                    "a": {"description": "x"},
                    "b": {
                        "type": "object",
                        "properties": {},
                        "additionalProperties": {"type": "number"},
                        "description": "y",
                    },
                    "c": {"enum": [1, 2]},
                    "d": {"enum": ["p", None]},
                    "e": {"type": ["array", "null"], "items": {"type": "string"}},
                },
                "additionalProperties": False,
                "required": ["b", "c"],
            },
        ),
    ],
)
def test_picoschema_is_json_schema(written: Any, schema: Any) -> None:
    assert json_schema(written) == schema


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1) if depth else "string"}


@pytest.mark.parametrize(
    "written", ["Person", {"a": "Person"}, {"a": 3}, {"a(set)": "string"}, {"a(enum)": "x"}, nested(60)]
)
def test_what_is_no_picoschema_is_refused(written: Any) -> None:
    with pytest.raises(Invalid):
        json_schema(written)


def test_go_s_example_is_imported(repo: Repo, cli: Cli) -> None:
    """A file of google/dotprompt, with a schema in JSON Schema and marks instead of helpers."""
    text = (
        "---\nmodel: gemini-2.5-flash\ninput:\n  schema:\n    type: object\n    properties:\n"
        "      text: {type: string, description: The text}\n    required: [text]\n---\n"
        "<<<dotprompt:role:user>>>\nSummarize.\n\n{{text}}\n\n<<<dotprompt:role:model>>>\nYes.\n"
    )
    Path("a.prompt").write_text(text, "utf-8")
    assert cli("import", "a.prompt").code == 0
    assert rendered("a", {"text": "T"}) == [("user", "\nSummarize.\n\nT\n\n"), ("assistant", "\nYes.")]

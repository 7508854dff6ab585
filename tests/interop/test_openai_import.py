"""Requests of OpenAI's API: JSON, Python, JavaScript, curl, and the reusable prompts of a folder of code."""

import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptops.config.settings import current_settings
from promptops.errors import Invalid, NotFound
from promptops.interop.model import ImportedSource
from promptops.interop.openai.importer import read_openai, read_openai_folder
from promptops.interop.openai.javascript_calls import javascript_calls
from promptops.interop.openai.literals import Expression, Pieces, plain_data
from promptops.interop.openai.python_calls import python_calls
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget
from promptops.lint.context import LintProject
from tests.support.front_door import Cli, Repo

MODEL = "gpt-4.1-2025-04-14"
PYTHON = '''
import os
from textwrap import dedent

PROMPT_ID = "pmpt_68785396f76c8193"
QUEUES: list[str] = ["billing", "other"]
twice = "a"
twice = "b"


def answer(mail, history, n, **extra):
    first = client.responses.create(
        prompt={"id": PROMPT_ID, "version": "2", "variables": {"mail": mail, "queues": "all", "n": -3}},
        input=[*history, {"role": "user", "content": f"{mail} of {QUEUES[0]!r} {PROMPT_ID}"}],
        max_output_tokens=n,
        store=True,
        **extra,
    )
    return client.chat.completions.create(
        model="gpt-4.1-2025-04-14",
        messages=[
            {"role": "system", "content": dedent("""
                Be kind.
                Be short.""") + " To " + mail.sender},
            {"role": "user", "content": "  trimmed ".strip()},
            {"role": twice, "content": "x"},
        ],
        temperature=0.5,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        **{"stop": ["END"]},
    )


unread = client.responses.create(prompt={"id": os.environ["PROMPT"]})
agent = Agent(name="Helper", prompt={"id": "pmpt_agent"})
'''
JAVASCRIPT = r"""
import OpenAI from "openai"; // it's a comment with a ' in it
const PROMPT = { id: 'pmpt_68dd6212', version: '2' };
const pattern = /["'`]\/[/"]/g, half = a / b / c;
/* client.responses.create({ prompt: { id: "pmpt_old" } }) */
export async function reply(mail: string, extra = {}) {
  const first = await client.responses.create({
    prompt: { id: "pmpt_68ed704a", variables: { mail, "the title": title.trim(), n: 1_000, x: -1.5 } },
    ...extra,
    text: { format: { type: "json_object" } } as const,
    get other() { return 1; },
  });
  const body = JSON.stringify({
    prompt: PROMPT,
    input: `Hello ${user.name}, ${ok ? `say "${word}" }` : "{"} and \u0041\x42\u{43}\n`.trim() + ' end',
    temperature: heat,
  });
  return client.chat.completions.create({
    model: 'gpt-4.1-2025-04-14', messages: [{ role: 'user', content: 'one ' + mail }, ...history], n: 2,
  });
}
"""
CURL = """
curl https://api.openai.com/v1/responses \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -d '{"model": "gpt-4.1-2025-04-14", "instructions": "Greet {{name}}", "input": "I am {{name}}"}'
curl -s "https://api.openai.com/v1/chat/completions" --data @body.json
curl https://example.org/
curl https://api.openai.com/v1/chat/completions -d "{\\"model\\": \\"gpt-4.1\\", \\"messages\\": []}"
curl https://api.openai.com/v1/chat/completions -d 'not json'
curl https://api.openai.com/v1/chat/completions -d '[1]'
"""


def read(path: Path, model: str | None = None) -> ImportedSource:
    project = LintProject(current_settings(), date(2026, 11, 29))
    target = ImportTarget(model=model)
    return (
        read_openai_folder(path, target, project)
        if path.is_dir()
        else read_openai(SourceFile(path), target, project)
    )


def results(done: ImportedSource) -> dict[str, tuple[str, str]]:
    return {one.key: (one.verdict, one.note) for one in done.findings}


def content_of(repo: Repo, body: Any) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    done = read(repo.write("request.json", json.dumps(body)))
    return dict(done.prompts[0].content), results(done)


def test_a_responses_request_becomes_a_prompt(repo: Repo, cli: Cli) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    body = {
        "model": MODEL,
        "instructions": "Sort mails of {{ company }}. {% raw",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "{{mail}}"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "{{done}}"},
            {"type": "reasoning", "id": "r1"},
        ],
        "text": {"format": {"type": "json_schema", "name": "q", "schema": schema}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "max_output_tokens": 99,
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "store": True,
        "stop": None,
        "mystery": {"a": 1},
    }
    repo.write("sort.json", json.dumps(body))
    done = cli("import", "sort.json", "--json")
    told = json.loads(done.out)
    prompt = yaml.safe_load((repo.path / "prompts/sort.yaml").read_text())
    assert prompt["model"] == f"openai/{MODEL}"
    assert prompt["parameters"] == {
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
        "verbosity": "low",
    }
    assert prompt["inputs"] == {"company": "string", "mail": "string"}
    assert prompt["messages"] == [
        {"role": "system", "content": "Sort mails of {{ company }}. {{ '{' }}% raw"},
        {"role": "user", "content": "{{ mail }}"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "{{ '{' }}{done}}"},
    ]
    assert prompt["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    ]
    assert prompt["output"]["schema"] == {"title": "q", **schema}
    lost = {one["key"] for one in told["sources"][0]["findings"] if one["result"] == "lost"}
    assert lost == {"input[3]", "tools[1]", "store", "mystery"}
    imported = prompt["metadata"]["imported"]
    assert imported["tools.1"] == {"type": "web_search"}
    assert imported["mystery"] == {"a": 1}
    assert not [one for one in told["lint"]["findings"] if one["severity"] == "error"]


def test_a_chat_request_becomes_a_prompt(repo: Repo) -> None:
    content, keys = content_of(
        repo,
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "Hi {{user.name}}", "name": "ada"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}],
                },
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "user", "content": 7},
                "text",
            ],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
            "parallel_tool_calls": False,
            "logit_bias": {"1": 2},
            "stream": True,
        },
    )
    assert content["messages"] == [
        {"role": "system", "content": "Hi {{ user_name }}", "name": "ada"},
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "tool_calls": [{"id": "1"}]},
    ]
    assert content["output"] == {"schema": {"type": "object"}}
    assert content["parameters"] == {"logit_bias": {"1": 2}}
    assert keys["stream"] == ("lost", "set in each call, not in a prompt")
    assert keys["messages[4].content"] == ("lost", "it is not a text")
    assert keys["messages[5]"][0] == "lost"
    assert keys["messages[2].content[0]"][0] == "lost"
    assert "moves; to pin it" in keys["model"][1]


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ({"format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"format": {"type": "text"}}, {}),
        ({"format": {"type": "grammar"}}, {}),
        ({"format": {"type": "json_schema"}}, {}),
    ],
)
def test_forms_of_answers(repo: Repo, text: dict[str, Any], parameters: dict[str, Any]) -> None:
    content, _ = content_of(repo, {"model": MODEL, "input": "hi", "text": text, "tools": []})
    assert content["parameters"] == parameters
    assert "output" not in content


def test_a_logged_response_has_the_text_of_its_reusable_prompt(repo: Repo) -> None:
    response = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-4.1-mini-2025-04-14",
        "prompt": {
            "id": "pmpt_68ed704a7a08",
            "version": "3",
            "variables": {"name": {"type": "input_text", "text": "{{name}}"}},
        },
        "instructions": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "Greet {{name}}"}],
            }
        ],
        "output": [],
        "reasoning": {"effort": None},
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
    }
    done = read(repo.write("response.json", json.dumps(response)))
    draft = done.prompts[0]
    assert draft.name == "pmpt_68ed704a"
    assert draft.content["messages"] == [{"role": "developer", "content": "Greet {{ name }}"}]
    assert draft.content["parameters"] == {}
    assert draft.content["inputs"] == {"name": "string"}
    assert draft.imported["prompt"] == {"id": "pmpt_68ed704a7a08", "version": "3"}
    assert [one.key for one in done.findings if one.verdict == "lost"] == []
    assert any("aliases: {pmpt_68ed704a7a08: pmpt_68ed704a}" in step for step in done.steps)


def test_a_prompt_object_with_its_text(repo: Repo) -> None:
    done = read(
        repo.write(
            "prompt.json",
            json.dumps(
                {
                    "id": "pmpt_1",
                    "name": "Support reply",
                    "version": "4",
                    "model": MODEL,
                    "variables": ["mail", {"name": "tone"}, "spare"],
                    "messages": [{"role": "developer", "content": "In a {{tone}} tone: {{mail}}"}],
                }
            ),
        )
    )
    draft = done.prompts[0]
    assert draft.name == "support-reply"
    assert draft.content["inputs"] == {"mail": "string", "tone": "string", "spare": "string"}
    assert len(draft.content["messages"]) == 1


def test_python_is_read_and_what_is_known_late_is_said_by_line(repo: Repo) -> None:
    done = read(repo.write("app.py", PYTHON))
    reusable, chat, agent = done.prompts
    assert reusable.name == "pmpt_68785396"
    assert reusable.content["inputs"] == {
        "mail": "string",
        "queues": "string",
        "n": "number",
        "history": "messages",
    } | {"text": "string"}
    assert reusable.content["messages"] == [
        {"role": "system", "content": "{{ paste_the_text_of_pmpt_68785396f76c8193 }}"},
        {"insert": "history"},
        {"role": "user", "content": "{{ mail }} of {{ text }} pmpt_68785396f76c8193"},
    ]
    assert chat.content["messages"] == [
        {"role": "system", "content": "\nBe kind.\nBe short. To {{ sender }}"},
        {"role": "user", "content": "trimmed"},
    ]
    assert chat.content["parameters"] == {"temperature": 0.5, "stop": ["END"]}
    assert chat.content["model"] == f"openai/{MODEL}"
    assert agent.name == "helper"
    keys = results(done)
    assert keys["prompt"] == ("changed", "pmpt_agent, no version, variables: none")
    assert keys["max_output_tokens"] == (
        "lost",
        "line 15: `n` is known only when the code runs: write its value down",
    )
    assert keys["**extra"] == (
        "lost",
        "line 17: `extra` is known only when the code runs: see there what it adds",
    )
    assert keys["messages[2]"][0] == "lost"
    assert 'id `os.environ["PROMPT"]` is known only when the code runs' in keys["(the request)"][1]
    assert all(one.file == "app.py" and one.line for one in done.findings)


def test_javascript_is_read_and_what_is_known_late_is_said_by_line(repo: Repo) -> None:
    done = read(repo.write("app.ts", JAVASCRIPT))
    constant, first, chat = done.prompts
    assert (constant.name, first.name, chat.name) == ("pmpt_68dd6212", "pmpt_68ed704a", "app")
    assert first.content["inputs"] == {"mail": "string", "the_title": "string", "n": "number", "x": "number"}
    assert first.content["parameters"] == {"response_format": {"type": "json_object"}}
    assert chat.content["messages"] == [{"role": "user", "content": "one {{ mail }}"}, {"insert": "history"}]
    assert chat.content["parameters"] == {"n": 2}
    keys = results(done)
    assert keys["...extra"] == (
        "lost",
        "line 9: `extra` is known only when the code runs: see there what it adds",
    )
    assert keys["input"] == ("lost", "the prompt is taken from app.ts:3, which does not have this")
    assert keys["pmpt_old"] == ("lost", "no call could be read there: its variables are unknown")


def test_texts_of_javascript() -> None:
    body = javascript_calls(JAVASCRIPT)[2].body
    assert body["input"] == Pieces(
        (
            "Hello ",
            Expression("user.name", 15),
            ", ",
            Expression('ok ? `say "${word}" }` : "{"', 15),
            " and ABC end",
        ),
        15,
    )
    assert plain_data(body["input"]) == 'Hello ${user.name}, ${ok ? `say "${word}" }` : "{"} and ABC end'


def test_curl_is_read_and_its_files_are_not(repo: Repo) -> None:
    done = read(repo.write("calls.sh", CURL))
    assert [one.content["messages"] for one in done.prompts] == [
        [{"role": "system", "content": "Greet {{ name }}"}, {"role": "user", "content": "I am {{ name }}"}]
    ]
    notes = [one.note for one in done.findings if one.key == "(the request)"]
    assert notes == [
        "line 5: the data of curl is not literal JSON: @body.json",
        "there is no message in it",
        "line 8: the data of curl is not literal JSON: 'not json'",
        "line 9: the data of curl is not literal JSON: '[1]'",
    ]


def test_a_folder_lists_every_use_and_one_prompt_an_id(repo: Repo, cli: Cli, tmp_path: Path) -> None:
    repo.write(
        "src/app.py", 'client.responses.create(prompt={"id": "pmpt_aa11bb22cc", "variables": {"a": x}})\n'
    )
    repo.write(
        "src/b/job.js",
        'run({prompt: {promptId: "pmpt_aa11bb22cc", version: "3", variables: {b}}, model: m});\n',
    )
    repo.write("src/settings.toml", 'first = "pmpt_aa11bb22cc"\n\nsecond = "pmpt_else"\n')
    repo.write("src/broken.py", "def (:\n# pmpt_broken\n")
    repo.write("src/plain.py", "client.chat.completions.create(prompt=1)\n")
    repo.write("src/node_modules/x.js", "pmpt_never")
    repo.write("src/picture.png", "pmpt_never")
    (tmp_path / "outside.py").write_text("pmpt_outside")
    (repo.path / "src/link.py").symlink_to(tmp_path / "outside.py")
    done = cli("import", "openai", "src", "--dry-run", "--json")
    told = json.loads(done.out)["sources"][0]
    found = [(one["file"], one["line"], one["key"], one["result"], one["note"]) for one in told["findings"]]
    assert told["prompts"] == ["pmpt_aa11bb22"]
    assert found == [
        ("src/app.py", 1, "prompt", "changed", "pmpt_aa11bb22cc, no version, variables: a"),
        ("src/app.py", 1, "prompt.id", "kept", ""),
        ("src/app.py", 1, "prompt.variables.a", "kept", ""),
        (
            "src/b/job.js",
            1,
            "prompt",
            "changed",
            "pmpt_aa11bb22cc, version 3, variables: b; as at src/app.py:1",
        ),
        (
            "src/b/job.js",
            1,
            "model",
            "lost",
            "the prompt is taken from src/app.py:1, which does not have this",
        ),
        (
            "src/broken.py",
            2,
            "pmpt_broken",
            "lost",
            "no call could be read there: its variables are unknown",
        ),
        ("src/settings.toml", 1, "pmpt_aa11bb22cc", "changed", "a prompt here has this id"),
        (
            "src/settings.toml",
            3,
            "pmpt_else",
            "lost",
            "no call could be read there: its variables are unknown",
        ),
        ("src/broken.py", None, "(the file)", "lost", "src/broken.py:1: not Python: invalid syntax"),
        ("src/link.py", None, "(the file)", "lost", "link.py is outside of src, the folder of the source"),
    ]
    assert told["next"][0] == "where no model is named, pin one: --model does so for all"
    assert told["next"][1] == "paste the text of pmpt_aa11bb22cc from OpenAI's dashboard into pmpt_aa11bb22"
    plain = cli("import", "openai", "src")
    assert "undeclared-variable" in plain.out
    prompt = yaml.safe_load((repo.path / "prompts/pmpt_aa11bb22.yaml").read_text())
    assert prompt["inputs"] == {"a": "string", "b": "string"}


def test_kinds_of_variables_and_models(repo: Repo) -> None:
    source = """
client.responses.create(prompt={"id": "pmpt_1", "variables": {
    "a": "text", "b": {"type": "input_image", "image_url": url}, "c": {"type": "input_file", "file_id": f}}},
    model=settings.model, instructions=rules, tools=tools, text={"format": kind})
client.responses.create(prompt={"id": "pmpt_2", "variables": values}, model="mystery/1", tools=[{"type": x}])
client.responses.create(model="gpt-4.1", input=[{"role": "user", "content": [
    {"type": "input_image", "image_url": f"data:{b}"}, {"type": "input_text", "text": text + "."}]}])
client.chat.completions.create(model="gpt-4.1", messages=chat)
client.chat.completions.create(model="gpt-4.1", messages=[{"role": "tool", "content": "x", "name": i}])
client.responses.create(model="gpt-4.1", input=[{"type": "function_call_output", "output": x}], reasoning={})
"""
    done = read(repo.write("kinds.py", source))
    first, second, third, fourth, fifth = done.prompts
    assert first.content["inputs"] == {"rules": "string", "a": "string", "b": "image"}
    assert first.content["messages"] == [{"role": "system", "content": "{{ rules }}"}]
    assert second.content["model"] == "local/smollm2-135m-instruct"
    assert third.content["messages"] == [
        {"role": "user", "content": [{"image": "b"}, {"text": "{{ text }}."}]}
    ]
    assert third.content["inputs"] == {"b": "image", "text": "string"}
    assert fourth.content == {
        "model": "openai/gpt-4.1",
        "tools": [],
        "parameters": {},
        "messages": [{"insert": "chat"}],
        "inputs": {"chat": "messages"},
    }
    assert fifth.content["messages"] == [{"role": "tool", "content": "x"}]
    notes = [one.note for one in done.findings if one.verdict == "lost"]
    assert [note for note in notes if "`tools` is known" in note]
    assert [note for note in notes if "`kind` is known" in note]
    assert [note for note in notes if "what a tool is asked" in note]


def test_texts_that_are_dedented_keep_their_inputs(repo: Repo) -> None:
    source = '''
client.responses.create(model="gpt-4.1", instructions=inspect.cleandoc("""
    a
    b"""), input=dedent(f"""
    Hello {name}
      of {place}
    """).strip(), store="\\0" + other.strip(), user=("\\0" + other).strip())
'''
    done = read(repo.write("a.py", source))
    assert [one["content"] for one in done.prompts[0].content["messages"]] == [
        "a\nb",
        "Hello {{ name }}\n  of {{ place }}",
    ]


def test_the_model_that_a_person_names(repo: Repo) -> None:
    done = read(repo.write("a.json", json.dumps({"model": "gpt-4", "input": "hi"})), model=f"openai/{MODEL}")
    assert done.prompts[0].content["model"] == f"openai/{MODEL}"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", '{"a": 1, "a": 2}', "duplicate key"),
        ("a.json", "[" * 200 + "]" * 200, "nested deeper"),
        ("a.py", "def (:", "not Python"),
        ("a.py", "x = " + "(" * 500, "not Python"),
        ("a.py", "x = " + "-" * 100_000 + "1", "nested too deeply"),
        ("a.py", "x = a" + ".b" * 100_000, "nested too deeply"),
        ("a.py", "x = 1\n", "no request"),
        ("a.js", "const x = 1", "no request"),
        ("a.js", "responses.create({input: 'x'}), " * 1_001, "at most 1,000 requests"),
        ("a.json", json.dumps([{"input": "x"}] * 1_001), "at most 1,000 requests"),
        ("a.rb", "puts 1", "no request"),
        ("a.txt", "x" * 1_000_001, "too large"),
    ],
)
def test_what_cannot_be_read_is_refused(repo: Repo, name: str, text: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(repo.write(name, text))
    assert problem in refused.value.message
    assert name in refused.value.message


def test_a_folder_without_a_use_is_refused(repo: Repo) -> None:
    repo.write("src/a.py", "x = 1")
    with pytest.raises(NotFound, match="no use of a reusable prompt"):
        read(repo.path / "src")


HOSTILE = {
    "strings": '\\"' * 50_000,
    "patterns": "=(/[" * 50_000,
    "templates": "`${" * 50_000,
    "objects": "client.responses.create(" + "{a:" * 50_000 + "1" + "}" * 50_000 + ")",
    "prompts": "{prompt:" * 50_000 + "}" * 50_000,
    "constants": "".join(f"const a{n} = [a{n + 1}, a{n + 1}];" for n in range(60))
    + "responses.create({x: a0})",
    "itself": "const a = {b: a}; responses.create({x: a})",
    "spreads": "responses.create({" + "..." * 50_000 + "})",
    "comments": "/*" * 50_000,
    "ends": "responses.create({a:",
    "calls": "responses.create({})," * 5_000,
    "odd": 'responses.create({a: 1 + , [b]: 2, , c: -, d: 1 as x, e: +, f: "\\u{ffffffff}\\ud800", g: ]})',
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_javascript_is_read_in_time(name: str) -> None:
    started = time.process_time()
    calls = javascript_calls(HOSTILE[name])
    assert len(calls) <= 1_000
    for call in calls:
        json.dumps(plain_data(call.body))
    assert time.process_time() - started < 5


def test_hostile_python_is_read_in_time() -> None:
    started = time.process_time()
    doubled = "".join(f"a{n} = [a{n + 1}, a{n + 1}]\n" for n in range(60))
    calls = python_calls(
        f"{doubled}a = [a]\nb = {{'x': b}}\nclient.responses.create(x=a0, y=a, z=b, w=1 - 2, v={{**a0}})\n",
        "a.py",
    )
    plus = python_calls(f"client.responses.create(input={'+'.join(['a'] * 500)}, x='a' + 1)", "a.py")
    assert len(calls) == len(plus) == 1
    assert isinstance(plus[0].body["input"], Expression)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "text", "source"),
    [
        ("app.py", "client.responses.create(model='gpt-4.1', input='hi')", "openai"),
        ("calls.txt", 'curl https://api.openai.com/v1/responses -d \'{"input": "hi"}\'', "openai"),
        ("a.yaml", "model: gpt-4.1\ninput: hi", "openai"),
        ("a.json", '{"model": "gpt-4.1", "input": "hi"}', "openai"),
        ("b.json", '{"prompt": {"id": "pmpt_1"}}', "openai"),
        ("c.json", '{"object": "response", "instructions": "hi"}', "openai"),
        ("d.json", '{"model": "a/b", "messages": [], "inputs": {}}', ""),
        ("e.json", '{"prompt": {"x": 1}}', ""),
        ("t.yaml", "system: hi $input", "llm"),
        ("u.yaml", "system: hi\nmessages: []", ""),
        ("v.yaml", "messages: [{role: user, content: hi}]\ntestData: []", "prompt-yml"),
        ("w.prompt.yml", "messages: [{role: user, content: hi}]", "prompt-yml"),
    ],
)
def test_a_source_is_told_by_what_is_in_the_file(
    repo: Repo, cli: Cli, name: str, text: str, source: str
) -> None:
    repo.write(name, text)
    done = cli("import", name, "--dry-run", "--json")
    if source:
        assert json.loads(done.out)["sources"][0]["source"] == source
    else:
        assert done.code in (2, 4)

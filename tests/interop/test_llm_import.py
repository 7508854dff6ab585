"""Templates of llm. Those in WRITTEN were written by llm 0.36 itself: `llm … --save NAME`."""

import string
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.settings import current_settings
from promptops.errors import Invalid
from promptops.interop.llm_templates.importer import read_llm
from promptops.interop.llm_templates.variables import dollars_of, split_dollars
from promptops.interop.model import ImportedSource
from promptops.interop.placeholders import InputNames, Variable, template_of
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget
from promptops.interop.writing import plan_import
from promptops.lint.context import LintProject
from promptops.prompt import load_prompt
from promptops.prompt.render import render_prompt
from promptops.prompt.templates import CompiledTemplate
from promptops.versions.working_tree import working_tree_reader
from tests.support.front_door import Cli, Repo

TODAY = date(2026, 11, 29)
WRITTEN = {
    "dog": """\
model: gpt-4o-mini
system: Invent a dog
schema_object:
    type: object
    properties:
        name:
            type: string
        age:
            type: integer
        bio:
            type: string
            description: one sentence
    required:
    - name
    - age
    - bio
""",
    "frags": """\
prompt: 'Explain: ${input}s'
fragments:
- frag.txt
system_fragments:
- frag.txt
attachments:
- /home/ada/cat.png
attachment_types:
-   type: text/plain
    value: /home/ada/note.bin
""",
    "opts": """\
model: gpt-4o-mini
prompt: roast $input
options:
    top_p: 0.9
    stop: '###'
    logit_bias:
        '50256': -100
    seed: 7
    json_object: true
""",
    "pyfn": """\
system: Write a Python function
extract: true
""",
    "shout": """\
prompt: Shout $input
extract_last: true
functions: "def upper(s: str) -> str:\\n    \\"Upper-case it\\"\\n    return s.upper()"
tools:
- llm_time
""",
    "translate": """\
model: gpt-4.1-mini
prompt: 'Translate to $lang at a price of $$5: $input'
system: You are a $tone translator
defaults:
    tone: formal
options:
    temperature: 0.2
    max_tokens: 300
""",
}

ODD = """\
prompt: costs $ 5 {{ $in {% $
model: mystery
options: {max_tokens: 5, shape: round, json_object: false}
defaults: {input: x, tone: y, in: 3}
name: t
schema_object: 7
functions: 'def ('
"""


def read(path: Path, model: str | None = None) -> ImportedSource:
    project = LintProject(current_settings(), TODAY)
    return read_llm(SourceFile(path), ImportTarget(model=model), project)


def lost(done: ImportedSource) -> dict[str, str]:
    return {one.key: one.note for one in done.findings if one.verdict == "lost"}


def template(repo: Repo, text: str) -> tuple[dict[str, Any], ImportedSource]:
    done = read(repo.write("t.yaml", text))
    return dict(done.prompts[0].content), done


def test_templates_that_llm_wrote_are_imported(repo: Repo, cli: Cli) -> None:
    for name, text in WRITTEN.items():
        repo.write(f"templates/{name}.yaml", text)
    repo.write("templates/frag.txt", "a {{ fragment }}\n")
    done = cli("import", "llm", "templates")
    assert done.code == 0
    assert "retires" in done.out
    files = working_tree_reader(current_settings())
    prompts = {name: load_prompt(name, files) for name in WRITTEN}
    values = {"input": "the text", "lang": "French"}
    sent = {
        name: [
            (one["role"], one["content"])
            for one in render_prompt(
                each, {key: values[key] for key in each.inputs if key in values}
            ).messages
        ]
        for name, each in prompts.items()
    }
    assert sent == {
        "dog": [("system", "Invent a dog"), ("user", "the text")],
        "frags": [("system", "a {{ fragment }}\n"), ("user", "a {{ fragment }}\n\nExplain: the texts")],
        "opts": [("user", "roast the text")],
        "pyfn": [("system", "Write a Python function"), ("user", "the text")],
        "shout": [("user", "Shout the text")],
        "translate": [
            ("system", "You are a formal translator"),
            ("user", "Translate to French at a price of $5: the text"),
        ],
    }
    assert prompts["translate"].parameters == {"temperature": 0.2, "max_tokens": 300}
    assert prompts["translate"].model == "openai/gpt-4.1-mini"
    assert prompts["opts"].parameters["response_format"] == {"type": "json_object"}
    assert prompts["dog"].output_schema is not None
    assert prompts["shout"].tools == (
        {
            "type": "function",
            "function": {
                "name": "upper",
                "description": "Upper-case it",
                "parameters": {"type": "object", "properties": {"s": {"type": "string"}}, "required": ["s"]},
            },
        },
    )
    assert prompts["shout"].metadata["imported"]["functions"].startswith("def upper")


def test_what_is_not_importable_is_said(repo: Repo) -> None:
    _, frags = template(repo, WRITTEN["frags"])
    assert frags.prompts[0].imported["fragments"] == ["frag.txt"]
    assert lost(frags) == {
        "fragments[0]": "no file frag.txt: put its text into the message",
        "system_fragments[0]": "no file frag.txt: put its text into the message",
        "attachments": "copy the file below prompts/, and name it in the message: {image_file: …}",
        "attachment_types": "copy the file below prompts/, and name it in the message: {image_file: …}",
    }
    _, shout = template(repo, WRITTEN["shout"])
    assert lost(shout).keys() == {"extract_last", "tools"}
    content, odd = template(repo, ODD)
    assert content["messages"] == [{"role": "user", "content": "costs $ 5 {{ '{' }}{ {{ in_ }} {{ '{' }}% $"}]
    assert content["inputs"] == {"in_": {"type": "string", "default": "3"}}
    assert content["parameters"] == {"max_tokens": 5}
    assert content["tools"] == []
    assert lost(odd).keys() == {
        "model",
        "options.shape",
        "defaults.input",
        "defaults.tone",
        "name",
        "schema_object",
    }
    assert odd.prompts[0].imported["options"] == {"shape": "round"}


def test_a_template_may_be_a_text_or_have_no_text(repo: Repo) -> None:
    assert template(repo, "Say $input")[0]["messages"] == [{"role": "user", "content": "Say {{ input }}"}]
    content, _ = template(repo, "model: gpt-5\noptions: {max_tokens: 9}\nsystem: '  '")
    assert content["messages"] == [{"role": "user", "content": "{{ input }}"}]
    assert content["parameters"] == {"max_completion_tokens": 9}
    assert read(repo.write("t.yaml", "prompt: x"), "openai/a").prompts[0].content["model"] == "openai/a"


def test_functions_are_read_and_never_run(repo: Repo) -> None:
    code = (
        "import pathlib; pathlib.Path('ran').touch()\n"
        "def _hidden(): pass\n"
        "async def f(a, /, b: int = 1, *, c: float, d: list = None, e: 'x' = 2): return 1\n"
    )
    content, _ = template(
        repo, "prompt: x\nfunctions: |\n" + "".join(f"  {line}\n" for line in code.splitlines())
    )
    assert [tool["function"] for tool in content["tools"]] == [
        {
            "name": "f",
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {},
                    "b": {"type": "integer"},
                    "c": {"type": "number"},
                    "d": {"type": "array"},
                    "e": {},
                },
                "required": ["a", "c"],
            },
        }
    ]
    assert not (repo.path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a list", "not a template of llm"),
        ("a: 1", "not a template of llm"),
        ("prompt: [a]", "`prompt` is a text"),
        ("prompt: !!python/name:os.system x", "the tag"),
        ("prompt: x\n---\nprompt: y", "a second YAML document"),
        ("x: " + "y" * 1_000_001, "too large"),
        ("prompt: x\nfragments: [" + "a, " * 101 + "]", "more than 100 fragments"),
    ],
)
def test_what_is_no_template_is_refused(repo: Repo, text: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(repo.write("bad.yaml", text))
    assert problem in refused.value.message


def test_fragments_outside_are_not_read(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (repo.path / "link.txt").symlink_to(tmp_path / "secret.txt")
    _, done = template(
        repo, "prompt: x\nfragments: [../secret.txt, link.txt, 'file:///etc/passwd', 'https://a.b/c', 7]"
    )
    assert len(lost(done)) == 5
    assert done.files == {}


PIECES = st.lists(
    st.one_of(
        st.sampled_from(["$", "{", "}", "{{", "a", "_1", "\n", " ", "{%"]),
        st.text("ab$ {", max_size=3),
        st.sampled_from(["x", "y_2", "Z"]).map(Variable),
    ),
    max_size=8,
)


@given(PIECES)
def test_a_template_of_llm_sends_what_its_prompt_file_sends(pieces: list[str | Variable]) -> None:
    written = dollars_of(pieces)
    values = {"x": "<$x>", "y_2": "", "Z": "{{ x }}"}
    read_back, alone = split_dollars(written)
    assert not alone
    sent = CompiledTemplate(template_of(read_back, InputNames())).render(values)
    assert sent == string.Template(written).substitute(values)
    assert sent == "".join(piece if isinstance(piece, str) else values[piece.name] for piece in pieces)


def test_lint_passes_but_for_the_pin(repo: Repo) -> None:
    imports = [read(repo.write(f"{name}.yaml", text)) for name, text in WRITTEN.items()]
    plan = plan_import(imports, current_settings(), TODAY)
    assert {one.rule for one in plan.lint.findings if one.severity == "error"} == {"floating-model"}

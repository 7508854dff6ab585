import json
import time
from typing import Any

import pytest

from promptops.errors import Invalid, NotFound
from promptops.prompt import (
    PROMPT_SCHEMA,
    Check,
    ImageFile,
    ImageInput,
    Insert,
    Message,
    Text,
    check_prompt_name,
    find_problems,
    load_prompt,
    short_digest,
    with_overrides,
)
from promptops.prompt.canonical_json import canonical_json, json_data_problem
from promptops.prompt.json_schema import schema_problem, validator_for
from support.prompt_files import FILES, PNG, TRIAGE, load, load_text, minimal, reader


def test_every_key_is_decoded() -> None:
    prompt = load()
    assert prompt.name == "support/triage"
    assert prompt.path == "support/triage.yaml"
    assert prompt.description == "Route a support ticket to one queue."
    assert prompt.model == "openai/gpt-4o-mini-2024-07-18"
    assert prompt.parameters == {"temperature": 0, "max_tokens": 64, "seed": 7}
    assert [(one.kind, one.required, one.default) for one in prompt.inputs.values()] == [
        ("value", True, None),
        ("value", False, "en"),
        ("messages", False, []),
    ]
    assert prompt.messages == (
        Message(
            "system",
            (
                Text(
                    'You route support tickets.\n{% include "partials/tone.j2" %}\n',
                    ("messages", 0, "content"),
                ),
            ),
        ),
        Insert("chat"),
        Message("user", (Text("{{ ticket }}", ("messages", 2, "content")),)),
    )
    assert prompt.partials == {"partials/tone.j2": "Answer in {{ language }}.\n"}
    assert prompt.fallback == ("local/smollm2-135m-instruct",)
    assert prompt.output is not None
    assert prompt.output.repair == 1
    assert prompt.output.schema_text.startswith('{"type":"object","properties":{"queue":')
    assert prompt.max_input_tokens == 2000
    assert [check.name for check in prompt.checks] == ["json_schema", "mentions_refund"]
    assert prompt.cases == "triage.cases.jsonl"
    assert prompt.metadata == {"owner": "support"}
    assert prompt.closure == ("support/triage.yaml", "schemas/triage.json", "partials/tone.j2")
    assert short_digest(prompt.digest) == f"sha256:{prompt.digest[:12]}"


def test_a_yml_file_is_a_prompt_too() -> None:
    assert load({"p.yml": minimal()}, "p").path == "p.yml"


def test_parts_of_a_message() -> None:
    text = minimal(
        inputs={"photo": "image"},
        messages=[
            {"role": "user", "content": [{"text": "see"}, {"image": "photo"}, {"image_file": "i/x.png"}]}
        ],
    )
    prompt = load_text(text, {"i/x.png": PNG})
    (message,) = prompt.messages
    assert isinstance(message, Message)
    assert message.content[1:] == (ImageInput("photo"), ImageFile("i/x.png", PNG, "image/png"))
    assert prompt.closure == ("p.yaml", "i/x.png")


def test_calls_of_tools_in_examples() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    prompt = load_text(
        minimal(
            messages=[
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": "ok"},
            ]
        )
    )
    assert [getattr(message, "extras", None) for message in prompt.messages] == [
        {"tool_calls": [call]},
        {"tool_call_id": "1"},
    ]


def test_checks_in_all_their_forms() -> None:
    entries = [
        "json",
        {"contains": "a", "weight": 2, "threshold": 0.5},
        {"contains": "b", "not": True},
        {"not": {"contains": "c"}, "name": "quiet"},
        {"not": "json"},
        {"contains": "d", "not": False},
    ]
    assert load_text(minimal(checks=entries)).checks == (
        Check("json", "json"),
        Check("contains", "contains", "a", weight=2, threshold=0.5),
        Check("not_contains", "contains", "b", negate=True),
        Check("quiet", "contains", "c", negate=True),
        Check("not_json", "json", negate=True),
        Check("contains_2", "contains", "d"),
    )


M = "model: m\nmessages: [{role: user, content: hi}]\n"

USER = "model: m\nmessages: [{role: user, content: "


def including(statement: str) -> str:
    return f'{USER}"{{% {statement} %}}"}}]'


BAD = [
    ("", "p.yaml:1:1: the file is empty"),
    ("- a", "p.yaml:1:1: the file must be a mapping, not a list"),
    (
        "modle: m\nmessages: [{role: user, content: hi}]",
        "p.yaml:1:1: unknown key `modle` (did you mean `model`?)",
    ),
    (M + "zzz: 1", "p.yaml:3:1: unknown key `zzz`"),
    ("messages: [{role: user, content: hi}]", "p.yaml:1:1: the key `model` is missing"),
    ("model: m", "p.yaml:1:1: the key `messages` is missing"),
    ("model: m\nmessages: []", "p.yaml:2:1: `messages` has less than 1 item"),
    ("model: gpt 4\nmessages: [{role: user, content: hi}]", "p.yaml:1:1: `model` does not match"),
    ("model: 4\nmessages: [{role: user, content: hi}]", "p.yaml:1:1: `model` must be a string, not a number"),
    (
        "model: m\nmessages:\n  - role: usr\n    content: hi",
        "p.yaml:3:5: `messages[0].role` must be one of `system`, ",
    ),
    (
        "model: m\nmessages:\n  - rol: user\n    content: hi",
        "p.yaml:3:5: unknown key `rol` (did you mean `role`?)",
    ),
    ("model: m\nmessages:\n  - role: user", "p.yaml:3:5: the key `content` is missing in `messages[0]`"),
    (
        "model: m\nmessages:\n  - role: tool\n    content: x",
        "the key `tool_call_id` is missing in `messages[0]`",
    ),
    ("model: m\nmessages:\n  - insert: chat\n    role: user", "p.yaml:4:5: unknown key `role`"),
    ("model: m\nmessages:\n  - insert: chat", "p.yaml:3:5: unknown input `chat`"),
    (
        "model: m\ninputs: {chat: string}\nmessages:\n  - insert: chat",
        "p.yaml:4:5: the input `chat` is not of type messages",
    ),
    ("model: m\nmessages: [{role: user, content: [{image: x}]}]", "unknown input `x`"),
    ("model: m\nmessages: [{role: user, content: [{img: x}]}]", "unknown key `img` (did you mean `image`?)"),
    ("model: m\nmessages: [{role: user, content: [{}]}]", "has less than 1 property"),
    (M + "parameters: [1]", "p.yaml:3:1: `parameters` must be a mapping, not a list"),
    (M + "parameters: {model: x}", "p.yaml:3:14: the key `model`"),
    (M + "parameters: {seed: 9007199254740993}", "beyond 2**53"),
    (M + "inputs: {a-b: string}", "p.yaml:3:10: the key `a-b`"),
    (M + "inputs: {in: string}", "p.yaml:3:10: `in` is a word of the template language"),
    (M + "inputs: {a: strng}", "p.yaml:3:10: unknown type `strng` (did you mean `string`?)"),
    (M + "inputs:\n  a: {type: strng}", "p.yaml:4:7: unknown type `strng`"),
    (M + "inputs:\n  a: {minLength: -1}", "p.yaml:4:7: not a JSON Schema: -1 is less than the minimum of 0"),
    (M + "inputs:\n  a: {pattern: '('}", "not a JSON Schema"),
    (M + "inputs:\n  a: {$ref: 'https://example.com/x.json'}", "nothing is fetched"),
    (M + "inputs:\n  a: {$ref: '#/no'}", "not a JSON Schema"),
    (M + "inputs:\n  a: {$schema: 'https://example.com/draft'}", "not a JSON Schema"),
    (
        M + "inputs:\n  a: {type: integer, default: x}",
        "p.yaml:4:22: the default of `a` must be a whole number, not a string",
    ),
    (
        M + "inputs:\n  a: {type: messages, default: [{role: robot, content: x}]}",
        "the default of `a` must be one of",
    ),
    (M + "inputs:\n  a: {type: messages, items: 1}", "unknown key `items` of an input of type messages"),
    (M + "inputs:\n  a: {type: image, default: x}", "unknown key `default` of an input of type image"),
    (M + "output: {}", "p.yaml:3:1: the key `schema` is missing in `output`"),
    (M + "output: {schema: {}, repair: 2}", "`output.repair` must be one of `0`, `1`, not `2`"),
    (M + "output: {schema: {}, grammar: x}", "unknown key `grammar`"),
    (M + "output: {schema: {type: x}}", "p.yaml:3:19: not a JSON Schema"),
    (M + "output: {schema: nowhere.json}", "p.yaml:3:10: no file `nowhere.json`"),
    (M + "output: {schema: ../x.json}", "p.yaml:3:10: the path `../x.json` leaves prompts/"),
    (M + "output: {schema: /etc/passwd}", "leaves prompts/"),
    (M + "output: {schema: 'C:/x'}", "leaves prompts/"),
    (M + "output: {schema: a//b.json}", "is not spelled plainly"),
    (M + "output: {schema: ./b.json}", "is not spelled plainly"),
    (M + "output: {schema: s/broken.json}", "prompts/s/broken.json:2:1: not JSON:"),
    (
        M + "output: {schema: s/double.json}",
        "prompts/s/double.json:1:1: not JSON that can be read: duplicate key `a`",
    ),
    (M + "output: {schema: s/nan.json}", "NaN is not a JSON number"),
    (
        M + "output: {schema: s/list.json}",
        "`s/list.json` cannot be used: a JSON Schema is a mapping, not a list",
    ),
    (M + "output: {schema: s/true.json}", "`s/true.json` cannot be used: it is not a mapping"),
    (M + "output: {schema: s/half.json}", "half a surrogate pair"),
    (M + "output: {schema: s/big.json}", "beyond 2**53"),
    (M + "output: {schema: s/bad.yaml}", "prompts/s/bad.yaml:1:4: a value cannot start with"),
    (M + "output: {schema: s/link.json}", "outside of prompts/"),
    (M + "tools: [{type: function}]", "the key `function` is missing in `tools[0]`"),
    (M + "tools: [{type: function, function: {name: 'a b'}}]", "`tools[0].function.name` does not match"),
    (M + "tools: [{type: function, function: {name: a, parameters: {type: 3}}}]", "not a JSON Schema"),
    (
        M + "tools: [{type: f, function: {name: a}}, {type: f, function: {name: a}}]",
        "two tools are named `a`",
    ),
    (M + "fallback: [a b]", "`fallback[0]` does not match"),
    (M + "max_input_tokens: 0", "`max_input_tokens` is less than the minimum of 1 (it is `0`)"),
    (M + "checks: [{}]", "has less than 1 property"),
    (M + "checks: [{name: x}]", "p.yaml:3:10: an entry holds one check, and this one names no check"),
    (M + "checks: [{json: 1, contains: x}]", "this one names `json` and `contains`"),
    (M + "checks: [{json: 1, name: x}, {json: 1, name: x}]", "two checks are named `x`"),
    (M + "checks: [{contains: x, weight: -1}]", "is less than the minimum of 0"),
    (M + "cases: ../x.jsonl", "p.yaml:3:1: the path `../x.jsonl` leaves prompts/"),
    (
        "model: m\nmessages: [{role: user, content: [{image_file: s/list.json}]}]",
        "`s/list.json` is not a PNG, JPEG, GIF or WebP",
    ),
    ("model: m\nmessages: [{role: user, content: [{image_file: x.png}]}]", "no file `x.png`"),
    ("You greet people.", "p.yaml:1:1: the file must be a mapping, not a string"),
    (
        "model: m\nmessages:\n - role: user\n   content: |\n\n     a\n     {% if %}\n",
        "p.yaml:7:1: template syntax: Expected an exp",
    ),
    (
        "model: m\nmessages:\n - role: user\n   content: |\n     {% include name %}\n",
        "p.yaml:5:1: the name of what is included must be a",
    ),
    (including("import a as b"), "must be a literal text"),
    (including("extends a"), "must be a literal text"),
    (including("include ['a.j2']"), "must be a literal text"),
    (including("include 'no.j2'"), "p.yaml:2:1: no partial `no.j2`"),
    (including("include '../no.j2'"), "leaves prompts/"),
    (including("include 's/x.py'"), "`s/x.py` is not a partial: they end in .j2, .md, .txt"),
    (including("include 'a.j2'"), "include cycle: a.j2 -> b.j2 -> a.j2"),
    (including("include 'b.j2'"), "prompts/a.j2:2:1: include cycle: b.j2 -> a.j2 -> b.j2"),
    (including("include 'bom.txt'"), "prompts/bom.txt:1:1: the file starts with a byte order"),
    (including("include 'syntax.md'"), "prompts/syntax.md:3:1: template syntax: "),
    (including("include 'link.txt'"), "outside of prompts/"),
    (including("include 'n0.j2'"), "includes nested deeper than 50"),
    (including("if 1 + 1" + " ~ a" * 30_000), "p.yaml:2:1: more than 100,000 characters of template code"),
    (USER + '"{{ ' + "(" * 3000 + '"}]', "p.yaml:2:1: the template is nested too deeply"),
]

BESIDE: dict[str, str | bytes] = {
    "s/broken.json": '{"a": 1,\n}',
    "s/double.json": '{"a": 1, "a": 2}',
    "s/nan.json": '{"minimum": NaN}',
    "s/list.json": "[1]",
    "s/true.json": "true",
    "s/half.json": '{"const": "\\ud800"}',
    "s/big.json": '{"const": 9007199254740993}',
    "s/bad.yaml": "a: @x",
    "a.j2": 'x\n{% include "b.j2" %}',
    "b.j2": '{% include "a.j2" %}',
    "bom.txt": b"\xef\xbb\xbfx",
    "syntax.md": "a\nb\n{{ x y }}",
    **{f"n{n}.j2": f'{{% include "n{n + 1}.j2" %}}' for n in range(60)},
}


def read_beside(path: str) -> bytes:
    if path in ("s/link.json", "link.txt"):
        raise Invalid(f"`{path}` leads outside of prompts/")
    return reader(BESIDE)(path)


@pytest.mark.parametrize(("text", "message"), BAD, ids=range(len(BAD)))
def test_bad_prompts_are_one_line_with_their_place(text: str, message: str) -> None:
    started = time.thread_time()
    with pytest.raises(Invalid) as caught:
        load_prompt("p", lambda path: text.encode() if path == "p.yaml" else read_beside(path))
    assert time.thread_time() - started < 1
    assert message in caught.value.message
    assert caught.value.message.startswith("prompts/")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 220


def test_an_unknown_key_that_resembles_none_lists_those_known() -> None:
    with pytest.raises(Invalid) as caught:
        load_text(M + "zzz: 1")
    assert "cases, checks, description" in caught.value.hint


def test_all_problems_are_listed() -> None:
    text = M + "inputs: {a: strng}\nchecks: [{name: x}]\ncases: ../x\noutput: {schema: {type: 1}}\n"
    found = find_problems("p", reader({"p.yaml": text}))
    assert [problem.rule for problem in found] == ["input", "schema", "check", "file"]
    assert [problem.position.line for problem in found] == [3, 6, 4, 5]
    found = find_problems("p", reader({"p.yaml": "modle: m\nrules: 1"}))
    assert [problem.message for problem in found][:2] == [
        "unknown key `modle` (did you mean `model`?)",
        "unknown key `rules`",
    ]
    assert len(find_problems("p", reader({"p.yaml": "a: [1"}))) == 1


def test_problems_of_templates_that_only_compiling_shows() -> None:
    files = {"p.yaml": minimal("{{ x | uper }}{% include 'a.j2' %}"), "a.j2": "\n{{ x is evn }}"}
    found = find_problems("p", reader(files))
    assert [str(problem) for problem in found] == [
        "prompts/p.yaml:1:1: template syntax: unknown filter `uper` (did you mean `upper`?)",
        "prompts/a.j2:2:1: template syntax: unknown test `evn` (did you mean `even`?)",
    ]
    assert find_problems("support/triage", reader(FILES)) == []


def test_an_optional_include_may_be_absent() -> None:
    text = minimal("{% include 'a.j2' ignore missing %}")
    assert load_text(text).partials == {}
    assert load_text(text, {"a.j2": "x"}).partials == {"a.j2": "x"}


def test_partials_are_followed_once() -> None:
    files = {"a.j2": "{% include 'c.j2' %}", "b.j2": "{% import 'c.j2' as c %}", "c.j2": "x"}
    prompt = load_text(minimal("{% include 'b.j2' %}{% include 'a.j2' %}"), files)
    assert prompt.closure == ("p.yaml", "a.j2", "b.j2", "c.j2")


def test_a_schema_may_be_yaml() -> None:
    prompt = load_text(minimal(output={"schema": "s.yaml"}), {"s.yaml": "type: object"})
    assert prompt.output is not None
    assert prompt.output.schema == {"type": "object"}


def test_no_such_prompt() -> None:
    with pytest.raises(NotFound, match="no prompt `nowhere`"):
        load(name="nowhere")


def test_two_files_of_one_name() -> None:
    with pytest.raises(Invalid, match="has two files"):
        load({"p.yaml": minimal(), "p.yml": minimal()}, "p")


@pytest.mark.parametrize("name", ["a", "support/triage", "a-b_c.d/0", "a.b"])
def test_names(name: str) -> None:
    check_prompt_name(name)


@pytest.mark.parametrize(
    "name", ["", "A", "a..b", "../a", "/a", "a/", "a//b", ".a", "-a", "a b", "ä", "a@b", "a:b", "a\n"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be the name of a prompt"):
        check_prompt_name(name)


def test_overrides_are_another_version() -> None:
    prompt = load()
    other = with_overrides(
        prompt,
        model="openai/other",
        settings={
            "parameters.temperature": 0.2,
            "parameters.extra.depth": 1,
            "output.repair": 0,
            "max_input_tokens": 5,
        },
    )
    assert other.model == "openai/other"
    assert other.parameters == {"temperature": 0.2, "max_tokens": 64, "seed": 7, "extra": {"depth": 1}}
    assert prompt.parameters == {"temperature": 0, "max_tokens": 64, "seed": 7}
    assert other.output is not None
    assert other.output.repair == 0
    assert other.max_input_tokens == 5
    assert other.digest != prompt.digest
    assert with_overrides(prompt).digest == prompt.digest
    assert with_overrides(load_text(minimal()), settings={"parameters": {"seed": 1}}).parameters == {
        "seed": 1
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("temperature", "parameters.temperature"),
        ("max_tokens", "parameters.max_tokens"),
        ("parameter.seed", "parameters.seed"),
        ("modle", "model"),
        ("max_input_token", "max_input_tokens"),
        ("repair", "output.repair"),
    ],
)
def test_an_unknown_setting_names_the_one_that_is_meant(key: str, meant: str) -> None:
    with pytest.raises(Invalid, match=rf"unknown setting `{key}` \(did you mean `{meant}`\?\)"):
        with_overrides(load(), settings={key: 0})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("temperature", 1, "unknown setting `temperature`"),
        ("parameters.", 1, "unknown setting `parameters.`"),
        ("output.repair", 3, "`output.repair` must be one of"),
        ("max_input_tokens", "many", "`max_input_tokens` must be a whole number, not a string"),
        ("parameters.seed", 2**60, "the setting `parameters.seed` cannot be used"),
        ("parameters.model", "x", "the key `model` cannot stand here"),
        ("parameters.seed.x", 1, "`seed` is not a mapping"),
        ("model", "a b", "`model` does not match"),
    ],
)
def test_overrides_that_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        with_overrides(load(), settings={key: value})
    assert message in caught.value.message


def test_an_override_of_what_is_not_there() -> None:
    with pytest.raises(Invalid, match="needs an output schema"):
        with_overrides(load_text(minimal()), settings={"output.repair": 1})


def test_the_schema_is_one_and_describes_every_key() -> None:
    assert schema_problem(PROMPT_SCHEMA) is None
    assert all("description" in key for key in PROMPT_SCHEMA["properties"].values())
    keys = (
        "caller_tools cases checks description fallback guards inputs log max_input_tokens messages "
        "metadata model output parameters probes retention review tools"
    )
    assert sorted(PROMPT_SCHEMA["properties"]) == keys.split()
    assert validator_for(json.dumps(PROMPT_SCHEMA)).is_valid(load().document.data)
    assert TRIAGE.splitlines()[0].startswith("description:")


def deep(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": [1, 2.5, True, None, "é"]}, ""),
        ("\ud800", "character 1 is half a surrogate pair"),
        ({"\ud800": 1}, "character 1 is half a surrogate pair"),
        ({1: 1}, "it has a key that is not a string"),
        ([float("nan")], "it holds nan, which is not a JSON number"),
        ([2**53], "it holds a number beyond 2**53, which JSON cannot hold exactly"),
        ((1,), "it holds a tuple, which is not JSON data"),
        (b"x", "it holds a bytes, which is not JSON data"),
        (deep(300), "it is nested deeper than 200 levels"),
        ([deep(300)], "it is nested deeper than 200 levels"),
    ],
)
def test_what_cannot_be_stored(value: Any, reason: str) -> None:
    assert json_data_problem(value) == reason


def test_hashing_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(Invalid, match="not JSON data"):
        canonical_json({"a": 2**60})


def test_what_is_no_schema_at_all() -> None:
    assert schema_problem(b"x") == ((), "a JSON Schema is a mapping, not a bytes")
    assert schema_problem({"const": object()}) == ((), "not a JSON Schema: Unsupported type: 'object'")

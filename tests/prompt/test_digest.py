"""What a digest depends on: all that can change a reply, and nothing else."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptops.errors import NotFound
from promptops.prompt import find_problems, from_canonical
from promptops.prompt.canonical_json import compact_json
from support.prompt_files import FILES, PNG, TRIAGE, load, load_text, minimal

GOLDEN = "f79b262fd4d8b100360ae20200b3e5b11ce3a0f1ab931df69a3d485ce05147cd"
GOLDEN_MINIMAL = "097a131d9be4055fff52d94895238704f50ee547c07a3d987f553babefae4c69"


def triage(edit: Callable[[dict[str, Any]], object], files: Mapping[str, str | bytes] = FILES) -> str:
    """The digest of the triage prompt after an edit of its data."""
    data = yaml.safe_load(TRIAGE)
    edit(data)
    return load({**files, "support/triage.yaml": json.dumps(data)}).digest


def changed(**files: str | bytes) -> str:
    names = {"tone": "partials/tone.j2", "schema": "schemas/triage.json", "prompt": "support/triage.yaml"}
    return load({**FILES, **{names[key]: value for key, value in files.items()}}).digest


def digest(**keys: Any) -> str:
    return load_text(minimal(**keys)).digest


def test_the_format_is_pinned() -> None:
    assert load().digest == GOLDEN
    assert load_text(minimal()).digest == GOLDEN_MINIMAL


def test_the_canonical_object_is_minimal_and_readable() -> None:
    assert load_text(minimal()).canonical_text == (
        '{"format":1,"messages":[{"content":[{"text":"hi"}],"role":"user"}],"model":"m"}'
    )


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "model": lambda d: d.update(model="openai/other"),
    "parameter": lambda d: d["parameters"].update(temperature=0.5),
    "a parameter more": lambda d: d["parameters"].update(top_p=1),
    "a parameter less": lambda d: d["parameters"].pop("seed"),
    "an input more": lambda d: d["inputs"].update(x="string"),
    "bound of an input": lambda d: d["inputs"]["ticket"].update(maxLength=5),
    "default of an input": lambda d: d["inputs"]["language"].update(default="de"),
    "order of an enum": lambda d: d["inputs"]["language"].update(enum=["de", "en"]),
    "text": lambda d: d["messages"][2].update(content="{{ ticket }}!"),
    "blank in a text": lambda d: d["messages"][2].update(content="{{ ticket }} "),
    "role": lambda d: d["messages"][2].update(role="assistant"),
    "name": lambda d: d["messages"][2].update(name="x"),
    "order of messages": lambda d: d["messages"].reverse(),
    "a message less": lambda d: d["messages"].pop(),
    "tools": lambda d: d.update(tools=[{"type": "x"}]),
    "fallback": lambda d: d.update(fallback=["a", "b"]),
    "order of fallbacks": lambda d: d.update(fallback=["b", "a"]),
    "repair": lambda d: d["output"].update(repair=0),
    "no output": lambda d: d.pop("output"),
}

SAME: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda _: None,
    "description": lambda d: d.update(description="other"),
    "metadata": lambda d: d.update(metadata={"owner": "x", "n": [1]}),
    "checks": lambda d: d.update(checks=["json"]),
    "no checks": lambda d: d.pop("checks"),
    "cases": lambda d: d.update(cases="other.jsonl"),
    "budget": lambda d: d.update(max_input_tokens=3),
    "1.0 for 1": lambda d: d["parameters"].update(seed=7.0, temperature=-0.0),
    "tools spelled out": lambda d: d.update(tools=[]),
    "annotation of an input": lambda d: d["inputs"]["ticket"].update(
        description="x", title="y", examples=[1]
    ),
    "parts for a text": lambda d: d["messages"][2].update(content=[{"text": "{{ ticket }}"}]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_changes_it(edit: str) -> None:
    assert triage(EDITS[edit]) != GOLDEN


def test_edits_differ_from_each_other() -> None:
    assert len({triage(edit) for edit in EDITS.values()}) == len(EDITS)


@pytest.mark.parametrize("edit", SAME)
def test_what_does_not(edit: str) -> None:
    assert triage(SAME[edit]) == GOLDEN


def test_files_it_depends_on() -> None:
    assert changed(tone="Answer in {{ language }}!\n") != GOLDEN
    assert changed(schema='{"type": "object", "properties": {"queue": {"type": "string"}}}') != GOLDEN
    reordered = '{"properties": {"queue": {"type": "string"}, "asap": {"type": "boolean"}}, "type": "object"}'
    assert changed(schema=reordered) != GOLDEN, "models write members in the order of the schema"
    assert changed(schema=compact_json(json.loads(FILES["schemas/triage.json"]))) == GOLDEN


def test_partials_of_partials() -> None:
    files = {**FILES, "partials/tone.j2": "{% include 'a.md' %}"}
    one, two = load({**files, "a.md": "1"}).digest, load({**files, "a.md": "2"}).digest
    assert one != two


def test_crlf_is_lf_everywhere() -> None:
    assert changed(prompt=TRIAGE.replace("\n", "\r\n")) == GOLDEN
    assert changed(tone="Answer in {{ language }}.\r\n") == GOLDEN
    assert changed(schema=str(FILES["schemas/triage.json"]).replace("\n", "\r\n")) == GOLDEN
    assert digest(content="a\r\nb") == digest(content="a\nb")


def test_spelling_does_not_matter() -> None:
    assert changed(prompt=f"# a comment\n---\n{TRIAGE}# the end\n") == GOLDEN
    assert changed(prompt=TRIAGE.replace('"{{ ticket }}"', "'{{ ticket }}'")) == GOLDEN
    data = yaml.safe_load(TRIAGE)
    assert changed(prompt=yaml.safe_dump(data, sort_keys=True, default_flow_style=True)) == GOLDEN


def test_defaults_and_short_forms_mean_the_same() -> None:
    assert digest(inputs={"a": "string"}) == digest(inputs={"a": {"type": "string"}})
    assert digest(inputs={"a": "messages"}) == digest(inputs={"a": {"type": "messages", "description": "x"}})
    assert digest(inputs={"a": "messages"}) != digest(inputs={"a": {"type": "messages", "default": []}})
    assert digest(inputs={}, parameters={}, fallback=[], tools=[]) == digest()
    assert digest(output={"schema": {}}) == digest(output={"schema": {}, "repair": 0})
    parts = [{"role": "user", "content": [{"image": "a"}]}]
    assert digest(inputs={"a": "image"}, messages=parts) != digest(inputs={"a": "image"})
    assert digest(output={"schema": {"minimum": 1.0}}) == digest(output={"schema": {"minimum": 1}})


def test_a_schema_counts_by_what_it_says_not_by_where_it_stands() -> None:
    inline = digest(output={"schema": {"type": "object"}})
    for name in ("a.json", "b/c.json"):
        prompt = load_text(minimal(output={"schema": name}), {name: '{"type": "object"}'})
        assert prompt.digest == inline


def test_images_count_by_their_bytes() -> None:
    def image(name: str, data: bytes) -> str:
        messages = [{"role": "user", "content": [{"image_file": name}]}]
        return load_text(minimal(messages=messages), {name: data}).digest

    assert image("a.png", PNG) == image("b.png", PNG)
    assert image("a.png", PNG) != image("a.png", PNG + b"x")


def test_order_of_members_in_tools_counts() -> None:
    def tools(properties: dict[str, Any]) -> list[Any]:
        return [{"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}}]

    assert digest(tools=tools({"a": {}, "b": {}})) != digest(tools=tools({"b": {}, "a": {}}))


def test_the_prompts_name_is_not_in_it() -> None:
    assert load({"a.yaml": minimal()}, "a").digest == load({"b/c.yaml": minimal()}, "b/c").digest


WORDS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="{\ufeff\ufffe\uffff"
    ),
    max_size=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e6, 1e6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": WORDS}),
    min_size=1,
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"model": st.from_regex(r"[a-z/.-]{1,9}", fullmatch=True), "messages": MESSAGES},
    optional={
        "parameters": st.dictionaries(
            WORDS.filter(lambda word: word not in {"messages", "model", "stream", "tools"}), VALUES
        ),
        "fallback": st.lists(st.sampled_from(["a/b", "c"]), max_size=2),
        "inputs": st.dictionaries(
            st.sampled_from(["a", "b"]), st.sampled_from(["string", "messages", "image"])
        ),
    },
)
FREE = st.fixed_dictionaries(
    {},
    optional={
        "description": WORDS,
        "metadata": st.dictionaries(WORDS, VALUES),
        "checks": st.just(["json", {"contains": "x"}]),
        "cases": st.just("x.jsonl"),
        "max_input_tokens": st.integers(1, 9),
    },
)


def shuffle(value: Any, draw: Callable[[Any], Any]) -> Any:
    """The same data with mappings in another order."""
    if isinstance(value, dict):
        return {key: shuffle(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffle(item, draw) for item in value] if isinstance(value, list) else value


@given(BODIES, FREE, FREE, st.data())
def test_order_quoting_and_free_keys_never_change_it(
    body: Any, one: Any, other: Any, data: st.DataObject
) -> None:
    again = yaml.dump(
        shuffle({**body, **other}, data.draw),
        Dumper=data.draw(st.sampled_from([Double, Single])),
        sort_keys=False,
        default_flow_style=data.draw(st.booleans()),
        allow_unicode=data.draw(st.booleans()),
        width=1000,
    )
    text = json.dumps({**body, **one}, ensure_ascii=False)
    assert load_text(text).digest == load_text(crlf(again, data)).digest


class Double(yaml.SafeDumper):
    """Writes strings in double quotes: unquoted, what YAML 1.1 calls a string can be a number in 1.2."""


class Single(yaml.SafeDumper):
    pass


Double.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"'))
Single.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, "'"))


def crlf(text: str, data: st.DataObject) -> str:
    return text.replace("\n", data.draw(st.sampled_from(["\n", "\r\n"])))


@given(BODIES, BODIES)
def test_two_meanings_never_share_it(one: Any, other: Any) -> None:
    assert (of(one) == of(other)) == (same(one) == same(other))


def same(body: Any) -> str:
    empty = {"parameters": {}, "fallback": [], "inputs": {}}
    kept = {key: value for key, value in copy.deepcopy(body).items() if value != empty.get(key, "")}
    return json.dumps(json.loads(json.dumps(kept), parse_float=float, parse_int=float), sort_keys=True)


@given(BODIES)
def test_it_survives_being_kept(body: Any) -> None:
    prompt = load_text(json.dumps(body, ensure_ascii=False))
    again = from_canonical("p", json.loads(prompt.canonical_text))
    assert again.digest == prompt.digest


@given(VALUES)
def test_compact_json_is_json_in_source_order(value: Any) -> None:
    back = json.loads(compact_json(value))
    assert back == value
    assert json.dumps(back, sort_keys=False, ensure_ascii=False).count('"') == compact_json(value).count('"')


@given(BODIES)
def test_what_loads_has_no_problems(body: Any) -> None:
    text = json.dumps(body, ensure_ascii=False).encode()

    def read(path: str) -> bytes:
        if path == "p.yaml":
            return text
        raise NotFound(path)

    assert find_problems("p", read) == []


def of(body: Any) -> str:
    return load_text(json.dumps(body, ensure_ascii=False)).digest

"""Files that people write: prompts, settings, cases, inputs, outcomes. Only Invalid may come of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptops.checks import compile_checks
from promptops.config.settings import SettingsFile, decode_settings, find_settings
from promptops.config.yaml import parse_yaml
from promptops.errors import Invalid
from promptops.evaluation.case_file import read_new_cases
from promptops.prompt import Prompt, find_problems
from promptops.prompt.cases import Case, iter_lines, read_cases
from promptops.prompt.checks import read_case_checks
from promptops.prompt.render import render_prompt, render_text
from promptops.registry.outcome_file import read_outcomes
from promptops.runner.batch.input_file import parse_line
from promptops.versions.references import Reference, parse_reference
from support.fuzzing import VALUES, damaged_bytes, damaged_json, fuzz_settings, settle
from support.git_repositories import new_repository
from support.prompt_files import FILES, TRIAGE, load, load_text, minimal, reader

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

SETTINGS = b"""\
registry: runs.db
channels: {beta: {plan: fast}}
releases: [{prompts: "support/*", plan: fast}]
release: {from: main, on_tamper: refuse}
plans: {fast: {steps: [{weight: 5%, for: 1h}, {approval: manual}], metrics: [{name: cost_usd, max: 1}]}}
models: {openai/x: {input: 1.0, context: 9}}
log: {inputs: hash, outputs: none, on_error: fail}
lint: {rules: {x: off}, retirement_days: 3}
"""
SETTINGS_DATA = parse_yaml(SETTINGS, "promptops.yaml").data
PROMPT_DATA = parse_yaml(TRIAGE.encode(), "p.yaml").data


@given(text=damaged_bytes([SETTINGS, TRIAGE.encode()]) | damaged_json([SETTINGS_DATA, PROMPT_DATA]))
@fuzz_settings(75)
def test_yaml_is_read_or_invalid(text: bytes) -> None:
    document = settle(lambda: parse_yaml(text, "x.yaml"))
    if not isinstance(document, Invalid):
        assert all(document.line_of(path, 1) for path in document.scalars)


@given(text=damaged_bytes([TRIAGE.encode()]) | damaged_json([PROMPT_DATA]))
@fuzz_settings(75)
def test_a_prompt_file_is_loaded_or_invalid(text: bytes) -> None:
    prompt = settle(lambda: load_text(text))
    assert isinstance(prompt, Prompt | Invalid)
    settle(lambda: find_problems("p", reader({**FILES, "p.yaml": text})))
    if isinstance(prompt, Prompt):
        settle(lambda: render_prompt(prompt, {"ticket": "t"}))


@given(inputs=st.dictionaries(st.sampled_from(["ticket", "language", "chat", "other"]), VALUES))
@fuzz_settings(25)
def test_inputs_are_rendered_or_invalid(inputs: dict[str, Any]) -> None:
    settle(lambda: render_prompt(load(), inputs))


EXPRESSIONS = [
    "a", "a.b", "a[0]", "a * 99999999", "9 ** 9 ** 9", "'x' * 10000000", "[a] * 9999999",
    "range(99999999)|list",
    "a|upper", "a|join(a)", "a|tojson", "a|replace('', a)", "a.format(a)", "'%99999999d' % 1",
    "a|center(99999999)",
    "a|batch(1)|list", "a.__class__", "cycler(a)", "lipsum(9)", "namespace(a=a)",
    "a|map('upper')|list", "1 / 0",
    "a|sort", "a|groupby('b')", "a|sum", "a ~ a", "a is odd", "a if a", "a|round(99)", "a|indent(999999)",
    "a|wordwrap(0)", "a|slice(0)|list", "a|random", "a|xmlattr", "a|urlize", "a|truncate(-1)",
    "a|int(base=99)",
    "a|dictsort", "a|filesizeformat", "a|attr('b')", "not a", "-a", "a < 1", "a in a", "dict(a=a)",
    "loop.index",
]  # fmt: skip
TEMPLATE_PARTS = [
    *(f"{{{{ {each} }}}}" for each in EXPRESSIONS),
    *(f"{{% set a = {each} %}}" for each in EXPRESSIONS),
    *(f"{{% for x in {each} %}}" for each in (*EXPRESSIONS, "range(9999)")),
    "{% endfor %}", "{% if a %}", "{% else %}", "{% endif %}", "{% macro m(a) %}", "{{ m(a) }}",
    "{% endmacro %}",
    '{% include "partials/tone.j2" %}', "{% include a %}", '{% extends "x" %}', "{% block b %}",
    "{% raw %}", "{#",
    "{% filter upper %}", "{% endfilter %}", "{% call m() %}", "{% do a %}", "{% break %}",
    "text\n", "{%- -%}",
]  # fmt: skip


@given(
    parts=st.lists(st.sampled_from(TEMPLATE_PARTS) | st.text(max_size=6), max_size=6),
    value=VALUES,
    json_values=st.booleans(),
)
@fuzz_settings(75)
def test_a_template_is_rendered_within_its_limits(parts: list[str], value: Any, *, json_values: bool) -> None:
    text = settle(
        lambda: render_text("".join(parts), {"a": value}, partials=_PARTIALS, json_values=json_values)
    )
    assert isinstance(text, str | Invalid)


_PARTIALS = {"partials/tone.j2": "{{ a }}"}


@given(text=damaged_bytes([SETTINGS]) | damaged_json([SETTINGS_DATA]))
@fuzz_settings(50)
def test_settings_are_read_or_invalid(text: bytes) -> None:
    assert isinstance(settle(lambda: decode_settings(text, "promptops.yaml")), SettingsFile | Invalid)


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
@example(name="/")
@example(name="~nobody/runs.db")
@example(name="a" * 300)
@fuzz_settings(25)
def test_a_registry_of_any_name_is_a_path_or_invalid(tmp_path: Path, name: str) -> None:
    folder = _repository(tmp_path)
    settle(lambda: find_settings(folder, {}, file=SettingsFile(registry=name)).registry)


REFERENCES = [
    "greet",
    "a/b@HEAD",
    "a:production",
    "a@sha256:abcdef0",
    "prompts/a.yaml",
    "a@v1",
    "../a",
    "a..b",
    "@",
    ":",
]


@given(
    text=st.sampled_from(REFERENCES).flatmap(
        lambda text: st.just(text) | st.text(max_size=5).map(lambda more: text + more)
    )
)
@example(text="a" * 300 + ".yaml")
@example(text="\0.yaml")
@example(text="\ud800.yaml")
@fuzz_settings(50)
def test_a_reference_is_parsed_or_invalid(tmp_path: Path, text: str) -> None:
    settings = find_settings(_repository(tmp_path), {})
    assert isinstance(settle(lambda: parse_reference(text, settings)), Reference | Invalid)


def _repository(folder: Path) -> Path:
    place = folder / "r"
    return place if place.exists() else new_repository(place).path


CHECK = {"not": {"contains": "x"}, "name": "n", "weight": 1, "threshold": 0.5}
CASE = {"inputs": {"a": 1}, "expected": {"b": [1]}, "checks": [CHECK, "json"], "tags": ["t"], "id": "1"}
CASES = {
    "x.csv": [b'name,expected,tags,id\na,"b\nc",t u,1\n"x ""y""",,,\n'],
    "x.jsonl": [b'{"inputs": {"a": 1}, "id": "1"}\n{"inputs": {}, "expected": null}\n'],
    "x.yaml": [b"- inputs: {a: 1}\n  expected: b\n- inputs: {}\n  tags: [t]\n"],
}


@given(
    file=st.sampled_from(sorted(CASES)).flatmap(
        lambda name: st.tuples(st.just(name), damaged_bytes(CASES[name]) | damaged_json([CASE, [CASE]]))
    )
)
@example(file=("x.csv", b"a\n" + b"x" * 200_000))
@example(
    file=(
        "x.jsonl",
        b'{"inputs": {}, "checks": [{"json_path": {"path": "$.a", "equals": '
        + b"[" * 300
        + b"]" * 300
        + b"}}]}",
    )
)
@example(file=("x.jsonl", b'{"inputs": {"a": ' + b"[" * 985 + b"]" * 985 + b"}}"))
@fuzz_settings(75)
def test_cases_are_read_or_invalid(file: tuple[str, bytes]) -> None:
    name, data = file
    cases = settle(lambda: list(read_cases(name, iter_lines(data))))
    assert isinstance(cases, Invalid) or all(isinstance(case, Case) for case in cases)
    for case in () if isinstance(cases, Invalid) else cases:
        settle(lambda case=case: compile_checks(read_case_checks(case.checks), "p"))


TYPES = {
    "t": "string",
    "n": {"type": ["integer", "null"]},
    "f": "number",
    "b": "boolean",
    "o": {"type": "object"},
}
ROWS = [
    b'\xef\xbb\xbft,n,f,b,o,expected,tags,id\r\nx,1,0.5,TRUE,"{""a"": [1]}",e,t u,1\r\n\r\n,,,,,,,\r\n',
    b'sep=;\nt;n;f;b;o\n"x\ny";-9;1e3;no;[]\n',
    b"t\tn\n'x\t=1+1\n",
    "t,n,f,b\nx,1,5,true".encode("utf-16"),
]
CELLS = st.sampled_from(
    ["9" * 5000, "1e999", "NaN", "[" * 985 + "]" * 985, "0x1", "\u0661", "", "null", '"', "\0"]
)


@given(data=damaged_bytes(ROWS) | CELLS.map(lambda cell: f"n,f,b,o\n{cell},{cell},{cell},{cell}\n".encode()))
@example(data=",".join(f"c{number}" for number in range(100_000)).encode())
@example(data=b"," * 500_000)
@fuzz_settings(75)
def test_rows_of_a_spreadsheet_are_read_by_their_schemas_or_invalid(data: bytes) -> None:
    inputs = load_text(minimal(inputs=TYPES)).inputs
    cases = settle(lambda: list(read_cases("x.csv", iter_lines(data), inputs)))
    assert isinstance(cases, Invalid) or all(isinstance(case, Case) for case in cases)


@given(
    file=(damaged_bytes(ROWS) | CELLS.map(lambda cell: f"t,n,expected\n{cell},{cell},{cell}\n".encode())).map(
        lambda data: ("x.csv", data)
    )
    | (damaged_bytes(CASES["x.jsonl"]) | damaged_json([CASE])).map(lambda data: ("x.jsonl", data))
)
@fuzz_settings(75)
def test_rows_that_become_cases_can_be_run_and_are_written_as_json(file: tuple[str, bytes]) -> None:
    name, data = file
    prompt = load_text(minimal(inputs=TYPES, output={"schema": {"type": "object"}}))
    found = settle(lambda: read_new_cases(prompt, name, iter_lines(data), ["tag"]))
    for case, row in () if isinstance(found, Invalid) else found:
        render_prompt(prompt, case.inputs)
        (again,) = read_cases("x.jsonl", [json.dumps(row).encode("utf-8", "backslashreplace")])
        assert (again.id, again.inputs, again.tags) == (case.id, case.inputs, case.tags)


LINE = {"inputs": {"ticket": "t"}, "unit": "u", "metadata": {"user": {"id": 1}}}
OUTCOME = {
    "run_id": "01J00000000000000000000000",
    "metric": "thumbs",
    "value": 1,
    "comment": "c",
    "occurred_at": "2026-11-02T09:14:00Z",
}


@given(raw=damaged_json([LINE]), unit=st.sampled_from([None, "unit", "metadata.user.id", "."]))
@fuzz_settings(50)
def test_a_line_of_a_batch_is_rendered_or_invalid(raw: bytes, unit: str | None) -> None:
    settle(lambda: render_prompt(load(), parse_line(raw, 1, "x.jsonl", unit).inputs))


@given(raw=damaged_json([OUTCOME]))
@fuzz_settings(50)
def test_a_line_of_outcomes_is_read_or_invalid(raw: bytes) -> None:
    settle(lambda: list(read_outcomes("x.jsonl", [raw])))

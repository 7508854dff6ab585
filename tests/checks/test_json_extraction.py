"""The JSON inside an answer: found where it is one, in one pass, and never a part of what is broken."""

import json
import time

import pytest

from promptops.checks.json_extraction import extract_json

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
A = '{"a": 1}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{A}\n```",
        f"```\n{A}\n```",
        f"```JSON\r\n{A}\r\n```",
        f"Here you are:\n\n```json\n{A}\n```\nAnything else?",
        f"Sure! {A}",
        f"{A}\n\nThis is what you asked for.",
        f"The set {{x, y}} is empty [see 1], so: {A}",
        f'As an example, {{"b": 2}}. My answer: {A}',
        f"{A} (sources: [1], [2])",
        f"```python\nprint({{}})\n```\n```json\n{A}\n```",
    ],
)
def test_what_stands_in_more_text_is_found(text: str) -> None:
    assert extract_json(text, SCHEMA) == A


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Sure! {A}", A),
        (f"{A} (sources: [1], [2])", A),
        ('["x", {"y": [1]}] is the list', '["x", {"y": [1]}]'),
        ("```json\n42\n```", "42"),
        ('```json\n"word"\n```', '"word"'),
        ('He said { and [{"a": "}"}]', '[{"a": "}"}]'),
        ('{"text": "a ```json\\n{}\\n``` b"}', '{"text": "a ```json\\n{}\\n``` b"}'),
    ],
)
def test_without_a_schema_the_longest_counts(text: str, found: str) -> None:
    assert extract_json(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON here",
        "{not: json}",
        'cut: {"items": [{"a": 1}, {"a": 2}',
        'cut in a word: {"items": [{"a": 1}], "text": "and th',
        '{"items": [{"a": 1},], "b": 2}',
        '{"a": NaN}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" + "9" * 5_000 + "]",
        "```json\n{broken\n```",
    ],
)
def test_nothing_is_made_of_what_is_broken(text: str) -> None:
    assert extract_json(text) == text


def test_json_stays_as_it_is() -> None:
    for text in (A, f" \n{A}\n", "42", '"word"', "null", "[]"):
        assert extract_json(text, SCHEMA) == text


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "unit", ["{", "[", '{"', '["', '{"a":', "[1,", '[""', "```\n", '{"\\"', "{}", "[1] ", '"[']
)
def test_it_takes_one_pass(unit: str) -> None:
    text = "x" + unit * (200_000 // len(unit)) + A
    clock = time.process_time()
    extract_json(text, SCHEMA)
    assert time.process_time() - clock < 3


def test_what_is_found_is_json() -> None:
    text = f"a {A} b [1, 2, 3] c ```{A}``` d"
    json.loads(extract_json(text))

from typing import Any

import pytest

from promptops.checks import KINDS, Subject, compile_checks, run_checks
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.registry.records import CheckResult

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def check(kind: str, argument: object = None, *, negate: bool = False, name: str = "") -> Check:
    return Check(name=name or kind, kind=kind, argument=argument, negate=negate, weight=1.0, threshold=None)


def result(kind: str, argument: object, output: str, **given: Any) -> CheckResult:
    (found,) = run_checks(compile_checks([check(kind, argument)], "p.yaml"), Subject(output=output, **given))
    return found


@pytest.mark.parametrize(
    ("kind", "argument", "good", "bad"),
    [
        ("equals", "yes", " yes\n", "Yes"),
        ("equals", 42, "42", "43"),
        ("contains", "refund", "a refund please", "a Refund please"),
        ("starts_with", "Dear", "\nDear Ada", "Hi, Dear"),
        ("regex", r"\b\d{3}\b", "call 123 now", "call 1234 now"),
        ("one_of", ["a", "b"], "b ", "c"),
        ("max_chars", 3, "ab", "abcd"),
        ("json", None, '{"a": [1]}', "{'a': 1}"),
        ("json", None, "null", "NaN"),
        ("json_schema", PERSON, '{"name": "Ada"}', '{"name": 7}'),
    ],
)
def test_each_check_passes_and_fails(kind: str, argument: object, good: str, bad: str) -> None:
    assert result(kind, argument, good).passed
    failed = result(kind, argument, bad)
    assert not failed.passed
    assert failed.message
    assert "\n" not in failed.message


def test_every_kind_is_tried_above() -> None:
    marks = test_each_check_passes_and_fails.pytestmark
    assert {row[0] for row in marks[0].args[1]} == set(KINDS)


def test_a_bare_json_schema_holds_the_output_against_the_prompts() -> None:
    assert not result("json_schema", None, '{"name": 7}', schema=PERSON).passed
    assert (
        "`output.name` must be a string" in result("json_schema", None, '{"name": 7}', schema=PERSON).message
    )
    with pytest.raises(Invalid, match="no output schema"):
        result("json_schema", None, "{}")


def test_a_bare_equals_compares_with_what_the_case_expects() -> None:
    assert result("equals", None, "billing", expected="billing").passed
    assert not result("equals", None, "sales", expected="billing").passed


def test_expected_and_inputs_are_filled_into_arguments() -> None:
    given = {"expected": "42", "inputs": {"name": "Ada"}}
    assert result("contains", "{{ name }}: {{ expected }}", "Ada: 42", **given).passed
    assert result("one_of", ["{{ expected }}", "none"], "42", **given).passed


def test_not_turns_a_check_around_and_names_what_must_not_hold() -> None:
    compiled = compile_checks([check("contains", "secret", negate=True)], "p.yaml")
    assert run_checks(compiled, Subject(output="fine"))[0].passed
    failed = run_checks(compiled, Subject(output="a secret"))[0]
    assert (failed.passed, failed.message) == (False, "must not hold: contains")


def test_max_chars_reports_the_length() -> None:
    assert result("max_chars", 3, "abcd").value == 4


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        ("contain", "x", "no such check: contain (did you mean contains?)"),
        ("contains", None, "the check contains needs an argument"),
        ("contains", 3, "the check contains: its argument must be a string, not a number"),
        ("max_chars", -1, "the check max_chars: its argument is less than the minimum of 0 (it is `-1`)"),
        ("regex", "(", "the check regex: missing )"),
        ("json_schema", {"type": "no"}, "the check json_schema: "),
        ("one_of", [], "the check one_of: "),
        ("json", 1, "the check json: "),
    ],
)
def test_what_is_wrong_with_a_check_is_said_before_anything_runs(
    kind: str, argument: object, message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        compile_checks([check(kind, argument)], "prompts/p.yaml")
    assert message in caught.value.message
    assert caught.value.message.startswith("prompts/p.yaml: ")
    assert caught.value.hint
